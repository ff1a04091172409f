#pragma once

/// @file
/// Dr.GRPO's advantage. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro {

/// DrGrpo computes A = R - mean over the group; a group of equal R gives exactly 0. This is TRL's scale_rewards="none".
/// Source: Liu et al. 2025, "Understanding R1-Zero-like training" (arXiv 2503.20783).
struct DrGrpo {
  static constexpr std::string_view name = "dr_grpo";

  MAESTRO_HD AdvantageLine line(const Moments& moments) const { return {moments.mean, 1.0, 1.0}; }
};

}  // namespace maestro
