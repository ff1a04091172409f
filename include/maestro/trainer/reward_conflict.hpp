#pragma once

/// @file
/// The correlations of a step's rewards with each other and with the advantages.

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

namespace detail {

/// Subtracts the mean.
inline void subtract_mean(std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (double& value : values) value -= mean;
}

/// GroupColumn holds a column's values in one group, and their deviations from the mean if none is missing.
struct GroupColumn {
  std::vector<double> values;
  std::vector<double> deviations;  // empty if a value is missing

  void finish() {
    deviations.clear();
    for (const double value : values) {
      if (std::isnan(value)) return;
    }
    deviations = values;
    subtract_mean(deviations);
  }
};

/// PairSums sums the products of two columns whose values are centered in each group.
struct PairSums {
  double a_squares = 0.0;
  double b_squares = 0.0;
  double products = 0.0;

  /// Adds a group's values. Responses without one of the two values are left out, also of the means.
  void add(const GroupColumn& a, const GroupColumn& b) {
    if (!a.deviations.empty() && !b.deviations.empty()) return add_deviations(a.deviations, b.deviations);
    std::vector<double> a_common;
    std::vector<double> b_common;
    for (std::size_t i = 0; i < a.values.size(); ++i) {
      if (std::isnan(a.values[i]) || std::isnan(b.values[i])) continue;
      a_common.push_back(a.values[i]);
      b_common.push_back(b.values[i]);
    }
    subtract_mean(a_common);
    subtract_mean(b_common);
    add_deviations(a_common, b_common);
  }
  void add_deviations(std::span<const double> a, std::span<const double> b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
      a_squares = multiply_add(a[i], a[i], a_squares);
      b_squares = multiply_add(b[i], b[i], b_squares);
      products = multiply_add(a[i], b[i], products);
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
  std::vector<detail::GroupColumn> columns(count + 1);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    for (detail::GroupColumn& column : columns) column.values.clear();
    for (std::size_t i = groups.begin(g); i < groups.end(g); ++i) {
      for (std::size_t k = 0; k < count; ++k) columns[k].values.push_back(static_cast<double>(scores(i, k)));
      columns[count].values.push_back(static_cast<double>(advantages[i]));
    }
    for (detail::GroupColumn& column : columns) column.finish();
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
