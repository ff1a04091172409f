#pragma once

/// @file
/// The buffer of a learned Conductor: the responses that it learns from at its next update.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// ConductorBuffer holds entries (h, a, q, m, step), oldest first: hidden state (d), action, recorded propensities (K),
/// meta-reward (1, or K values if the estimator needs one per action) and the step of the observation.
class ConductorBuffer {
 public:
  struct Entry {
    std::span<const float> hidden;      ///< (d)
    std::int32_t action = 0;            ///< in [0, K)
    std::span<const float> propensity;  ///< (K)
    std::span<const float> meta;        ///< (1) or (K)
    std::uint32_t step = 0;
  };

  std::size_t size() const { return actions_.size(); }
  bool empty() const { return actions_.empty(); }
  /// Gives the hidden states (n x d). This view and those of the propensities (n x K) and meta-rewards (n x 1 or K) are
  /// valid until the buffer changes.
  MatrixView<const float> hidden() const { return rows_of(hidden_); }
  MatrixView<const float> propensities() const { return rows_of(propensities_); }
  MatrixView<const float> meta() const { return rows_of(meta_); }
  std::span<const std::int32_t> actions() const { return actions_; }
  std::span<const std::uint32_t> steps() const { return steps_; }

  /// Appends an entry; the first one sets the sizes.
  /// @throws BadArgument when the sizes differ from those of the entries kept.
  void push(const Entry& entry) {
    if (!empty() &&
        (entry.hidden.size() * size() != hidden_.size() || entry.propensity.size() * size() != propensities_.size() ||
         entry.meta.size() * size() != meta_.size())) {
      throw BadArgument("conductor buffer: the entry's sizes differ from those of the entries kept");
    }
    hidden_.insert(hidden_.end(), entry.hidden.begin(), entry.hidden.end());
    propensities_.insert(propensities_.end(), entry.propensity.begin(), entry.propensity.end());
    meta_.insert(meta_.end(), entry.meta.begin(), entry.meta.end());
    actions_.push_back(entry.action);
    steps_.push_back(entry.step);
  }
  /// Keeps the `capacity` newest entries; returns how many were dropped.
  std::size_t trim(std::size_t capacity) { return drop_oldest(size() > capacity ? size() - capacity : 0); }
  /// Drops leading entries observed more than max_age steps before `now`; returns how many.
  std::size_t drop_stale(std::uint32_t now, std::uint32_t max_age) {
    std::size_t count = 0;
    while (count < size() && now > steps_[count] && now - steps_[count] > max_age) ++count;
    return drop_oldest(count);
  }
  void clear() { drop_oldest(size()); }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("hidden", hidden_);
    v("propensities", propensities_);
    v("meta", meta_);
    v("actions", actions_);
    v("steps", steps_);
    const std::size_t n = size();
    const auto whole = [n](std::size_t values) { return n == 0 ? values == 0 : values != 0 && values % n == 0; };
    if (steps_.size() != n || !whole(hidden_.size()) || !whole(propensities_.size()) || !whole(meta_.size())) {
      throw BadFile("conductor buffer: the stored arrays do not have one row per entry");
    }
  }

 private:
  MatrixView<const float> rows_of(const AlignedVector<float>& values) const {
    return {values.data(), size(), empty() ? 0 : values.size() / size()};
  }
  std::size_t drop_oldest(std::size_t count) {
    if (count == 0) return 0;
    const auto cut = [&](auto& values) {
      values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / size() * count));
    };
    cut(hidden_);
    cut(propensities_);
    cut(meta_);
    steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(count));
    actions_.erase(actions_.begin(), actions_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
  }

  AlignedVector<float> hidden_;
  AlignedVector<float> propensities_;
  AlignedVector<float> meta_;
  std::vector<std::int32_t> actions_;
  std::vector<std::uint32_t> steps_;
};

}  // namespace maestro
