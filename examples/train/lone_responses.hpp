#pragma once

/// @file
/// Runs of one response to each prompt, most of which could learn nothing.

#include <algorithm>
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

/// Whether groups of one response get advantages other than 0, tried on a batch whose rewards all differ.
inline bool learns_from_lone_responses(const AnyScalarization& scalarization, std::size_t rewards) {
  constexpr std::size_t responses = 8;
  Matrix<float> scores(responses, rewards);
  Decision decision;
  decision.weights.resize(responses, rewards);
  decision.base.resize(responses, rewards);
  for (std::size_t i = 0; i < responses; ++i) {
    for (std::size_t k = 0; k < rewards; ++k) {
      scores(i, k) = 0.125f * static_cast<float>(1 + (i * (k + 3)) % responses);
      decision.weights(i, k) = decision.base(i, k) = 1.0f / static_cast<float>(rewards);
    }
  }
  const std::vector<std::int32_t> lengths(responses, 4);
  std::vector<float> advantages(responses);
  std::vector<float> scalar_rewards(responses);
  SingleProcess alone;
  scalarization({.rewards = scores, .decision = decision, .groups = Groups::uniform(responses, 1), .lengths = lengths},
                {.advantages = advantages, .scalar_rewards = scalar_rewards}, alone);
  return std::any_of(advantages.begin(), advantages.end(), [](float a) { return a != 0.0f; });
}

/// @throws BadArgument for one response a prompt under a scalarization that makes nothing of it.
inline void refuse_lone_responses(const TrainOptions& o, const AnyScalarization& scalarization) {
  if (o.trainer.sampling.num_generations > 1) return;
  if (learns_from_lone_responses(scalarization, run_rewards(o).size())) return;
  throw BadArgument("--num-generations 1: with --scalarization " + o.scalarization + " and --normalize " + o.normalize +
                    " a response is compared with its group alone, every advantage would be 0, and nothing would be "
                    "learned; take at least 2, or --preset flash_reinforce, which compares with the whole batch");
}

}  // namespace maestro::examples
