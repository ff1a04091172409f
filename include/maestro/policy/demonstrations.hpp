#pragma once

/// @file
/// Given responses as rollouts. Supervised training then uses the forward and backward pass of reinforcement learning,
/// with d loss / d log-prob = -1/n for each of n response tokens.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "maestro/data/rollouts.hpp"
#include "maestro/text/tokenizer.hpp"

namespace maestro {

/// Demonstration is a prompt and the response to learn.
struct Demonstration {
  std::string prompt;
  std::string response;
};

/// Makes rollouts of N groups with one response each. A response is the tokens of the demonstration and the end token
/// (Finish::stop), or the first `max_completion_length` of them (Finish::length). Log-probs and entropies are 0, there
/// are no hidden states, and Prompt::row counts from 0.
template <Tokenizer Tok>
Rollouts demonstrations(std::span<const Demonstration> pairs, const Tok& tokenizer,
                        std::size_t max_completion_length = std::numeric_limits<std::size_t>::max()) {
  Rollouts result;
  result.groups = Groups::uniform(pairs.size(), 1);
  result.prompts.reserve(pairs.size());
  for (std::size_t n = 0; n < pairs.size(); ++n) {
    Prompt prompt;
    prompt.text = pairs[n].prompt;
    prompt.row = static_cast<std::int64_t>(n);
    result.prompts.push_back(prompt);
    result.prompt_tokens.push_row(tokenizer.encode(pairs[n].prompt));
    std::vector<std::int32_t> tokens = tokenizer.encode(pairs[n].response);
    tokens.push_back(static_cast<std::int32_t>(tokenizer.end_token()));
    const bool cut = tokens.size() > max_completion_length;
    if (cut) tokens.resize(max_completion_length);
    result.tokens.push_row(tokens);
    result.finish.push_back(cut ? Finish::length : Finish::stop);
    result.texts.push_back(cut ? tokenizer.decode(tokens) : pairs[n].response);
  }
  result.log_probs.assign(result.tokens.size(), 0.0f);
  result.entropies.assign(result.tokens.size(), 0.0f);
  return result;
}

}  // namespace maestro
