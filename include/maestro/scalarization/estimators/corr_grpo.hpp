#pragma once

/// @file
/// The advantage of CorrGRPO, divided by the correlations of the weighted rewards. Neutral.

#include <cmath>
#include <cstddef>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

/// CorrGrpo computes A = (R - mean) / max(floor, sqrt(max(0, sum_kl C_kl) + epsilon)), with C the Pearson correlations
/// of the weighted rewards w_ik r_ik in the group, 0 for a constant one. Rewards that say the same count once.
/// A missing reward counts as the group's mean of the weighted reward.
/// Source: CorrGRPO (arXiv 2609.36820); the floor is ours.
struct CorrGrpo {
  static constexpr std::string_view name = "corr_grpo";
  double epsilon = 1e-4;  ///< added under the root, at least 0
  double floor = 1e-4;    ///< the least divisor, above 0

  void check() const {
    detail::check_epsilon(name, epsilon);
    require(std::isfinite(floor) && floor > 0.0, "corr_grpo: floor must be finite and above 0");
  }
  template <class G>
  MAESTRO_HD AdvantageLine statistics(const G& group) const {
    const auto weighted = [](const auto& row, std::size_t c) { return row.weight(c) * row.value(c); };
    const auto moments = group.column_moments(weighted);
    PerColumn<G::capacity> scale;  // 1 / root of the sum of squares, 0 of a constant reward
    for (std::size_t c = 0; c < group.width(); ++c) {
      const bool varies = moments.squares[c] > 0.0 && c < group.num_rewards();
      scale[c] = varies ? 1.0 / std::sqrt(moments.squares[c]) : 0.0;
    }
    // sum_kl C_kl = sum_i (sum_k d_ik scale_k)^2, d the deviations.
    const double correlations = group.sum([&](const auto& row) {
      double sum = 0.0;
      for (std::size_t c = 0; c < row.width(); ++c) {
        sum += present_or_zero((weighted(row, c) - moments.mean[c]) * scale[c]);
      }
      return sum * sum;
    });
    const double root = std::sqrt(correlations + epsilon);
    return {group.mean(TotalOf{}), 1.0, root > floor ? root : floor};
  }
  template <class R>
  MAESTRO_HD double advantage(const AdvantageLine& line, const R& row) const {
    return line(row.total());
  }
};

}  // namespace maestro
