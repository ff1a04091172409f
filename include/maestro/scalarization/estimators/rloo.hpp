#pragma once

/// @file
/// REINFORCE leave-one-out. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro {

/// Rloo computes A = R - mean of the others in the group = n/(n - 1) (R - mean); 0 for a lone row. Source: Ahmadian et
/// al. 2024, "Back to basics" (arXiv 2402.14740).
struct Rloo {
  static constexpr std::string_view name = "rloo";

  MAESTRO_HD AdvantageLine line(const Moments& moments) const {
    const bool alone = moments.count < 2;
    const auto count = static_cast<double>(moments.count);
    return {moments.mean, (alone ? 0.0 : count) / (alone ? 1.0 : count - 1.0), 1.0};
  }
};

}  // namespace maestro
