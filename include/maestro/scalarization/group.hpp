#pragma once

/// @file
/// One group as an advantage estimator reads it: its rows, and statistics of them. Neutral.

#include <cmath>
#include <cstddef>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

/// PerColumn holds one number for every column of a group (see Row).
template <std::size_t Capacity>
struct PerColumn {
  double of[Capacity];
  MAESTRO_HD double operator[](std::size_t c) const { return of[c]; }
  MAESTRO_HD double& operator[](std::size_t c) { return of[c]; }
};

/// ColumnMoments holds the count, the mean and the sum of squared deviations of every column.
template <std::size_t Capacity>
struct ColumnMoments {
  PerColumn<Capacity> count;
  PerColumn<Capacity> mean;
  PerColumn<Capacity> squares;

  /// Gives sqrt(squares / (count - ddof)) of a column, and 0 if there are no more than ddof values.
  MAESTRO_HD double std_dev(std::size_t c, int ddof) const {
    const double degrees = count[c] - ddof;
    return degrees > 0.0 ? std::sqrt(squares[c] / degrees) : 0.0;
  }
};

/// Computes the moments of `width` columns side by side, with the bits of moments_of(). The sums are local variables,
/// so that loops over the columns vectorize.
/// @tparam Squares  whether the sums of squared deviations are computed; if not, they are 0.
/// @param gaps  whether a value may be missing (NaN).
/// @param get   get(i, c) gives the value of row i and column c.
template <bool Squares, std::size_t Capacity, class Get>
MAESTRO_HD ColumnMoments<Capacity> column_moments_of(std::size_t size, std::size_t width, bool gaps, const Get& get) {
  PerColumn<Capacity> count{};
  PerColumn<Capacity> first{};
  PerColumn<Capacity> mean{};
  PerColumn<Capacity> squares{};
  if (size == 0) return {count, mean, squares};
  for (std::size_t c = 0; c < width; ++c) {
    first[c] = get(0, c);
    count[c] = gaps ? 0.0 : static_cast<double>(size);
  }
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t c = 0; c < width; ++c) {
      const double value = get(i, c);
      if (gaps) {
        if (value != value) continue;
        if (count[c] == 0.0) first[c] = value;
        count[c] += 1.0;
      }
      mean[c] += value - first[c];
    }
  }
  for (std::size_t c = 0; c < width; ++c) {
    mean[c] = count[c] > 0.0 ? first[c] + mean[c] / count[c] : 0.0;
  }
  for (std::size_t i = 0; Squares && i < size; ++i) {
    for (std::size_t c = 0; c < width; ++c) {
      const double gap = get(i, c) - mean[c];
      if (gaps && gap != gap) continue;
      squares[c] = multiply_add(gap, gap, squares[c]);
    }
  }
  return {count, mean, squares};
}

/// TotalOf gives the scalar reward of a row. Most statistics of a group are made of it.
struct TotalOf {
  template <class R>
  MAESTRO_HD double operator()(const R& row) const {
    return row.total();
  }
};

/// ValueOf gives the reward in a column of a row.
struct ValueOf {
  template <class R>
  MAESTRO_HD double operator()(const R& row, std::size_t c) const {
    return row.value(c);
  }
};

/// SerialGroup is a group whose statistics one thread computes, in index order, from the rows that are not left out.
///
/// Statistics are of a function of a row. All of them but `sum` and `add_up` skip NaN (a missing reward). TeamGroup of
/// cuda/scalarization/team_group.hpp has the same members; there a team of threads computes each statistic, and every
/// thread gets it.
/// @tparam L  the layout of the rows: see Row.
template <class L>
class SerialGroup {
 public:
  static constexpr std::size_t capacity = L::capacity;
  using RowType = Row<L>;

  MAESTRO_HD explicit SerialGroup(const L& rows) : rows_(&rows) {}

  /// Gives the number of rows, those left out included.
  MAESTRO_HD std::size_t size() const { return rows_->size; }
  /// Gives n, the number of rows that are not left out.
  MAESTRO_HD double count() const { return static_cast<double>(rows_->present); }
  /// Gives K, the number of rewards.
  MAESTRO_HD std::size_t num_rewards() const { return rows_->num_rewards(); }
  /// Gives the number of columns to loop over: see Row.
  MAESTRO_HD std::size_t width() const { return rows_->width(); }
  MAESTRO_HD RowType row(std::size_t i) const {
    return changed_ != nullptr && changed_->index() == i ? *changed_ : rows_->row(i);
  }
  /// Gives the group in which `row` replaces the row of the same index. `row` must outlive it.
  MAESTRO_HD SerialGroup with(const RowType& row) const {
    SerialGroup group = *this;
    group.changed_ = &row;
    return group;
  }

  /// Gives the sum of f(row).
  template <class F>
  MAESTRO_HD double sum(const F& f) const {
    double total = 0.0;
    for (std::size_t i = 0; i < size(); ++i) {
      const RowType r = row(i);
      if (r.present()) total += f(r);
    }
    return total;
  }
  /// Sets sums[0] .. sums[count - 1] to 0, and calls f(row, sums), which adds to them, for every row: many sums in one
  /// walk.
  template <class F>
  MAESTRO_HD void add_up(std::size_t count, double* sums, const F& f) const {
    for (std::size_t c = 0; c < count; ++c) sums[c] = 0.0;
    for (std::size_t i = 0; i < size(); ++i) {
      const RowType r = row(i);
      if (r.present()) f(r, sums);
    }
  }
  /// Gives count, mean and sum of squared deviations of f(row).
  template <class F>
  MAESTRO_HD Moments moments(const F& f) const {
    return moments_of(size(), [&](std::size_t i) { return value(f, i); });
  }
  /// Gives the same of f(row, c) for every column c < width().
  template <class F = ValueOf>
  MAESTRO_HD ColumnMoments<capacity> column_moments(const F& f = {}) const {
    return column_moments_of<true, capacity>(size(), width(), rows_->has_gaps(),
                                             [&](std::size_t i, std::size_t c) { return f(row(i), c); });
  }
  /// Gives the mean of every column.
  MAESTRO_HD PerColumn<capacity> column_means() const {
    const auto value = [&](std::size_t i, std::size_t c) { return row(i).value(c); };
    return column_moments_of<false, capacity>(size(), width(), rows_->has_gaps(), value).mean;
  }
  /// Gives the mean of f(row). If all values are equal, it is exactly that value; if there is none, it is 0.
  template <class F>
  MAESTRO_HD double mean(const F& f) const {
    return mean_of(size(), [&](std::size_t i) { return value(f, i); });
  }
  /// Gives the largest f(row), and minus infinity if there is no value.
  template <class F>
  MAESTRO_HD double largest(const F& f) const {
    double most = -static_cast<double>(INFINITY);
    for (std::size_t i = 0; i < size(); ++i) {
      const double x = value(f, i);
      if (x > most) most = x;
    }
    return most;
  }
  /// Gives the smallest f(row), and infinity if there is no value.
  template <class F>
  MAESTRO_HD double smallest(const F& f) const {
    double least = static_cast<double>(INFINITY);
    for (std::size_t i = 0; i < size(); ++i) {
      const double x = value(f, i);
      if (x < least) least = x;
    }
    return least;
  }

 private:
  template <class F>
  MAESTRO_HD double value(const F& f, std::size_t i) const {
    const RowType r = row(i);
    return r.present() ? static_cast<double>(f(r)) : static_cast<double>(NAN);
  }

  const L* rows_;
  const RowType* changed_ = nullptr;
};

}  // namespace maestro
