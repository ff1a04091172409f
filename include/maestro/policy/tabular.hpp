#pragma once

/// @file
/// A policy that is a table of logits, C contexts x A actions.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/policy/categorical.hpp"
#include "maestro/policy/float_and_double.hpp"
#include "maestro/policy/policy.hpp"

namespace maestro {

/// TabularOptions holds the options of a TabularPolicy.
struct TabularOptions {
  std::size_t contexts = 1;  ///< C, at least 1
  std::size_t actions = 2;   ///< A, at least 1
  std::size_t length = 1;    ///< tokens of a response, each an action drawn from the context's row; at least 1
};

/// TabularPolicy is a softmax over one row of a table of logits. The logits are 0 at first, so actions are uniform. A
/// prompt's context is Prompt::row modulo C; its text is not read. A response is `length` actions, and its text is
/// their decimal numbers separated by blanks. The hidden state (C + A) is the one-hot context ++ the share of each
/// action among the tokens. log_probs is thread-safe while nothing changes the policy.
template <class T = float>
class TabularPolicy : public detail::FloatAndDouble<TabularPolicy<T>> {
 public:
  using scalar_type = T;

  /// Makes a policy with uniform distributions.
  /// @throws BadArgument if a size is 0.
  explicit TabularPolicy(const TabularOptions& options) : options_(options) {
    require(options.contexts > 0, "tabular policy: contexts must be at least 1");
    require(options.actions > 0, "tabular policy: actions must be at least 1");
    require(options.length > 0, "tabular policy: length must be at least 1");
    logits_.assign(options.contexts, options.actions, T(0));
    gradients_.assign(options.contexts, options.actions, T(0));
  }

  std::size_t hidden_size() const { return options_.contexts + options_.actions; }
  const TabularOptions& options() const { return options_; }
  /// Gives the logits (C x A), which the caller may change.
  MatrixView<T> logits() { return logits_.view(); }

  /// Refuses, before a run begins, what generate would refuse.
  /// @throws BadArgument naming a sampling option that concerns texts.
  void check_prompts(std::span<const Prompt>, const Sampling& sampling) const {
    refuse_text_options(sampling, "tabular policy");
  }

  Rollouts generate(std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
    Matrix<T> rows(prompts.size(), options_.actions);
    Matrix<T> one_hot(prompts.size(), options_.contexts, T(0));
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      std::ranges::copy(logits_.row(context(prompts[n])), rows.row(n).begin());
      one_hot(n, context(prompts[n])) = T(1);
    }
    Rollouts result = detail::Categorical<T>::generate(prompts, sampling, key, options_.length, rows);
    for (const Prompt& prompt : prompts) {
      const auto token = static_cast<std::int32_t>(context(prompt));
      result.prompt_tokens.push_row({&token, 1});
    }
    detail::Categorical<T>::hidden_states(result, one_hot, options_.actions);
    return result;
  }

  void zero_gradients() { gradients_.assign(options_.contexts, options_.actions, T(0)); }
  template <class F>
  void visit(F&& f) {
    f(ParameterView<T>{.name = "logits",
                       .values = logits_.flat(),
                       .gradients = gradients_.flat(),
                       .rows = options_.contexts,
                       .cols = options_.actions});
  }

 private:
  friend class detail::FloatAndDouble<TabularPolicy>;
  static constexpr const char* name = "tabular policy";

  std::size_t context(const Prompt& prompt) const {
    if (prompt.row < 0) throw BadArgument("tabular policy: Prompt::row must not be negative");
    return static_cast<std::size_t>(prompt.row) % options_.contexts;
  }
  Matrix<T> gather(const Rollouts& rollouts, GroupRange range) const {
    detail::check_range(rollouts, range, name);
    Matrix<T> rows(range.last - range.first, options_.actions);
    for (std::size_t g = range.first; g < range.last; ++g) {
      std::ranges::copy(logits_.row(context(rollouts.prompts[g])), rows.row(g - range.first).begin());
    }
    return rows;
  }
  template <class U>
  void run_log_probs(const Rollouts& rollouts, GroupRange range, std::span<U> out) const {
    detail::Categorical<T>::template log_probs<U>(rollouts, range, gather(rollouts, range), out, {}, name);
  }
  template <class U>
  void run_forward(const Rollouts& rollouts, GroupRange range, std::span<U> log_probs, std::span<U> entropies) {
    rows_ = gather(rollouts, range);
    detail::Categorical<T>::template log_probs<U>(rollouts, range, rows_, log_probs, entropies, name);
    kept_.keep(rollouts, range);
    contexts_.clear();
    for (std::size_t g = range.first; g < range.last; ++g) contexts_.push_back(context(rollouts.prompts[g]));
  }
  template <class U>
  void run_backward(std::span<const U> d_log_probs, std::span<const U> d_entropies) {
    detail::Categorical<T>::template backward<U>(kept_, d_log_probs, d_entropies, rows_, name);
    for (std::size_t g = 0; g < contexts_.size(); ++g) {
      const std::span<T> to = gradients_.row(contexts_[g]);
      for (std::size_t a = 0; a < to.size(); ++a) to[a] += rows_(g, a);
    }
    kept_.begins.clear();
  }

  TabularOptions options_;
  Matrix<T> logits_;
  Matrix<T> gradients_;
  Matrix<T> rows_;  ///< logits of the last forward's groups
  std::vector<std::size_t> contexts_;
  typename detail::Categorical<T>::Kept kept_;
};

}  // namespace maestro
