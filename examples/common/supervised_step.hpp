#pragma once

/// @file
/// One step of supervised training on demonstrations.

#include <cstddef>
#include <span>
#include <vector>

#include "maestro/data/rollouts.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/clip.hpp"

namespace maestro::examples {

/// Takes one step on the mean negative log-likelihood of the batch's response tokens, the gradient clipped at a global
/// norm of 1; returns the mean, in nats per token.
template <class P>
double supervised_step(P& policy, const Rollouts& batch, AdamW<float>& optimizer, double learning_rate) {
  std::vector<float> log_probs(batch.tokens.size());
  const std::vector<float> slopes(log_probs.size(), -1.0f / static_cast<float>(log_probs.size()));
  policy.zero_gradients();
  policy.forward(batch, {0, batch.groups.count()}, std::span<float>(log_probs), {});
  policy.backward(std::span<const float>(slopes), {});
  clip_global_norm(policy, 1.0);
  optimizer.step(policy, learning_rate);
  double loss = 0.0;
  for (const float log_prob : log_probs) loss -= static_cast<double>(log_prob);
  return loss / static_cast<double>(log_probs.size());
}

}  // namespace maestro::examples
