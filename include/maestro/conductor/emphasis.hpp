#pragma once

/// @file
/// Maps from an action to reward weights, all affine in the action: w(a) = base + emphasis * e_a.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "maestro/data/decision.hpp"

namespace maestro {

/// Emphasis is the map from an action a to weights, which the paper does not specify. pi is the distribution that the
/// action was drawn from (q, after floor and mask).
enum class Emphasis : std::uint8_t {
  one_hot,          ///< e_a
  blended_uniform,  ///< (1 - c) / K + c e_a
  blended_policy,   ///< (1 - c) pi + c e_a
};

/// The names of the maps, in the enum's order.
inline constexpr std::array<std::string_view, 3> emphasis_names{"one_hot", "blended_uniform", "blended_policy"};

/// Gives the share of the weights that the action decides: c; 1 for one_hot.
inline float action_share(Emphasis emphasis, double strength) {
  return emphasis == Emphasis::one_hot ? 1.0f : static_cast<float>(strength);
}

/// Gives the factor of pi in the weights: 1 - c for blended_policy, else 0.
inline double policy_share(Emphasis emphasis, double strength) {
  return emphasis == Emphasis::blended_policy ? 1.0 - strength : 0.0;
}

/// Gives the constant part of every weight: (1 - c) / K for blended_uniform, else 0.
inline float uniform_share(Emphasis emphasis, double strength, std::size_t rewards) {
  if (emphasis != Emphasis::blended_uniform) return 0.0f;
  return static_cast<float>((1.0 - strength) / static_cast<double>(std::max<std::size_t>(rewards, 1)));
}

/// Fills base, emphasis and weights of a decision whose actions and probabilities are set. If the rows of probabilities
/// lie on the simplex, so do the rows of weights.
inline void apply_emphasis(Emphasis emphasis, double strength, Decision& decision) {
  const std::size_t rows = decision.probabilities.rows();
  const std::size_t rewards = decision.probabilities.cols();
  decision.emphasis = action_share(emphasis, strength);
  decision.base.resize(rows, rewards);
  decision.weights.resize(rows, rewards);
  const auto pi = static_cast<float>(policy_share(emphasis, strength));
  const float uniform = uniform_share(emphasis, strength, rewards);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < rewards; ++k) {
      decision.base(i, k) = uniform + pi * decision.probabilities(i, k);
      decision.weights(i, k) = decision.base(i, k);
    }
    decision.weights(i, static_cast<std::size_t>(decision.actions[i])) += decision.emphasis;
  }
}

}  // namespace maestro
