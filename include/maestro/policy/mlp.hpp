#pragma once

/// @file
/// A policy that is a small network over the numbers of a prompt.

#include <cstddef>
#include <cstdint>
#include <span>

#include "maestro/core/error.hpp"
#include "maestro/policy/categorical.hpp"
#include "maestro/policy/float_and_double.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/tanh_network.hpp"

namespace maestro {

/// MlpPolicyOptions holds the options of an MlpPolicy.
struct MlpPolicyOptions {
  std::size_t features = 1;  ///< F, the length of Prompt::features
  std::size_t actions = 2;   ///< A
  std::uint64_t seed = 0;    ///< of the initial weights
};

/// MlpPolicy is a softmax over the logits W2 tanh(W1 x + b1) + b2 (A), with x = Prompt::features (F). A response is one
/// action, and its text is the action's decimal number. Weights are initially normal with standard deviation
/// 1/sqrt(inputs), and biases 0. They depend only on the seed. The hidden state (Width + A) is tanh(W1 x + b1) ++ the
/// one-hot action. log_probs is thread-safe while nothing changes the policy.
template <std::size_t Width, class T = float>
class MlpPolicy : public detail::FloatAndDouble<MlpPolicy<Width, T>> {
  static_assert(Width > 0, "maestro: an MlpPolicy needs at least one hidden unit");

 public:
  using scalar_type = T;

  /// Makes a policy with initial weights.
  /// @throws BadArgument if a size is 0.
  explicit MlpPolicy(const MlpPolicyOptions& options)
      : options_(checked(options)),
        network_({.features = options.features, .width = Width, .outputs = options.actions}, options.seed) {}

  std::size_t hidden_size() const { return Width + options_.actions; }
  const MlpPolicyOptions& options() const { return options_; }

  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    Pass pass;
    network_.forward(prompts, name, pass);
    Rollouts result = detail::Categorical<T>::generate(prompts, sampling, key, 1, pass.outputs);
    constexpr std::int32_t placeholder = 0;  // a prompt has no tokens of its own; packing wants at least one
    for (std::size_t n = 0; n < prompts.size(); ++n) result.prompt_tokens.push_row({&placeholder, 1});
    detail::Categorical<T>::hidden_states(result, pass.hidden, options_.actions);
    return result;
  }

  /// Refuses, before a run begins, what generate would refuse.
  /// @throws BadArgument naming the data row whose features do not fit, or a sampling option that concerns texts.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    refuse_text_options(sampling, name);
    for (const Prompt& prompt : prompts) network_.check_prompt(prompt, name);
  }

  void zero_gradients() { network_.zero_gradients(); }
  template <class F>
  void visit(F&& f) {
    network_.visit(f);
  }

 private:
  friend class detail::FloatAndDouble<MlpPolicy>;
  using Pass = typename detail::TanhNetwork<T>::Pass;
  static constexpr const char* name = "mlp policy";

  static const MlpPolicyOptions& checked(const MlpPolicyOptions& options) {
    require(options.features > 0, "mlp policy: features must be at least 1");
    require(options.actions > 0, "mlp policy: actions must be at least 1");
    return options;
  }
  static std::span<const Prompt> prompts_of(const Rollouts& rollouts, GroupRange range) {
    detail::check_range(rollouts, range, name);
    return std::span<const Prompt>(rollouts.prompts).subspan(range.first, range.last - range.first);
  }
  template <class U>
  void run_log_probs(const Rollouts& rollouts, GroupRange range, std::span<U> out) const {
    Pass pass;
    network_.forward(prompts_of(rollouts, range), name, pass);
    detail::Categorical<T>::template log_probs<U>(rollouts, range, pass.outputs, out, {}, name);
  }
  template <class U>
  void run_forward(const Rollouts& rollouts, GroupRange range, std::span<U> log_probs, std::span<U> entropies) {
    network_.forward(prompts_of(rollouts, range), name, pass_);
    detail::Categorical<T>::template log_probs<U>(rollouts, range, pass_.outputs, log_probs, entropies, name);
    kept_.keep(rollouts, range);
  }
  template <class U>
  void run_backward(std::span<const U> d_log_probs, std::span<const U> d_entropies) {
    detail::Categorical<T>::template backward<U>(kept_, d_log_probs, d_entropies, pass_.outputs, name);
    network_.backward(pass_);
    kept_.begins.clear();
  }

  MlpPolicyOptions options_;
  detail::TanhNetwork<T> network_;
  Pass pass_;  ///< of the last forward's groups
  typename detail::Categorical<T>::Kept kept_;
};

}  // namespace maestro
