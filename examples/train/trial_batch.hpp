#pragma once

/// @file
/// What a scalarization makes of a small batch, tried before a run that could learn nothing by it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "train/options.hpp"
#include "train/run_rewards.hpp"

namespace maestro::examples {

/// Advantages of eight responses in groups of `group`, whose rewards all differ and have these weights of equal size.
inline std::vector<float> trial_advantages(const AnyScalarization& scalarization, std::size_t rewards,
                                           std::size_t group, float weight) {
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
  scalarization({.rewards = scores,
                 .decision = decision,
                 .groups = Groups::uniform(responses / group, group),
                 .lengths = lengths},
                {.advantages = advantages, .scalar_rewards = scalar_rewards}, alone);
  return advantages;
}

/// Whether groups of one response get advantages other than 0.
inline bool learns_from_lone_responses(const AnyScalarization& scalarization, std::size_t rewards) {
  const std::vector<float> advantages = trial_advantages(scalarization, rewards, 1, 1.0f / static_cast<float>(rewards));
  return std::any_of(advantages.begin(), advantages.end(), [](float a) { return a != 0.0f; });
}

/// Whether half of all weights give other advantages.
inline bool keeps_scale_of_weights(const AnyScalarization& scalarization, std::size_t rewards) {
  const float weight = 1.0f / static_cast<float>(rewards);
  const std::vector<float> whole = trial_advantages(scalarization, rewards, 4, weight);
  const std::vector<float> half = trial_advantages(scalarization, rewards, 4, 0.5f * weight);
  return !std::equal(whole.begin(), whole.end(), half.begin(),
                     [](float a, float b) { return std::abs(a - b) <= 1e-3f + 0.05f * std::abs(a); });
}

/// @throws BadArgument for one response a prompt under a scalarization that makes nothing of it.
inline void refuse_lone_responses(const TrainOptions& o, const AnyScalarization& scalarization) {
  if (o.trainer.sampling.num_generations > 1) return;
  if (learns_from_lone_responses(scalarization, run_rewards(o).size())) return;
  throw BadArgument("--num-generations 1: with --scalarization " + o.scalarization + " and --normalize " + o.normalize +
                    " a response is compared with its group alone, every advantage would be 0, and nothing would be "
                    "learned; take at least 2, or --preset flash_reinforce, which compares with the whole batch");
}

/// @throws BadArgument for weights that are scaled by what was reached, under a scalarization that takes scales out.
inline void refuse_lost_scale(const TrainOptions& o, const AnyScalarization& scalarization) {
  if (o.conductor != "hypervolume_guided" || keeps_scale_of_weights(scalarization, run_rewards(o).size())) return;
  throw BadArgument("--conductor hypervolume_guided scales all weights alike, and --scalarization " + o.scalarization +
                    " divides by the size of their sum again, so that it would have no effect; take one that keeps "
                    "it, such as dr_grpo or rloo");
}

}  // namespace maestro::examples
