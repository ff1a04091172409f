#pragma once

/// @file
/// A transformer whose responses all have the same length.

#include <cstddef>
#include <span>
#include <utility>

#include "bench/common/backend.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro::bench {

/// TransformerPolicy without stop tokens: every response has max_completion_length tokens, so that a point of the sweep
/// is the work it says. Texts stay empty.
class FullLengthPolicy {
 public:
  using Inner = TransformerPolicy<float, Backend, ByteTokenizer>;
  using scalar_type = float;

  explicit FullLengthPolicy(Inner inner) : inner_(std::move(inner)) {}

  std::size_t hidden_size() const { return inner_.hidden_size(); }
  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    Rollouts rollouts;
    rollouts.prompts.assign(prompts.begin(), prompts.end());
    rollouts.groups = Groups::uniform(prompts.size(), sampling.num_generations);
    rollouts.temperature = sampling.temperature;
    for (const Prompt& prompt : prompts) rollouts.prompt_tokens.push_row(inner_.encode_prompt(prompt.text));
    generator_.run(inner_.weights(), sampling, key, {}, rollouts);
    rollouts.texts.resize(rollouts.size());
    return rollouts;
  }
  void forward(const Rollouts& rollouts, GroupRange range, std::span<float> log_probs, std::span<float> entropies) {
    inner_.forward(rollouts, range, log_probs, entropies);
  }
  void backward(std::span<const float> d_log_probs, std::span<const float> d_entropies) {
    inner_.backward(d_log_probs, d_entropies);
  }
  void log_probs(const Rollouts& rollouts, GroupRange range, std::span<float> out) const {
    inner_.log_probs(rollouts, range, out);
  }
  void zero_gradients() { inner_.zero_gradients(); }
  template <class F>
  void visit(F&& f) {
    inner_.visit(std::forward<F>(f));
  }

 private:
  Inner inner_;
  Generator<float, Backend> generator_;
};

}  // namespace maestro::bench
