#pragma once

/// @file
/// What happens to rewards before an advantage estimator compares them. Neutral.

#include <cstdint>

#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

/// MissingRows says how a response counts if all of its rewards are missing.
enum class MissingRows : std::uint8_t {
  leave_out,  ///< it is left out of every figure, and its advantage is 0
  zero,       ///< it has R = 0 (ms-swift)
};

/// AdvantagesOptions says what happens to rewards before an estimator compares them.
struct AdvantagesOptions {
  Normalizer normalizer{};  ///< of each reward in its group
  Scalarizer scalarizer{};  ///< rewards and weights to R
  MissingRows missing_rows = MissingRows::leave_out;
};

}  // namespace maestro
