#pragma once

/// @file
/// The scalarization that the library uses if none is named. Neutral.

#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/own_weight_baseline.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

/// DefaultScalarization is the own-weight baseline on rewards that are standardized in their group (z_score). Every
/// response is compared with its whole group under its own weights, so differences of weights alone give the policy no
/// gradient. Groups in which no reward varies get advantages of exactly 0 under any weights. Its cost is that of
/// OwnWeightBaseline, its exceptions are those of Advantages.
/// Source: ours; see OwnWeight.
class DefaultScalarization : public Advantages<OwnWeightBaseline> {
 public:
  DefaultScalarization() : Advantages({}, {.normalizer = {.kind = NormalizerKind::z_score}}) {}
};

static_assert(Scalarization<DefaultScalarization>);

}  // namespace maestro
