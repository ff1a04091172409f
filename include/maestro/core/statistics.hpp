#pragma once

/// @file
/// Sums, moments and ranks in double, in index order. Moments take two passes: first the mean, then the squared
/// deviations. NaN marks a missing value; every function here skips it and counts what is left. Neutral.

#include <cmath>
#include <cstddef>

#include "maestro/core/platform.hpp"

namespace maestro {

/// Computes a b + c, rounded once if the processor has a fast instruction for it. A compiler that is free to choose
/// fuses the operations in some copies of a loop and not in others; the bits would then depend on a value's place in
/// its array.
MAESTRO_HD inline double multiply_add(double a, double b, double c) {
#if defined(__FP_FAST_FMA) || defined(__CUDA_ARCH__)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

/// Moments holds the count, the mean and the sum of squared deviations of the values that are not missing.
struct Moments {
  std::size_t count = 0;
  double mean = 0.0;
  double squares = 0.0;  ///< sum of (x - mean)^2; exactly 0 if all values are equal

  /// Gives squares / (count - ddof), and 0 if there are no more than ddof values.
  MAESTRO_HD double variance(int ddof) const {
    const auto degrees = static_cast<double>(count) - ddof;
    return degrees > 0.0 ? squares / degrees : 0.0;
  }
  MAESTRO_HD double std_dev(int ddof) const { return std::sqrt(variance(ddof)); }
};

/// Gives the moments of two sets together, of which `a` comes first. If all values are equal, `squares` stays exactly
/// 0.
/// Source: Chan, Golub, LeVeque 1983.
MAESTRO_HD inline Moments merge(const Moments& a, const Moments& b) {
  if (a.count == 0) return b;
  if (b.count == 0) return a;
  const auto of_a = static_cast<double>(a.count);
  const auto of_b = static_cast<double>(b.count);
  const double change = b.mean - a.mean;
  return {a.count + b.count, a.mean + change * (of_b / (of_a + of_b)),
          a.squares + b.squares + change * change * (of_a * of_b / (of_a + of_b))};
}

/// Gives the moments of get(0), ..., get(count - 1); NaN is skipped. Values are summed relative to the first one, so
/// that equal values give exactly their own value as mean and exactly 0 as `squares`.
template <class Get>
MAESTRO_HD Moments moments_of(std::size_t count, const Get& get) {
  Moments result;
  double first = 0.0;
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(get(i));
    if (value != value) continue;
    if (result.count == 0) first = value;
    sum += value - first;
    ++result.count;
  }
  if (result.count == 0) return result;
  result.mean = first + sum / static_cast<double>(result.count);
  for (std::size_t i = 0; i < count; ++i) {
    const double deviation = static_cast<double>(get(i)) - result.mean;
    if (deviation == deviation) result.squares = multiply_add(deviation, deviation, result.squares);
  }
  return result;
}

/// Gives the mean of get(0), ..., get(count - 1), with the bits of moments_of(). NaN is skipped; the mean of no values
/// is 0.
template <class Get>
MAESTRO_HD double mean_of(std::size_t count, const Get& get) {
  double first = 0.0;
  double sum = 0.0;
  double present = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(get(i));
    if (value != value) continue;
    if (present == 0.0) first = value;
    sum += value - first;
    present += 1.0;
  }
  return present > 0.0 ? first + sum / present : 0.0;
}

/// Gives the moments of a contiguous array.
template <class T>
MAESTRO_HD Moments moments_of(const T* values, std::size_t count) {
  return moments_of(count, [values](std::size_t i) { return values[i]; });
}

/// Gives the sum in double, in index order.
template <class T>
MAESTRO_HD double ordered_sum(const T* values, std::size_t count) {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]);
  return sum;
}

/// Gives the mid-rank of get(which) among the values that are not missing: 0 for the smallest; ties share their mean
/// rank. O(count).
template <class Get>
MAESTRO_HD double mid_rank(std::size_t count, std::size_t which, const Get& get) {
  const auto own = get(which);
  std::size_t below = 0;
  std::size_t equal = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = get(i);
    if (value < own) ++below;
    if (value == own) ++equal;
  }
  return static_cast<double>(below) + 0.5 * (static_cast<double>(equal) - 1.0);
}

}  // namespace maestro
