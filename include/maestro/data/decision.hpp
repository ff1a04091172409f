#pragma once

/// @file
/// What a Conductor decided for a batch of responses.

#include <cstdint>
#include <vector>

#include "maestro/core/buffer.hpp"

namespace maestro {

/// Actions, their propensities, and the reward weights they induce.
///
/// Every emphasis map is affine in the action: w_i(a) = base_i + emphasis * e_a. So the weights that response i would
/// have had under another action cost O(K), which the counterfactual estimator uses.
struct Decision {
  std::vector<std::int32_t> actions;  ///< (B) in [0, K); empty for Conductors that draw no action
  Matrix<float> probabilities;        ///< (B x K) the distribution the actions were drawn from (propensities)
  Matrix<float> weights;              ///< (B x K) w_i(a_i)
  Matrix<float> base;                 ///< (B x K) the part of the weights that does not depend on the action
  float emphasis = 0.0f;              ///< the part that does
  Matrix<float> mean_weights{};       ///< (B x K) mean of the weights over their draw, if they are drawn without an
                                      ///< action; else empty

  std::size_t rows() const { return weights.rows(); }
  std::size_t rewards() const { return weights.cols(); }
};

}  // namespace maestro
