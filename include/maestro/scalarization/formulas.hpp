#pragma once

/// @file
/// The formulas of the scalarizations, one row or one group at a time. Neutral: host loops and kernels call them.

#include <cmath>
#include <cstddef>
#include <limits>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// R = sum_k w_k r_k - penalty. A missing reward (NaN) adds 0 and the weights are not renormalised (TRL); NaN where all
/// K are missing. Double, in index order, so equal rows with equal weights give equal bits.
template <class Reward, class Weight>
MAESTRO_HD double weighted_sum(std::size_t count, const Reward& reward, const Weight& weight, double penalty) {
  double sum = 0.0;
  bool any = false;
  for (std::size_t k = 0; k < count; ++k) {
    const auto value = static_cast<double>(reward(k));
    if (value != value) continue;
    any = true;
    sum += static_cast<double>(weight(k)) * value;
  }
  return any ? sum - penalty : std::numeric_limits<double>::quiet_NaN();
}

/// The moments after one of the values changes from `before` to `after`, in O(1):
/// mean' = mean + (after - before)/n, squares' = squares + (after - before)((after - mean') + (before - mean)).
/// Exact algebra; rounding leaves at most a few ulp of the larger of squares and squares', clamped at 0. No change
/// gives the same bits. Used where the values are spread over the batch; within a group the two passes are run again.
MAESTRO_HD inline Moments replace_one(const Moments& moments, double before, double after) {
  const double change = after - before;
  if (change == 0.0 || moments.count == 0) return moments;
  Moments result = moments;
  result.mean = moments.mean + change / static_cast<double>(moments.count);
  const double squares = moments.squares + change * ((after - result.mean) + (before - moments.mean));
  result.squares = squares > 0.0 ? squares : 0.0;
  return result;
}

/// (value - mean) / (deviation + epsilon); 0 where the denominator is 0, since then all values are equal.
MAESTRO_HD inline double standardise(double value, const Moments& moments, double deviation, double epsilon) {
  const double denominator = deviation + epsilon;
  return denominator > 0.0 ? (value - moments.mean) / denominator : 0.0;
}

/// (R - group mean) / (group deviation + epsilon).
struct GroupStandardise {
  int ddof = 1;
  double epsilon = 0.0;
  MAESTRO_HD double operator()(double reward, const Moments& group, const Moments&) const {
    return standardise(reward, group, group.deviation(ddof), epsilon);
  }
};

/// (R - group mean) / (batch deviation + epsilon).
struct BatchScale {
  int ddof = 1;
  double epsilon = 0.0;
  MAESTRO_HD double operator()(double reward, const Moments& group, const Moments& batch) const {
    return standardise(reward, group, batch.deviation(ddof), epsilon);
  }
};

/// (R - batch mean) / (batch deviation + epsilon).
struct BatchStandardise {
  int ddof = 1;
  double epsilon = 0.0;
  MAESTRO_HD double operator()(double reward, const Moments&, const Moments& batch) const {
    return standardise(reward, batch, batch.deviation(ddof), epsilon);
  }
};

/// R - group mean.
struct GroupCentre {
  MAESTRO_HD double operator()(double reward, const Moments& group, const Moments&) const {
    return reward - group.mean;
  }
};

/// R - mean of the others in the group = n/(n - 1) (R - group mean); 0 for a lone row.
struct LeaveOneOut {
  MAESTRO_HD double operator()(double reward, const Moments& group, const Moments&) const {
    if (group.count < 2) return 0.0;
    const auto n = static_cast<double>(group.count);
    return n / (n - 1.0) * (reward - group.mean);
  }
};

/// Rank in [0, 1] among the values that are not missing: mid-rank / (n - 1); 0.5 for a lone value and for ties of all.
template <class Get>
MAESTRO_HD double unit_rank(std::size_t count, std::size_t which, const Get& get) {
  std::size_t valid = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(get(i));
    if (value == value) ++valid;
  }
  return valid > 1 ? mid_rank(count, which, get) / static_cast<double>(valid - 1) : 0.5;
}

/// Advantage under a response's own weights: w.d / sqrt(w' C w + epsilon).
/// @param count      length of w and d, the order of C
/// @param weight     weight(k)
/// @param deviation  deviation(k): the response's reward minus the group's mean
/// @param covariance covariance(k, l) of the group
template <class Weight, class Deviation, class Covariance>
MAESTRO_HD double own_weight_advantage(std::size_t count, const Weight& weight, const Deviation& deviation,
                                       const Covariance& covariance, double epsilon) {
  double numerator = 0.0;
  double variance = 0.0;
  for (std::size_t k = 0; k < count; ++k) {
    const double w = weight(k);
    numerator += w * deviation(k);
    double row = 0.0;
    for (std::size_t l = 0; l < count; ++l) row += covariance(k, l) * weight(l);
    variance += w * row;
  }
  if (!(variance > 0.0)) return 0.0;  // then w.d is 0 too, but for rounding
  return numerator / std::sqrt(variance + epsilon);
}

}  // namespace maestro
