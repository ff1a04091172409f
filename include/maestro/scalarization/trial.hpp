#pragma once

/// @file
/// Trials of a scalarization on a small batch, which find runs that could learn nothing before they start.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/estimator.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

class AnyScalarization;
template <AdvantageEstimator E>
class Advantages;

namespace detail {

/// Tells whether a trial says what S does with other rewards. It does for this library's own: they have no state and do
/// not depend on the rewards' scale in a group of one.
template <class S>
inline constexpr bool can_be_tried = std::is_same_v<S, AnyScalarization>;
template <class E>
inline constexpr bool can_be_tried<Advantages<E>> = true;

/// Gives the advantages of eight responses in groups of `group`, whose rewards all differ and have equal weights.
template <class S>
std::vector<float> trial_advantages(const S& scalarization, std::size_t rewards, std::size_t group, float weight) {
  constexpr std::size_t responses = 8;
  Matrix<float> scores(responses, rewards);
  Decision decision;
  decision.weights.resize(responses, rewards);
  decision.base.resize(responses, rewards);
  for (std::size_t i = 0; i < responses; ++i) {
    for (std::size_t k = 0; k < rewards; ++k) {
      scores(i, k) = 0.125f * static_cast<float>(1 + (i * (k + 3)) % responses);
      decision.weights(i, k) = decision.base(i, k) = weight;
    }
  }
  const std::vector<std::int32_t> lengths(responses, 4);
  std::vector<float> advantages(responses);
  std::vector<float> scalar_rewards(responses);
  SingleProcess alone;
  const Groups groups = Groups::uniform(responses / group, group);
  const ScalarizationInput in{.rewards = scores, .decision = decision, .groups = groups, .lengths = lengths};
  const ScalarizationOutput out{.advantages = advantages, .scalar_rewards = scalar_rewards};
  scalarization(in, out, alone);
  return advantages;
}

}  // namespace detail

/// Tells whether groups of one response get advantages other than 0, tried on eight responses.
template <class S>
bool learns_from_lone_responses(const S& scalarization, std::size_t rewards) {
  const std::vector<float> advantages =
      detail::trial_advantages(scalarization, rewards, 1, 1.0f / static_cast<float>(rewards));
  return std::any_of(advantages.begin(), advantages.end(), [](float a) { return a != 0.0f; });
}

/// Tells whether halved weights give other advantages, tried on groups of four responses. It is false for a
/// scalarization that divides by the scale of the weighted sum, such as DefaultScalarization.
template <class S>
bool keeps_scale_of_weights(const S& scalarization, std::size_t rewards) {
  const float weight = 1.0f / static_cast<float>(rewards);
  const std::vector<float> whole = detail::trial_advantages(scalarization, rewards, 4, weight);
  const std::vector<float> half = detail::trial_advantages(scalarization, rewards, 4, 0.5f * weight);
  return !std::equal(whole.begin(), whole.end(), half.begin(),
                     [](float a, float b) { return std::abs(a - b) <= 1e-3f + 0.05f * std::abs(a); });
}

}  // namespace maestro
