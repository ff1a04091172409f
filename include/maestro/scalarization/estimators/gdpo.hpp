#pragma once

/// @file
/// GDPO: standardized rewards, weighted, standardized again. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/scalarization/estimators/batch_standardized.hpp"
#include "maestro/scalarization/estimators/mo_grpo.hpp"

namespace maestro {

/// Gdpo computes A = (S - mean S) / (deviation S + epsilon) over the batch, with S = sum_k w_k z_k - penalty (see
/// MoGrpo). This is TRL's normalize_then_sum: ddof 1 throughout, `inner.epsilon` and `epsilon` both 1e-4.
/// A batch of equal rewards gives exactly 0. A group of equal rewards has S = 0; its A is minus the standardized batch
/// mean, 0 up to rounding if all responses share their weights, not 0 in general.
/// Source: Liu et al. 2026 (arXiv 2601.05242); TRL 1.16.
struct Gdpo : BatchStandardized<MoGrpo> {
  static constexpr std::string_view name = "gdpo";
};

}  // namespace maestro
