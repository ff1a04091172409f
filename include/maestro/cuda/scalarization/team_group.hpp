#pragma once

/// @file
/// One group as an advantage estimator sees it on a device: its rows in the executor's memory, and statistics that a
/// whole team computes. This header compiles without nvcc and without the CUDA toolkit.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro::gpu {

/// DeviceRows describes the rows of one group in the executor's memory. It is a layout for Row.
template <std::size_t K>
struct DeviceRows {
  using Weight = float;
  static constexpr std::size_t capacity = K + 1;

  const float* rewards = nullptr;         ///< (n x K)
  const double* values = nullptr;         ///< (n x K) the normalized rewards; null if they are the rewards
  const float* weights = nullptr;         ///< (n x K)
  const double* totals = nullptr;         ///< (n)
  const float* penalties = nullptr;       ///< (n), or null
  const std::int32_t* lengths = nullptr;  ///< (n), or null
  std::size_t size = 0;                   ///< n
  std::size_t present = 0;                ///< rows that are not left out

  MAESTRO_HD static constexpr std::size_t num_rewards() { return K; }
  MAESTRO_HD static constexpr std::size_t width() { return K + 1; }
  MAESTRO_HD static constexpr bool has_gaps() { return true; }
  MAESTRO_HD double value(std::size_t i, std::size_t c) const {
    if (c < K) return values != nullptr ? values[i * K + c] : static_cast<double>(rewards[i * K + c]);
    const bool there = penalties != nullptr && totals[i] == totals[i];
    return there ? static_cast<double>(penalties[i]) : static_cast<double>(NAN);
  }
  MAESTRO_HD double weight(const float* of, std::size_t c) const {
    if (c < K) return static_cast<double>(of[c]);
    return penalties != nullptr ? -1.0 : 0.0;
  }
  MAESTRO_HD double penalty(std::size_t i) const {
    return penalties == nullptr ? 0.0 : static_cast<double>(penalties[i]);
  }
  MAESTRO_HD double length(std::size_t i) const { return static_cast<double>(lengths[i]); }
  MAESTRO_HD Row<DeviceRows> row(std::size_t i) const { return {*this, i, weights + i * K, totals[i]}; }
};

/// TeamGroup has the members of SerialGroup. The whole team computes each statistic, and every thread of the team gets
/// it; so all threads must call the members in the same order.
template <std::size_t K, Team T>
class TeamGroup {
 public:
  static constexpr std::size_t capacity = K + 1;
  using RowType = Row<DeviceRows<K>>;

  MAESTRO_HD TeamGroup(const T& team, const DeviceRows<K>& rows) : team_(&team), rows_(&rows) {}

  MAESTRO_HD std::size_t size() const { return rows_->size; }
  MAESTRO_HD double count() const { return static_cast<double>(rows_->present); }
  MAESTRO_HD std::size_t num_rewards() const { return K; }
  MAESTRO_HD std::size_t width() const { return K + 1; }
  MAESTRO_HD RowType row(std::size_t i) const { return rows_->row(i); }

  template <class F>
  MAESTRO_HD double sum(const F& f) const {
    double own = 0.0;
    for (std::size_t i = team_->rank(); i < size(); i += team_->size()) {
      if (row(i).present()) own += f(row(i));
    }
    return team_->reduce(own, Add{});
  }
  template <class F>
  MAESTRO_HD void add_up(std::size_t count, double* sums, const F& f) const {
    for (std::size_t c = 0; c < count; ++c) sums[c] = 0.0;
    for (std::size_t i = team_->rank(); i < size(); i += team_->size()) {
      if (row(i).present()) f(row(i), sums);
    }
    for (std::size_t c = 0; c < count; ++c) sums[c] = team_->reduce(sums[c], Add{});
  }
  template <class F>
  MAESTRO_HD Moments moments(const F& f) const {
    return team_moments(*team_, size(), [&](std::size_t i) { return value(f, i); });
  }
  template <class F = ValueOf>
  MAESTRO_HD ColumnMoments<capacity> column_moments(const F& f = {}) const {
    ColumnMoments<capacity> all;
    for (std::size_t c = 0; c < capacity; ++c) {
      const Moments of_column = moments([&](const auto& row) { return f(row, c); });
      all.count[c] = static_cast<double>(of_column.count);
      all.mean[c] = of_column.mean;
      all.squares[c] = of_column.squares;
    }
    return all;
  }
  MAESTRO_HD PerColumn<capacity> column_means() const { return column_moments().mean; }
  template <class F>
  MAESTRO_HD double mean(const F& f) const {
    return moments(f).mean;
  }
  template <class F>
  MAESTRO_HD double largest(const F& f) const {
    double own = -static_cast<double>(INFINITY);
    for (std::size_t i = team_->rank(); i < size(); i += team_->size()) {
      const double x = value(f, i);
      if (x > own) own = x;
    }
    return team_->reduce(own, Larger{});
  }
  template <class F>
  MAESTRO_HD double smallest(const F& f) const {
    double own = static_cast<double>(INFINITY);
    for (std::size_t i = team_->rank(); i < size(); i += team_->size()) {
      const double x = value(f, i);
      if (x < own) own = x;
    }
    return team_->reduce(own, Smaller{});
  }

 private:
  template <class F>
  MAESTRO_HD double value(const F& f, std::size_t i) const {
    const RowType r = row(i);
    return r.present() ? static_cast<double>(f(r)) : static_cast<double>(NAN);
  }

  const T* team_;
  const DeviceRows<K>* rows_;
};

}  // namespace maestro::gpu
