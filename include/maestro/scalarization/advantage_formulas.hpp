#pragma once

/// @file
/// The formulas of the scalarizations, one row or one group at a time. Neutral: host loops and kernels call them.

#include <cmath>
#include <cstddef>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// A reward as it enters a weighted sum: 0 if it is missing (TRL; the weights are not renormalized).
template <class Reward>
MAESTRO_HD Reward present_or_zero(Reward reward) {
  return reward == reward ? reward : Reward{0};
}

/// R = sum_k w_k r_k - penalty, a missing reward (NaN) adding 0; NaN if all K are missing. Double, in index order,
/// so equal rows with equal weights give equal bits.
template <class Reward, class Weight>
MAESTRO_HD double weighted_sum(std::size_t count, const Reward& reward, const Weight& weight, double penalty) {
  double sum = 0.0;
  bool any = false;
  for (std::size_t k = 0; k < count; ++k) {
    const auto value = static_cast<double>(reward(k));
    any = any || value == value;
    sum = multiply_add(static_cast<double>(weight(k)), present_or_zero(value), sum);
  }
  return any ? sum - penalty : static_cast<double>(NAN);
}

/// The mean of `count` values after one of them changes from `before` to `after`: mean + (after - before)/count.
/// No change, or no values at all, gives the same bits.
MAESTRO_HD inline double replace_one(double count, double mean, double before, double after) {
  return mean + (count > 0.0 ? after - before : 0.0) / (count > 0.0 ? count : 1.0);
}

/// The moments after one of the values changes from `before` to `after`, in O(1):
/// mean' = mean + (after - before)/n, squares' = squares + (after - before)((after - mean') + (before - mean)).
/// Exact algebra; rounding leaves at most a few ulp of the larger of squares and squares', clamped at 0. No change
/// gives the same bits. Used where the values are spread over the batch; within a group the two passes are run again.
MAESTRO_HD inline Moments replace_one(const Moments& moments, double before, double after) {
  const double change = after - before;
  Moments result = moments;
  result.mean = replace_one(static_cast<double>(moments.count), moments.mean, before, after);
  const double squares = multiply_add(change, (after - result.mean) + (before - moments.mean), moments.squares);
  result.squares = squares > 0.0 ? squares : 0.0;
  return result;
}

/// MomentUse says what a formula reads of the moments of the row's group, or of the batch.
enum class MomentUse { none, mean, std_dev };

/// Figures are what a formula may read of the group, and of the batch.
struct Figures {
  double count = 0.0;
  double mean = 0.0;
  double std_dev = 0.0;  ///< with the ddof that the formula asks for
};

/// Gives the figures of the moments, the deviation with `ddof`.
MAESTRO_HD inline Figures figures_of(const Moments& moments, int ddof) {
  return {static_cast<double>(moments.count), moments.mean, moments.std_dev(ddof)};
}

/// An advantage (or z-score) as a function of the value that it judges: factor (value - center) / divisor.
struct AdvantageLine {
  double center = 0.0;
  double factor = 1.0;
  double divisor = 1.0;
  MAESTRO_HD double operator()(double value) const { return factor * (value - center) / divisor; }
};

/// (value - mean) / (deviation + epsilon); 0 if the denominator is 0, since then all values are equal.
MAESTRO_HD inline AdvantageLine standardized(double mean, double std_dev, double epsilon) {
  const double denominator = std_dev + epsilon;
  return {mean, denominator > 0.0 ? 1.0 : 0.0, denominator > 0.0 ? denominator : 1.0};
}

/// (R - group mean) / (group deviation + epsilon).
struct GroupStandardize {
  static constexpr MomentUse group = MomentUse::std_dev;
  static constexpr MomentUse batch = MomentUse::none;
  int ddof = 1;
  double epsilon = 0.0;
  MAESTRO_HD AdvantageLine operator()(const Figures& own, const Figures&) const {
    return standardized(own.mean, own.std_dev, epsilon);
  }
};

/// (R - group mean) / (batch deviation + epsilon).
struct BatchScale {
  static constexpr MomentUse group = MomentUse::mean;
  static constexpr MomentUse batch = MomentUse::std_dev;
  int ddof = 1;
  double epsilon = 0.0;
  MAESTRO_HD AdvantageLine operator()(const Figures& own, const Figures& all) const {
    return standardized(own.mean, all.std_dev, epsilon);
  }
};

/// (R - batch mean) / (batch deviation + epsilon).
struct BatchStandardize {
  static constexpr MomentUse group = MomentUse::none;
  static constexpr MomentUse batch = MomentUse::std_dev;
  int ddof = 1;
  double epsilon = 0.0;
  MAESTRO_HD AdvantageLine operator()(const Figures&, const Figures& all) const {
    return standardized(all.mean, all.std_dev, epsilon);
  }
};

/// R - group mean.
struct GroupCenter {
  static constexpr MomentUse group = MomentUse::mean;
  static constexpr MomentUse batch = MomentUse::none;
  static constexpr int ddof = 1;  // not read
  MAESTRO_HD AdvantageLine operator()(const Figures& own, const Figures&) const { return {own.mean, 1.0, 1.0}; }
};

/// R - mean of the others in the group = n/(n - 1) (R - group mean); 0 for a lone row.
struct LeaveOneOut {
  static constexpr MomentUse group = MomentUse::mean;
  static constexpr MomentUse batch = MomentUse::none;
  static constexpr int ddof = 1;  // not read
  MAESTRO_HD AdvantageLine operator()(const Figures& own, const Figures&) const {
    const bool alone = own.count < 2.0;
    return {own.mean, (alone ? 0.0 : own.count) / (alone ? 1.0 : own.count - 1.0), 1.0};
  }
};

/// Rank in [0, 1] among `valid` values that are not missing: mid-rank / (n - 1); 0.5 for a lone value and for ties of
/// all.
/// @param mid_rank  0 for the smallest, ties share their mean rank
MAESTRO_HD inline double unit_rank(double mid_rank, double valid) {
  const bool alone = valid < 2.0;
  return (alone ? 0.5 : mid_rank) / (alone ? 1.0 : valid - 1.0);
}

/// Advantage under a response's own weights w: w.d / sqrt(w' C w + epsilon); 0 if w' C w is 0, since then w.d is 0
/// too, but for rounding.
/// @param projection  w.d, d the response's rewards minus the group's means
/// @param variance    w' C w, C the group's covariance
/// @param root        sqrt(variance + epsilon)
MAESTRO_HD inline double own_weight_advantage(double projection, double variance, double root) {
  return variance > 0.0 ? projection / root : 0.0;
}

}  // namespace maestro
