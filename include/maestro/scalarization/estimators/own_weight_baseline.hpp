#pragma once

/// @file
/// The own-weight baseline, centered: the library's default. Neutral.

#include <string_view>

#include "maestro/scalarization/estimators/centered.hpp"
#include "maestro/scalarization/estimators/own_weight.hpp"

namespace maestro {

/// OwnWeight minus the group's mean A, since each response under its own best criterion would otherwise be praised on
/// average. In a counterfactual the mean follows the one advantage that changed.
struct OwnWeightBaseline : Centered<OwnWeight> {
  static constexpr std::string_view name = "own_weight";
};

}  // namespace maestro
