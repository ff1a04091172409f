#pragma once

/// @file
/// The figures of a step's rewards and of their weights.

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

namespace detail {

/// TwoPassMoments computes moments of columns from consecutive rows, with the bits of core/statistics.hpp. A first pass
/// computes all means, and a second pass all squares.
class TwoPassMoments {
 public:
  explicit TwoPassMoments(std::size_t columns) : first_(columns), sum_(columns), moments_(columns) {}

  /// Adds a value in the first pass.
  void add(std::size_t column, double value) {
    if (std::isnan(value)) return;
    if (moments_[column].count == 0) first_[column] = value;
    sum_[column] += value - first_[column];
    ++moments_[column].count;
  }
  /// Computes the means, between the passes.
  void finish_means() {
    for (std::size_t k = 0; k < moments_.size(); ++k) {
      if (moments_[k].count == 0) continue;
      moments_[k].mean = first_[k] + sum_[k] / static_cast<double>(moments_[k].count);
    }
  }
  /// Adds a value in the second pass.
  void add_square(std::size_t column, double value) {
    const double deviation = value - moments_[column].mean;
    if (deviation == deviation) {
      moments_[column].squares = multiply_add(deviation, deviation, moments_[column].squares);
    }
  }
  const Moments& operator[](std::size_t column) const { return moments_[column]; }

 private:
  std::vector<double> first_;
  std::vector<double> sum_;
  std::vector<Moments> moments_;
};

/// Gives the mean of every column; 0 if the matrix has no rows.
inline std::vector<double> column_means(MatrixView<const float> values) {
  TwoPassMoments columns(values.cols());
  for (std::size_t i = 0; i < values.rows(); ++i) {
    for (std::size_t k = 0; k < values.cols(); ++k) columns.add(k, static_cast<double>(values(i, k)));
  }
  columns.finish_means();
  std::vector<double> means(values.cols());
  for (std::size_t k = 0; k < means.size(); ++k) means[k] = columns[k].mean;
  return means;
}

/// GroupVariation records which rewards vary in the groups, one group at a time.
class GroupVariation {
 public:
  explicit GroupVariation(std::size_t rewards) : first_(rewards), varies_(rewards), varying_groups_(rewards) {}

  void begin_group() {
    first_.assign(first_.size(), std::nan(""));
    varies_.assign(varies_.size(), 0);
  }
  void add(std::size_t reward, double value) {
    if (std::isnan(value)) return;
    if (std::isnan(first_[reward])) first_[reward] = value;
    if (value != first_[reward]) varies_[reward] = 1;
  }
  void end_group() {
    bool valued = false;
    bool varies = false;
    for (std::size_t k = 0; k < first_.size(); ++k) {
      valued = valued || !std::isnan(first_[k]);
      varies = varies || varies_[k] != 0;
      varying_groups_[k] += varies_[k];
    }
    ++groups_;
    valued_groups_ += valued ? 1u : 0u;
    constant_groups_ += valued && !varies ? 1u : 0u;
  }
  double frac_varies(std::size_t reward) const {
    return static_cast<double>(varying_groups_[reward]) / static_cast<double>(groups_);
  }
  /// Gives the share of groups in which no reward varies, among the groups with a value. It is NaN if there are none.
  double frac_constant() const { return static_cast<double>(constant_groups_) / static_cast<double>(valued_groups_); }

 private:
  std::vector<double> first_;  // of the group, NaN while it has none
  std::vector<unsigned char> varies_;
  std::vector<std::size_t> varying_groups_;
  std::size_t groups_ = 0;
  std::size_t valued_groups_ = 0;
  std::size_t constant_groups_ = 0;
};

}  // namespace detail

/// Fills report.rewards except the names, and report.frac_reward_zero_std. It reads the scores twice, and weights and
/// propensities once, in index order. It is deterministic and takes O(B K).
/// @param scores    (B x K), NaN if a reward does not apply.
/// @param decision  that of the B rows.
inline void describe_rewards(MatrixView<const float> scores, const Decision& decision, const Groups& groups,
                             StepReport& report) {
  const std::size_t count = scores.cols();
  detail::TwoPassMoments columns(count);
  detail::GroupVariation variation(count);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    variation.begin_group();
    for (std::size_t i = groups.begin(g); i < groups.end(g); ++i) {
      for (std::size_t k = 0; k < count; ++k) {
        const auto score = static_cast<double>(scores(i, k));
        columns.add(k, score);
        variation.add(k, score);
      }
    }
    variation.end_group();
  }
  columns.finish_means();
  for (std::size_t i = 0; i < scores.rows(); ++i) {
    for (std::size_t k = 0; k < count; ++k) columns.add_square(k, static_cast<double>(scores(i, k)));
  }
  const std::vector<double> weights = detail::column_means(decision.weights.view());
  const std::vector<double> probabilities = detail::column_means(decision.probabilities.view());
  report.rewards.resize(count);
  for (std::size_t k = 0; k < count; ++k) {
    RewardFigures& figures = report.rewards[k];
    figures.mean = columns[k].count > 0 ? columns[k].mean : std::nan("");
    figures.std_dev = columns[k].std_dev(1);
    figures.count = columns[k].count;
    figures.weight = weights[k];
    if (!decision.probabilities.empty()) figures.probability = probabilities[k];
    figures.frac_group_varies = variation.frac_varies(k);
  }
  report.frac_reward_zero_std = variation.frac_constant();
}

}  // namespace maestro
