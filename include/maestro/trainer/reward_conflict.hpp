#pragma once

/// @file
/// The correlations of a step's rewards with each other and with the advantages.

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/views.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

namespace detail {

/// PairSums sums the products of two columns whose values are centered in each group.
struct PairSums {
  double a_squares = 0.0;
  double b_squares = 0.0;
  double products = 0.0;

  /// Adds a group's values. Responses without one of the two values are left out.
  void add(std::span<const double> a, std::span<const double> b) {
    double a_mean = 0.0;
    double b_mean = 0.0;
    double count = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(a[i]) || std::isnan(b[i])) continue;
      a_mean += a[i];
      b_mean += b[i];
      count += 1.0;
    }
    if (count == 0.0) return;
    a_mean /= count;
    b_mean /= count;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::isnan(a[i]) || std::isnan(b[i])) continue;
      a_squares += (a[i] - a_mean) * (a[i] - a_mean);
      b_squares += (b[i] - b_mean) * (b[i] - b_mean);
      products += (a[i] - a_mean) * (b[i] - b_mean);
    }
  }
  /// Gives the correlation; NaN if one of the two does not vary.
  double correlation() const {
    constexpr double least = 1e-20;  // rounding of the means leaves so much of values that are equal
    if (!(a_squares > least) || !(b_squares > least)) return std::nan("");
    return products / std::sqrt(a_squares * b_squares);
  }
};

}  // namespace detail

/// Fills RewardFigures::advantage_correlation and RewardFigures::correlations of report.rewards, which has K entries:
///
///     r(a, b) = sum (a_i - mean of a in the group)(b_i - mean of b in the group) / sqrt(the sums of their squares)
///
/// over all responses that have both values. It is deterministic and takes O(B K^2).
/// @param scores      (B x K), NaN if a reward does not apply.
/// @param advantages  (B)
inline void describe_conflict(MatrixView<const float> scores, std::span<const float> advantages, const Groups& groups,
                              StepReport& report) {
  const std::size_t count = scores.cols();
  std::vector<detail::PairSums> with_advantage(count);
  std::vector<detail::PairSums> pairs(count * count);
  std::vector<std::vector<double>> columns(count + 1);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    for (std::vector<double>& column : columns) column.clear();
    for (std::size_t i = groups.begin(g); i < groups.end(g); ++i) {
      for (std::size_t k = 0; k < count; ++k) columns[k].push_back(static_cast<double>(scores(i, k)));
      columns[count].push_back(static_cast<double>(advantages[i]));
    }
    for (std::size_t k = 0; k < count; ++k) {
      with_advantage[k].add(columns[k], columns[count]);
      for (std::size_t other = k + 1; other < count; ++other) pairs[k * count + other].add(columns[k], columns[other]);
    }
  }
  for (std::size_t k = 0; k < count; ++k) {
    report.rewards[k].advantage_correlation = with_advantage[k].correlation();
    report.rewards[k].correlations.clear();
    for (std::size_t other = k + 1; other < count; ++other) {
      report.rewards[k].correlations.push_back(pairs[k * count + other].correlation());
    }
  }
}

}  // namespace maestro
