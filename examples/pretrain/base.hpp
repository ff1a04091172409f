#pragma once

/// @file
/// The base model: supervised training on demonstrations, faults included.

#include <algorithm>
#include <cstddef>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "common/supervised_step.hpp"
#include "common/types.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/schedule.hpp"
#include "maestro/policy/demonstrations.hpp"
#include "pretrain/options.hpp"
#include "pretrain/report.hpp"
#include "tasks/tasks.hpp"

namespace maestro::examples {

/// 0.82 million parameters: d 128, 4 layers, 4 query heads on 2 key heads, tied embeddings of 272 bytes and specials.
inline ModelConfig base_config(const Tokenizer& tokenizer) {
  ModelConfig config = qwen3_config(tokenizer.vocabulary_size(), 128, 4, 4, 2, 32, 384);
  config.max_positions = 512;
  config.end_tokens = {tokenizer.end_token()};
  return config;
}

/// Demonstrations from data row `first_row` on as rollouts.
inline Rollouts text_batch(std::size_t count, std::uint64_t seed, const Faults& faults, std::size_t first_row,
                           const Tokenizer& tokenizer) {
  std::vector<maestro::Demonstration> pairs;
  for (Demonstration& d : make_demonstrations(count, seed, faults, first_row)) {
    pairs.push_back({std::move(d.prompt.text), std::move(d.response)});
  }
  return demonstrations(std::span<const maestro::Demonstration>(pairs), tokenizer);
}

inline void pretrain_base(const PretrainOptions& options) {
  const Tokenizer tokenizer;
  ModelWeights<float> weights(base_config(tokenizer));
  weights.initialize(options.seed);
  Policy policy(std::move(weights), tokenizer);
  std::cout << "base model: " << policy.weights().parameters() << " parameters\n";

  AdamW<float> optimizer({.beta2 = 0.99, .weight_decay = 0.01});
  const ScheduleOptions schedule{
      .kind = ScheduleKind::cosine, .warmup_steps = options.warmup_steps, .total_steps = options.steps};
  const std::vector<Prompt> few = make_prompts(Split::dev, options.evaluation_prompts, options.seed);
  double loss = 0.0;
  for (std::size_t step = 0; step < options.steps; ++step) {
    const bool first = static_cast<double>(step) < options.first_share * static_cast<double>(options.steps);
    const double share = first ? options.first_faults : 1.0;
    const Rollouts batch =
        text_batch(options.batch, options.seed, Faults{}.scaled(share), step * options.batch, tokenizer);
    loss += supervised_step(policy, batch, optimizer, options.learning_rate * learning_rate_factor(schedule, step));
    if ((step + 1) % options.report_steps == 0) {
      std::cout << "step " << step + 1 << ": loss " << loss / static_cast<double>(options.report_steps)
                << " nats per byte" << std::endl;
      loss = 0.0;
    }
    if ((step + 1) % options.evaluation_steps == 0 && step + 1 < options.steps) {
      print_report(std::cout, report_on(policy, few, 4, options.seed));
      save_model(options.output + "/base", policy.weights(), tokenizer);
    }
  }
  save_model(options.output + "/base", policy.weights(), tokenizer);
  std::cout << "base model saved\n";
}

/// Prints how the saved base model does on held-out prompts and on those of `options.prompts`, with samples.
inline void report_base(const PretrainOptions& options) {
  const std::string folder = options.output + "/base";
  Policy policy(load_model<float>(folder), load_tokenizer(folder));
  const std::vector<Prompt> held_out = make_prompts(Split::held_out, options.final_prompts, options.seed);
  std::cout << "held-out prompts, 8 responses each at temperature 1:\n";
  print_report(std::cout, report_on(policy, held_out, 8, options.seed));
  if (!options.prompts.empty()) {
    std::cout << options.prompts << ":\n";
    print_report(std::cout, report_on(policy, load_prompts(options.prompts).prompts, 8, options.seed));
  }
  print_samples(std::cout, policy, std::span(held_out).first(std::min<std::size_t>(9, held_out.size())), options.seed);
}

}  // namespace maestro::examples
