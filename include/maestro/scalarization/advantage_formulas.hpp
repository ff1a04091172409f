#pragma once

/// @file
/// Formulas that several advantage estimators share. Neutral: host loops and kernels call them.

#include <cmath>
#include <cstddef>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// AdvantageLine is an advantage (or z-score) as an affine function of a value: factor (value - center) / divisor.
struct AdvantageLine {
  double center = 0.0;
  double factor = 1.0;
  double divisor = 1.0;
  MAESTRO_HD double operator()(double value) const { return factor * (value - center) / divisor; }
};

/// Gives the line (value - mean) / (std_dev + epsilon); it is 0 if the denominator is 0, since all values are equal
/// then.
MAESTRO_HD inline AdvantageLine standardized(double mean, double std_dev, double epsilon) {
  const double denominator = std_dev + epsilon;
  return {mean, denominator > 0.0 ? 1.0 : 0.0, denominator > 0.0 ? denominator : 1.0};
}

/// Gives the mean of `count` values after one of them changes from `before` to `after`: mean + (after - before)/count.
/// Without a change, or without values, the bits stay the same.
MAESTRO_HD inline double replace_one(double count, double mean, double before, double after) {
  return mean + (count > 0.0 ? after - before : 0.0) / (count > 0.0 ? count : 1.0);
}

/// Gives the moments after one of the values changes from `before` to `after`, in O(1): mean' = mean + (after -
/// before)/n, squares' = squares + (after - before)((after - mean') + (before - mean)). Exact algebra; rounding leaves
/// at most a few ulp of the larger of squares and squares', clamped at 0. No change gives the same bits.
MAESTRO_HD inline Moments replace_one(const Moments& moments, double before, double after) {
  const double change = after - before;
  const double mean = replace_one(static_cast<double>(moments.count), moments.mean, before, after);
  const double squares = multiply_add(change, (after - mean) + (before - moments.mean), moments.squares);
  return {moments.count, mean, squares > 0.0 ? squares : 0.0};
}

/// Gives the moments of f(row) over a group after a row has changed. It uses replace_one(); if few digits would be
/// left, it reads the group again, so that values that have become equal give exactly 0 as squares. O(1), rarely O(n).
/// @param before, after  f of the row before and after
/// @param group          the group with the row as it is after
template <class G, class F>
MAESTRO_HD Moments replace_in_group(const Moments& moments, double before, double after, const G& group, const F& f) {
  const double change = after - before;
  const Moments quick = replace_one(moments, before, after);
  if (quick.squares > 1e-6 * (moments.squares + change * change)) {
    return {quick.count, quick.mean, quick.squares};  // not a copy, which would wait for the parts
  }
  return change == 0.0 ? moments : group.moments(f);
}

/// Gives the rank in [0, 1] among n = `valid` values that are not missing: mid-rank / (n - 1). It is 0.5 for a single
/// value and if all are equal.
/// @param mid_rank  0 for the smallest, ties share their mean rank
MAESTRO_HD inline double unit_rank(double mid_rank, double valid) {
  const bool alone = valid < 2.0;
  return (alone ? 0.5 : mid_rank) / (alone ? 1.0 : valid - 1.0);
}

}  // namespace maestro
