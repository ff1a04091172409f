#pragma once

/// @file
/// GRPO's group-relative advantage. Neutral.

#include <cstdint>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimators/checks.hpp"

namespace maestro {

/// LoneRow says which advantage a response gets that is alone in its group.
enum class LoneRow : std::uint8_t {
  zero,  ///< A = 0
  keep,  ///< A = R (verl)
};

/// GroupRelative computes A = (R - mean) / (standard deviation + epsilon) over the group; a group of equal R gives
/// exactly 0.
/// Source: Shao et al. 2024 (GRPO), section 4.1.2; TRL 1.16's sum_then_normalize (epsilon after the root).
struct GroupRelative {
  static constexpr std::string_view name = "group";
  int ddof = 1;           ///< 0 or 1
  double epsilon = 1e-4;  ///< added to the deviation, at least 0
  LoneRow lone = LoneRow::zero;

  void check() const {
    detail::check_epsilon(name, epsilon);
    detail::check_ddof(name, ddof);
  }
  MAESTRO_HD AdvantageLine line(const Moments& moments) const {
    if (lone == LoneRow::keep && moments.count == 1) return {};
    return standardized(moments.mean, moments.std_dev(ddof), epsilon);
  }
};

}  // namespace maestro
