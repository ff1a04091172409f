#pragma once

/// @file
/// The base model of the families of contexts, whose most frequent manner is wrong; and supervised training on
/// demonstrations, the control of every run that learns from rewards.

#include <algorithm>
#include <cstddef>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/types.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/schedule.hpp"
#include "maestro/policy/demonstrations.hpp"
#include "pretrain/base.hpp"
#include "pretrain/options.hpp"
#include "pretrain/report.hpp"
#include "tasks/contexts.hpp"

namespace maestro::examples {

/// 0.34 million parameters: d 96, 3 layers, 3 query heads on 1 key head, tied embeddings of 272 bytes and specials.
inline ModelConfig contexts_config(const Tokenizer& tokenizer) {
  ModelConfig config = qwen3_config(tokenizer.vocabulary_size(), 96, 3, 3, 1, 32, 288);
  config.max_positions = 320;
  config.end_tokens = {tokenizer.end_token()};
  return config;
}

inline Rollouts batch_of(std::span<const contexts::Pair> pairs, const Tokenizer& tokenizer) {
  std::vector<maestro::Demonstration> shown;
  for (const contexts::Pair& pair : pairs) shown.push_back({pair.prompt.text, pair.response});
  return demonstrations(std::span<const maestro::Demonstration>(shown), tokenizer);
}

inline void report_contexts(Policy& policy, std::size_t prompts, std::uint64_t seed) {
  print_report(std::cout, report_on(policy, contexts::make_prompts(Split::dev, prompts, seed), 4, seed));
}

inline void pretrain_contexts(const PretrainOptions& options) {
  const Tokenizer tokenizer;
  ModelWeights<float> weights(contexts_config(tokenizer));
  weights.initialize(options.seed);
  Policy policy(std::move(weights), tokenizer);
  std::cout << "base model of the contexts: " << policy.weights().parameters() << " parameters\n";
  AdamW<float> optimizer({.beta2 = 0.99, .weight_decay = 0.01});
  const ScheduleOptions schedule{
      .kind = ScheduleKind::cosine, .warmup_steps = options.warmup_steps, .total_steps = options.steps};
  double loss = 0.0;
  for (std::size_t step = 0; step < options.steps; ++step) {
    const auto pairs = contexts::make_corpus(options.batch, options.seed, {}, step * options.batch);
    loss += supervised_step(policy, batch_of(pairs, tokenizer), optimizer,
                            options.learning_rate * learning_rate_factor(schedule, step));
    if ((step + 1) % options.report_steps == 0) {
      std::cout << "step " << step + 1 << ": loss " << loss / static_cast<double>(options.report_steps)
                << " nats per byte" << std::endl;
      loss = 0.0;
    }
    if ((step + 1) % options.evaluation_steps == 0) {
      report_contexts(policy, options.evaluation_prompts, options.seed);
      save_model(options.output + "/contexts", policy.weights(), tokenizer);
    }
  }
  save_model(options.output + "/contexts", policy.weights(), tokenizer);
  std::cout << "base model of the contexts saved\n";
}

/// Trains a model of the contexts on the demonstrations of the first prompts of the train split, those that a run with
/// the same seed trains on, in turn; leaves it in the folder `model` of the output.
inline void train_on_demonstrations(const PretrainOptions& options) {
  Policy policy(load_model<float>(options.from), load_tokenizer(options.from));
  const std::vector<contexts::Pair> pairs = contexts::make_pairs(Split::train, options.demonstrations, options.seed);
  AdamW<float> optimizer({.beta2 = 0.99, .weight_decay = 0.01});
  const ScheduleOptions schedule{.kind = ScheduleKind::linear, .total_steps = options.steps};
  std::vector<contexts::Pair> part(options.batch);
  double loss = 0.0;
  for (std::size_t step = 0; step < options.steps; ++step) {
    for (std::size_t i = 0; i < options.batch; ++i) part[i] = pairs[(step * options.batch + i) % pairs.size()];
    loss += supervised_step(policy, batch_of(part, policy.tokenizer()), optimizer,
                            options.learning_rate * learning_rate_factor(schedule, step));
  }
  std::cout << "mean loss " << loss / static_cast<double>(options.steps) << " nats per byte\n";
  save_model(options.output + "/model", policy.weights(), policy.tokenizer());
}

}  // namespace maestro::examples
