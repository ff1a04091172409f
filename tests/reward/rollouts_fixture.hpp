#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "maestro/data/rollouts.hpp"

namespace maestro::test {

struct Response {
  std::string text;
  std::vector<float> entropies{};  ///< one per token; empty: one token of entropy 0.5 for each byte
  Finish finish = Finish::stop;
};

/// A batch of hand-written responses: one token per byte unless entropies say otherwise.
inline Rollouts make_rollouts(std::vector<std::pair<Prompt, std::vector<Response>>> groups) {
  Rollouts rollouts;
  std::vector<std::size_t> sizes;
  for (auto& [prompt, responses] : groups) {
    std::vector<std::int32_t> prompt_tokens;
    for (const char c : prompt.text) prompt_tokens.push_back(static_cast<unsigned char>(c));
    rollouts.prompt_tokens.push_row(prompt_tokens);
    rollouts.prompts.push_back(prompt);
    sizes.push_back(responses.size());
    for (const Response& response : responses) {
      std::vector<float> entropies = response.entropies;
      if (entropies.empty()) entropies.assign(response.text.size(), 0.5f);
      std::vector<std::int32_t> tokens(entropies.size(), 65);
      rollouts.tokens.push_row(tokens);
      rollouts.entropies.insert(rollouts.entropies.end(), entropies.begin(), entropies.end());
      rollouts.log_probs.insert(rollouts.log_probs.end(), entropies.size(), -1.0f);
      rollouts.finish.push_back(response.finish);
      rollouts.texts.push_back(response.text);
    }
  }
  rollouts.groups = Groups::from_sizes(sizes);
  rollouts.hidden.assign(rollouts.size(), 1, 0.0f);
  return rollouts;
}

inline Prompt prompt(std::string text, std::int64_t row, std::string reference = {}) {
  Prompt result;
  result.text = std::move(text);
  result.row = row;
  result.reference = std::move(reference);
  return result;
}

inline std::string tagged(const std::string& reasoning, const std::string& answer) {
  return "<think>" + reasoning + "</think><answer>" + answer + "</answer>";
}

}  // namespace maestro::test
