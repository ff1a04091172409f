#pragma once

/// @file
/// What a Conductor decides for a batch of responses.

#include <cstdint>
#include <vector>

#include "maestro/core/buffer.hpp"

namespace maestro {

/// Decision holds actions, their propensities, and the reward weights that they induce.
///
/// Every emphasis map is affine in the action: w_i(a) = base_i + emphasis * e_a. So the weights that response i would
/// have under another action cost O(K); the counterfactual estimator uses this.
struct Decision {
  std::vector<std::int32_t> actions;  ///< (B) in [0, K); empty for Conductors that draw no action
  Matrix<float> probabilities;        ///< (B x K) the distribution the actions were drawn from (propensities)
  Matrix<float> weights;              ///< (B x K) w_i(a_i)
  Matrix<float> base;                 ///< (B x K) the part of the weights that does not depend on the action
  float emphasis = 0.0f;              ///< the factor of the part that does
  Matrix<float> mean_weights{};       ///< (B x K) expected weights, if they are drawn without an action; else empty

  std::size_t rows() const { return weights.rows(); }
  std::size_t rewards() const { return weights.cols(); }
};

}  // namespace maestro
