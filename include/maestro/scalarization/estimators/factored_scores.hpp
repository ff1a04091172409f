#pragma once

/// @file
/// What estimators share that multiply every standardized reward by a factor of the batch. Neutral.

#include <cstddef>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/estimators/mo_grpo.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro::detail {

/// FactoredScores are the statistics of such an estimator: the z-scores' figures and a factor for each column, 0 for
/// what is no reward.
template <std::size_t Capacity>
struct FactoredScores {
  MoGrpo::Statistics<Capacity> scores;
  PerColumn<Capacity> factor;

  /// Computes sum_k factor_k w_k z_k - penalty of a row.
  template <class R>
  MAESTRO_HD double advantage(const R& row) const {
    double sum = 0.0;
    for (std::size_t c = 0; c < row.width(); ++c) {
      sum = multiply_add(row.weight(c) * factor[c], MoGrpo::z(scores, row, c), sum);
    }
    return sum - row.penalty();
  }
};

}  // namespace maestro::detail
