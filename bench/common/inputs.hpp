#pragma once

/// @file
/// Inputs that the programs in C++ and in Python compute alike: peers/inputs.py mirrors this file.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "maestro/data/groups.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/model/config.hpp"

namespace maestro::bench {

/// 32 scrambled bits of an index.
inline std::uint64_t scramble(std::uint64_t index) {
  const std::uint64_t mixed = (index * 2654435761u + 12345u) & 0xffffffffu;
  return mixed ^ (mixed >> 16);
}

/// A number in [0, 1) that depends on the index alone.
inline float fixed_value(std::uint64_t index) {
  return static_cast<float>(static_cast<double>(scramble(index)) / 4294967296.0);
}

/// `count` token ids below V - 16 (the shipped model's last 16 ids are special).
inline std::vector<std::int32_t> fixed_tokens(std::uint64_t first, std::size_t count, std::size_t vocabulary) {
  std::vector<std::int32_t> tokens(count);
  for (std::size_t t = 0; t < count; ++t)
    tokens[t] = static_cast<std::int32_t>(scramble(first + t) % (vocabulary - 16));
  return tokens;
}

/// `groups` prompts of fixed tokens, and no responses yet.
inline Rollouts fixed_prompts(const ModelConfig& config, std::size_t groups, std::size_t generations,
                              std::size_t prompt) {
  Rollouts rollouts;
  rollouts.groups = Groups::uniform(groups, generations);
  for (std::size_t g = 0; g < groups; ++g) {
    Prompt prompt_data;
    prompt_data.row = static_cast<std::int64_t>(g);
    rollouts.prompts.push_back(prompt_data);
    rollouts.prompt_tokens.push_row(fixed_tokens(g * 100003, prompt, config.vocabulary));
  }
  return rollouts;
}

/// The same prompts with responses of `response` fixed tokens each; log-probs and entropies are 0.
inline Rollouts fixed_rollouts(const ModelConfig& config, std::size_t groups, std::size_t generations,
                               std::size_t prompt, std::size_t response) {
  Rollouts rollouts = fixed_prompts(config, groups, generations, prompt);
  for (std::size_t i = 0; i < groups * generations; ++i) {
    rollouts.tokens.push_row(fixed_tokens(7000003 + i * 4099, response, config.vocabulary));
  }
  rollouts.log_probs.assign(rollouts.tokens.size(), 0.0f);
  rollouts.entropies.assign(rollouts.tokens.size(), 0.0f);
  return rollouts;
}

/// Advantages in [-1, 1).
inline std::vector<float> fixed_advantages(std::size_t rows) {
  std::vector<float> advantages(rows);
  for (std::size_t i = 0; i < rows; ++i) advantages[i] = 2.0f * fixed_value(900000001 + i) - 1.0f;
  return advantages;
}

}  // namespace maestro::bench
