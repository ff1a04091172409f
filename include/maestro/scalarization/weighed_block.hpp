#pragma once

/// @file
/// What every scalarization starts from: the checked, normalized and weighed rewards of one block of groups. Neutral.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/core/views.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/checks.hpp"
#include "maestro/scalarization/group_blocks.hpp"
#include "maestro/scalarization/lanes.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

namespace detail {

/// Asks for values that are read soon, into the second-level cache: the first is full of the block at hand. Inlined
/// always, since gcc removes calls of functions that do nothing else.
[[gnu::always_inline]] inline void prefetch(const float* values, std::size_t count) {
#if defined(__GNUC__) && !defined(__CUDACC__)
  constexpr std::size_t cache_line = 64 / sizeof(float);
  for (std::size_t i = 0; i < count; i += cache_line) __builtin_prefetch(values + i, 0, 2);
#else
  (void)values;
  (void)count;
#endif
}

}  // namespace detail

/// Whether the weights under the other actions are needed too.
enum class Actions {
  own,  ///< the weights of the action taken
  all,  ///< of every action
};

/// The rewards and weights of one block. One thread reuses it for block after block; nothing is allocated once the
/// largest block has been seen. Arrays are in lanes (group_blocks.hpp): (size x K x groups) or (size x groups).
class WeighedBlock {
 public:
  /// @param normalizers  applied in turn to each reward; must outlive this
  WeighedBlock(const ScalarizationInput& in, std::span<const Normalizer> normalizers, Actions actions)
      : in_(in), normalizers_(normalizers), actions_(actions) {}

  /// Turns to the rows of `block`. False if a value is not admissible; throw_bad_value then says which.
  bool read(const GroupBlock& block) {
    turn_to(block);
    return check_values();
  }

  /// Turns to the rows of `block` and computes R from the rewards as they come; NaN if a row is left out. False as
  /// for read().
  /// @param scalars  (size x groups)
  bool read_scalars(const GroupBlock& block, AlignedVector<double>& scalars) {
    // If no value is missing, infinite or NaN, no sum of products is: so the sums answer for all of them. A block
    // that follows one with a missing reward is likely to have one too.
    turn_to(block);
    scalars.resize(block_.places());
    if (!missing_) {
      weigh_rows(scalars);
      if (count() > 0 && sums_are_finite(scalars)) return true;
    }
    if (!check_values()) return false;
    weigh_rows(scalars);
    return true;
  }

  const GroupBlock& block() const { return block_; }
  /// K.
  std::size_t count() const { return in_.rewards.cols(); }
  /// Whether some reward is missing, or some place empty.
  bool gaps() const { return missing_ || !block_.uniform(); }
  double emphasis() const { return static_cast<double>(in_.decision.emphasis); }
  /// Whether member j of group g is not there, or has no reward.
  bool left_out(std::size_t g, std::size_t j) const {
    return j >= block_.size_of(g) || (missing_ && left_out_[block_.first(g) + j] != 0);
  }
  /// Whether member j of group g took `action`.
  bool drew(std::size_t g, std::size_t j, std::size_t action) const {
    const auto& actions = in_.decision.actions;
    return !actions.empty() && static_cast<std::size_t>(actions[block_.offsets[g] + j]) == action;
  }

  /// Makes rewards(), weights() and, for Actions::all, base() ready: puts the block in lanes and normalizes.
  void make_lanes() {
    const std::size_t rows = block_.rows();
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    detail::to_lanes(block_, MatrixView<const float>(rewards_, rows, count()), nan, reward_lanes_);
    detail::to_lanes(block_, in_.decision.weights.view().middle_rows(block_.begin(), rows), 0.0, weight_lanes_);
    if (actions_ == Actions::all) {
      detail::to_lanes(block_, in_.decision.base.view().middle_rows(block_.begin(), rows), 0.0, base_lanes_);
    }
    for (const Normalizer& normalizer : normalizers_) {
      normalize_(normalizer, block_.size, count() * block_.groups(), gaps(), reward_lanes_.data());
    }
    if (in_.penalty.empty()) {
      penalty_lanes_.assign(block_.places(), 0.0);
    } else {
      const MatrixView<const float> penalty(in_.penalty.data() + block_.begin(), rows, 1);
      detail::to_lanes(block_, penalty, 0.0, penalty_lanes_);
    }
  }
  /// Lets every missing reward be 0, its part in a weighted sum.
  void zero_missing() {
    if (!gaps()) return;
    for (double& value : reward_lanes_) value = present_or_zero(value);
  }

  /// Member j's normalized reward k in every group (groups).
  const double* reward(std::size_t j, std::size_t k) const { return lane(reward_lanes_, j, k); }
  /// w_k of the action taken.
  const double* weight(std::size_t j, std::size_t k) const { return lane(weight_lanes_, j, k); }
  /// The part of w_k that does not depend on the action.
  const double* base(std::size_t j, std::size_t k) const { return lane(base_lanes_, j, k); }
  const double* penalty(std::size_t j) const { return penalty_lanes_.data() + j * block_.groups(); }

  /// R from the lanes after zero_missing(); NaN if a row is left out.
  /// @param scalars  (size x groups)
  void scalars(AlignedVector<double>& scalars) const {
    scalars.resize(block_.places());
    for (std::size_t j = 0; j < block_.size; ++j) {
      weigh(j, weight_lanes_, count(), scalars.data() + j * block_.groups());
    }
    if (gaps()) mark_left_out(scalars.data());
  }
  /// R had member j drawn `action`; any number if the row is left out.
  /// @param scalars  (groups)
  void scalars(std::size_t j, std::size_t action, double* scalars) const { weigh(j, base_lanes_, action, scalars); }

 private:
  const float* rows_of(const Matrix<float>& matrix) const { return matrix.data() + block_.begin() * count(); }
  const double* lane(const AlignedVector<double>& lanes, std::size_t j, std::size_t k) const {
    return lanes.data() + (j * count() + k) * block_.groups();
  }

  /// Sets block_ and points rewards_ at its rewards, row after row.
  void turn_to(const GroupBlock& block) {
    block_ = block;
    const auto rewards = in_.rewards.middle_rows(block_.begin(), block_.rows());
    rewards_ = rewards.data();
    if (in_.rewards.contiguous()) return;
    packed_.clear();
    for (std::size_t i = 0; i < rewards.rows(); ++i) {
      packed_.insert(packed_.end(), rewards.row(i).begin(), rewards.row(i).end());
    }
    rewards_ = packed_.data();
  }

  /// Whether all values are admissible; finds the missing ones.
  bool check_values() {
    const std::size_t values = block_.rows() * count();
    const std::uint32_t largest = largest_magnitude(rewards_, values);
    missing_ = largest > infinity_bits || count() == 0;
    if (missing_) fill_gaps();
    const bool infinite = missing_ ? any_infinite(rewards_, values) : largest == infinity_bits;
    const auto penalty = in_.penalty.empty() ? in_.penalty : in_.penalty.subspan(block_.begin(), block_.rows());
    return !infinite && all_finite(rows_of(in_.decision.weights), values) &&
           (actions_ == Actions::own || all_finite(rows_of(in_.decision.base), values)) &&
           all_finite(penalty.data(), penalty.size());
  }

  /// Whether R of every row of the block is finite; empty places are not asked.
  bool sums_are_finite(const AlignedVector<double>& scalars) const {
    std::uint64_t bad = 0;
    if (block_.uniform()) {
      for (const double sum : scalars) bad |= sum - sum != 0.0 ? 1u : 0u;
      return bad == 0;
    }
    for (std::size_t g = 0; g < block_.groups(); ++g) {
      for (std::size_t j = 0; j < block_.size_of(g); ++j) {
        const double sum = scalars[j * block_.groups() + g];
        bad |= sum - sum != 0.0 ? 1u : 0u;
      }
    }
    return bad == 0;
  }

  /// Fills left_out_, and filled_ with the rewards, 0 for the missing ones.
  void fill_gaps() {
    left_out_.resize(block_.rows());
    filled_.resize(block_.rows() * count());
    for (std::size_t i = 0; i < filled_.size(); ++i) filled_[i] = present_or_zero(rewards_[i]);
    detail::with_count(count(), [&](auto constant) {
      for (std::size_t i = 0; i < block_.rows(); ++i) {
        unsigned present = 0;
        for (std::size_t k = 0; k < constant; ++k) {
          const float reward = rewards_[i * constant + k];
          present |= reward == reward ? 1u : 0u;
        }
        left_out_[i] = present == 0 ? 1 : 0;
      }
    });
  }

  /// Asks for the rows that lie one block further than group g: bit by bit, so that memory works while we do.
  [[gnu::always_inline]] void prefetch_next(std::size_t g) const {
    const std::size_t ahead = block_.rows() + block_.first(g);
    if (block_.begin() + ahead + block_.size_of(g) > in_.rewards.rows()) return;
    const std::size_t values = block_.size_of(g) * count();
    detail::prefetch(in_.rewards.data() + (block_.begin() + ahead) * in_.rewards.stride(), values);
    detail::prefetch(rows_of(in_.decision.weights) + ahead * count(), values);
  }

  /// R of every row, NaN if it is left out.
  void weigh_rows(AlignedVector<double>& scalars) {
    terms_.resize(block_.rows() * count());
    detail::with_count(count(), [&](auto constant) { weigh_rows(constant, scalars.data()); });
    if (gaps()) mark_left_out(scalars.data());
  }
  /// weighted_sum of every row, the products first: over all rows at once they vectorize, and they are exact.
  template <class Count>
  void weigh_rows(Count constant, double* scalars) {
    const float* weights = rows_of(in_.decision.weights);
    const float* rewards = missing_ ? filled_.data() : rewards_;
    for (std::size_t i = 0; i < terms_.size(); ++i) {
      terms_[i] = static_cast<double>(weights[i]) * static_cast<double>(rewards[i]);
    }
    const double* terms = terms_.data();
    const float* penalty = in_.penalty.empty() ? nullptr : in_.penalty.data() + block_.begin();
    const std::size_t groups = block_.groups();
    for (std::size_t g = 0; g < groups; ++g) {
      const std::size_t size = block_.size_of(g);
      prefetch_next(g);
      for (std::size_t j = 0; j < size; ++j, terms += constant) {
        double sum = 0.0;
        for (std::size_t k = 0; k < constant; ++k) sum += terms[k];
        scalars[j * groups + g] = sum;
      }
      if (penalty == nullptr) continue;
      for (std::size_t j = 0; j < size; ++j) scalars[j * groups + g] -= static_cast<double>(*penalty++);
    }
  }

  void mark_left_out(double* scalars) const {
    for (std::size_t g = 0; g < block_.groups(); ++g) {
      for (std::size_t j = 0; j < block_.size; ++j) {
        if (left_out(g, j)) scalars[j * block_.groups() + g] = std::numeric_limits<double>::quiet_NaN();
      }
    }
  }

  /// sums (groups) = sum_k w_k r_k - penalty of member j, the weight of reward `action` larger by the emphasis.
  void weigh(std::size_t j, const AlignedVector<double>& weights, std::size_t action, double* sums) const {
    const std::size_t groups = block_.groups();
    std::fill_n(sums, groups, 0.0);
    for (std::size_t k = 0; k < count(); ++k) {
      const double more = k == action ? emphasis() : 0.0;
      const double* weight = lane(weights, j, k);
      const double* reward = lane(reward_lanes_, j, k);
      for (std::size_t g = 0; g < groups; ++g) sums[g] = multiply_add(weight[g] + more, reward[g], sums[g]);
    }
    const double* less = penalty(j);
    for (std::size_t g = 0; g < groups; ++g) sums[g] -= less[g];
  }

  ScalarizationInput in_;
  std::span<const Normalizer> normalizers_;
  Actions actions_;
  GroupBlock block_;
  const float* rewards_ = nullptr;  // (rows x K)
  bool missing_ = false;            // whether one of them is
  std::vector<float> packed_;
  std::vector<float> filled_;
  std::vector<unsigned char> left_out_;  // (rows) 1 if every reward is missing
  AlignedVector<double> terms_;
  AlignedVector<double> reward_lanes_;
  AlignedVector<double> weight_lanes_;
  AlignedVector<double> base_lanes_;
  AlignedVector<double> penalty_lanes_;
  detail::LaneNormalizer normalize_;
};

}  // namespace maestro
