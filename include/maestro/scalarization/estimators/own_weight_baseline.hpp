#pragma once

/// @file
/// The own-weight baseline, centered: the library's default. Neutral.

#include <string_view>

#include "maestro/scalarization/estimators/centered.hpp"
#include "maestro/scalarization/estimators/own_weight.hpp"

namespace maestro {

/// OwnWeightBaseline is OwnWeight minus the group's mean A. Without it the mean advantage would be positive if each
/// response had its weight on the reward that it is best at. In a counterfactual the mean follows the one advantage
/// that changed.
struct OwnWeightBaseline : Centered<OwnWeight> {
  static constexpr std::string_view name = "own_weight";
};

}  // namespace maestro
