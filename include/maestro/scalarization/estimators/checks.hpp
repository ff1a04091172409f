#pragma once

/// @file
/// Refusals that advantage estimators share.

#include <cmath>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"

namespace maestro::detail {

/// @throws BadArgument naming the estimator, unless epsilon is finite and not negative.
inline void check_epsilon(std::string_view estimator, double epsilon) {
  if (std::isfinite(epsilon) && epsilon >= 0.0) return;
  throw BadArgument(std::string(estimator) + ": epsilon must be finite and not negative");
}

/// @throws BadArgument naming the estimator, unless ddof is 0 or 1.
inline void check_ddof(std::string_view estimator, int ddof) {
  if (ddof != 0 && ddof != 1) throw BadArgument(std::string(estimator) + ": ddof must be 0 or 1");
}

}  // namespace maestro::detail
