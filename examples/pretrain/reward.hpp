#pragma once

/// @file
/// The reward model: the lower half of the base model, then pairwise training on the preference oracle's pairs.

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iostream>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/reward_model_files.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/clip.hpp"
#include "maestro/optimizer/schedule.hpp"
#include "maestro/reward/preference_loss.hpp"
#include "pretrain/base.hpp"
#include "pretrain/options.hpp"
#include "tasks/tasks.hpp"

namespace maestro::examples {

/// 0.43 million parameters: the base model's shape with its first two layers alone.
inline ModelConfig reward_config(const Tokenizer& tokenizer) {
  ModelConfig config = base_config(tokenizer);
  config.layers = 2;
  return config;
}

/// Pairs as a batch in which response 2 n is the chosen one of pair n and 2 n + 1 the rejected one.
inline RewardModelBatch reward_batch(const Preferences& model, std::span<const PreferencePair> pairs) {
  RewardModelBatch batch;
  for (const PreferencePair& pair : pairs) {
    model.push_prompt(batch, pair.prompt.text);
    model.push_response(batch, pair.chosen);
    model.push_response(batch, pair.rejected);
  }
  return batch;
}

inline std::vector<maestro::PreferencePair> reward_pairs(std::size_t count) {
  std::vector<maestro::PreferencePair> pairs;
  for (std::size_t n = 0; n < count; ++n) pairs.push_back({.chosen = 2 * n, .rejected = 2 * n + 1});
  return pairs;
}

/// Share of fresh pairs that the model orders as the oracle did.
inline double agreement(Preferences& model, std::uint64_t seed) {
  constexpr std::size_t count = 240;
  const std::vector<PreferencePair> pairs = make_preference_pairs(count, seed + 1000000);
  std::vector<float> scores(2 * count);
  model.forward(reward_batch(model, pairs), std::span<float>(scores));
  std::size_t right = 0;
  for (std::size_t n = 0; n < count; ++n) right += scores[2 * n] > scores[2 * n + 1] ? 1u : 0u;
  return static_cast<double>(right) / static_cast<double>(count);
}

/// Random weights for the head; for the rest those of the base model's tensors of the same names.
inline void initialize_reward(Preferences& model, const ModelWeights<float>& base, std::uint64_t seed) {
  model.initialize(seed);
  std::map<std::string, std::span<const float>, std::less<>> learned;
  base.visit([&](const auto& view) { learned.emplace(view.name, view.values); });
  model.visit([&](auto view) {
    const auto found = learned.find(view.name);
    if (found != learned.end()) std::ranges::copy(found->second, view.values.begin());
  });
}

inline void pretrain_reward(const PretrainOptions& options) {
  const Tokenizer tokenizer;
  Preferences model(reward_config(tokenizer), tokenizer);
  initialize_reward(model, load_model<float>(options.output + "/base"), options.seed);
  AdamW<float> optimizer({.beta2 = 0.99, .weight_decay = 0.01});
  const ScheduleOptions schedule{
      .kind = ScheduleKind::cosine, .warmup_steps = options.warmup_steps, .total_steps = options.reward_steps};
  const std::vector<maestro::PreferencePair> places = reward_pairs(options.reward_batch);
  std::vector<float> scores(2 * options.reward_batch);
  std::vector<float> slopes(scores.size());
  double loss = 0.0;
  for (std::size_t step = 0; step < options.reward_steps; ++step) {
    const auto pairs = make_preference_pairs(options.reward_batch, options.seed, {}, step * options.reward_batch);
    model.zero_gradients();
    model.forward(reward_batch(model, pairs), std::span<float>(scores));
    loss += bradley_terry_loss(std::span<const float>(scores), places, std::span<float>(slopes));
    model.backward(slopes);
    clip_global_norm(model, 1.0);
    optimizer.step(model, options.reward_learning_rate * learning_rate_factor(schedule, step));
    if ((step + 1) % options.report_steps == 0) {
      std::cout << "step " << step + 1 << ": loss " << loss / static_cast<double>(options.report_steps)
                << ", agrees with the oracle on " << agreement(model, options.seed) << " of fresh pairs" << std::endl;
      loss = 0.0;
    }
  }
  save_reward_model(options.output + "/reward", model);
  std::cout << "reward model saved\n";
}

}  // namespace maestro::examples
