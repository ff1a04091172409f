#pragma once

/// @file
/// Standardized rewards, weighted and added up. Neutral.

#include <cstddef>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

/// MoGrpo computes A = sum_k w_k z_k - penalty with z_k = (r_k - mean_k) / (std_dev_k + epsilon) over the group, ddof
/// 1. A constant or missing reward adds 0.
/// Source: MO-GRPO (arXiv 2509.22047), all weights 1 there.
struct MoGrpo {
  static constexpr std::string_view name = "mo_grpo";
  static constexpr bool ignores_weights = true;
  static constexpr bool reads_total = false;
  double epsilon = 1e-4;  ///< added to a reward's deviation, at least 0

  template <std::size_t Capacity>
  struct Statistics {
    PerColumn<Capacity> mean;
    PerColumn<Capacity> scale;  // 1 / (deviation + epsilon); 0 of a constant reward, and of what is no reward
  };

  void check() const { detail::check_epsilon(name, epsilon); }
  template <class G>
  MAESTRO_HD Statistics<G::capacity> statistics(const G& group) const {
    const auto moments = group.column_moments();
    Statistics<G::capacity> s;
    for (std::size_t c = 0; c < group.width(); ++c) {
      s.mean[c] = moments.mean[c];
      const bool varies = moments.squares[c] > 0.0 && c < group.num_rewards();
      s.scale[c] = varies ? 1.0 / (moments.std_dev(c, 1) + epsilon) : 0.0;
    }
    return s;
  }
  /// Gives z_c of a row; 0 if the reward is missing or constant.
  template <std::size_t Capacity, class R>
  MAESTRO_HD static double z(const Statistics<Capacity>& s, const R& row, std::size_t c) {
    return present_or_zero((row.value(c) - s.mean[c]) * s.scale[c]);
  }
  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage(const Statistics<Capacity>& s, const R& row) const {
    double sum = 0.0;
    for (std::size_t c = 0; c < row.width(); ++c) sum = multiply_add(row.weight(c), z(s, row, c), sum);
    return sum - row.penalty();
  }
};

}  // namespace maestro
