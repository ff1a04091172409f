#pragma once

/// @file
/// The scalarization that the library takes if none is named. Neutral.

#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/own_weight_baseline.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

/// The own-weight baseline on rewards that are standardized in their group (z_score): every response is compared with
/// its whole group under its own weights, so that weights that differ between the responses of a group teach the policy
/// nothing by themselves. Groups in which no reward varies get advantages of exactly 0, whatever the weights.
/// It costs what OwnWeightBaseline costs, and throws what Advantages throws.
/// Source: ours; see OwnWeight.
class DefaultScalarization : public Advantages<OwnWeightBaseline> {
 public:
  DefaultScalarization() : Advantages({}, {.normalizer = {.kind = NormalizerKind::z_score}}) {}
};

static_assert(Scalarization<DefaultScalarization>);

}  // namespace maestro
