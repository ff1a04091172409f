#pragma once

/// @file
/// A frozen copy of the policy as the model from which rewards get likelihoods.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/any_state_visitor.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/snapshot.hpp"
#include "maestro/reward/scorer.hpp"
#include "maestro/text/tokenizer.hpp"

namespace maestro {

/// TextPolicy is a policy that reads and writes text.
template <class P>
concept TextPolicy = Policy<P> && requires(const P& policy) {
  requires Tokenizer<std::remove_cvref_t<decltype(policy.tokenizer())>>;
};

/// ProxyOptions holds how often a proxy is renewed, and how much of a batch it scores in one pass.
struct ProxyOptions {
  std::uint32_t sync_steps = 6;            ///< steps between renewals of the copy; 0: the copy is never renewed
  std::size_t micro_batch_tokens = 16384;  ///< tokens of one pass, at least 1; a pass has one group or more
};

/// ProxyScorer is a LikelihoodScorer that computes likelihoods with a copy of the policy. The copy is made by the
/// constructor and renewed every few steps. The tokens of prefix and continuation follow the batch's own prompt tokens,
/// which the queries of a group share. Only the tokens of the continuation are scored, at temperature 1. Source:
/// MAESTRO, section on the perplexity reward (renewed every 6 steps, 12 for long outputs), after NOVER [2505.16022].
/// [2505.16022].
template <TextPolicy P>
class ProxyScorer {
 public:
  /// Takes over a copy of the policy.
  /// @throws BadArgument if micro_batch_tokens is 0.
  explicit ProxyScorer(P policy, ProxyOptions options = {}) : proxy_(std::move(policy)), options_(options) {
    require(options.micro_batch_tokens > 0, "ProxyScorer: micro_batch_tokens must be at least 1");
  }

  /// Overwrites out (one value per query) with out_q = -mean_t log p(token t of continuation q | prompt, prefix, tokens
  /// before t), in nats.
  /// @param queries  sorted by group.
  /// @throws BadArgument if queries are not sorted, name a group outside the batch, or do not fit `out`; BadData if a
  ///         continuation has no tokens.
  void mean_nll(const Rollouts& rollouts, std::span<const LikelihoodQuery> queries, std::span<float> out) const {
    if (out.size() != queries.size()) throw BadArgument("ProxyScorer: out needs one value per query");
    std::vector<std::size_t> scored(queries.size());
    const Rollouts asked = pack(rollouts, queries, scored);
    std::vector<float> log_probs;
    for_each_micro_batch(asked, {0, asked.groups.count()}, options_.micro_batch_tokens, [&](GroupRange range) {
      const std::size_t begin = asked.tokens.offset(asked.groups.begin(range.first));
      const std::size_t last = asked.groups.offsets()[range.last];
      log_probs.resize(asked.tokens.offset(last) - begin);
      proxy_.log_probs(asked, range, log_probs);
      for (std::size_t q = asked.groups.begin(range.first); q < last; ++q) {
        const float* continuation = log_probs.data() + (asked.tokens.offset(q + 1) - scored[q] - begin);
        const double mean = -ordered_sum(continuation, scored[q]) / static_cast<double>(scored[q]);
        // Rounding may put the log-prob of a certain token just above 0.
        out[q] = static_cast<float>(mean < 0.0 && mean > -1e-4 ? 0.0 : mean);
      }
    });
  }

  /// Refuses, before a run, a query beyond the proxy's positions: the prompt, a prefix of at most `prefix_tokens`
  /// tokens, and `continuation`. If the policy has no limit of positions, only an empty continuation is refused.
  /// @throws BadArgument naming the data row and the sizes, or a continuation without tokens.
  void check_query(const Prompt& prompt, std::size_t prefix_tokens, std::string_view continuation) const {
    const std::size_t scored = count_tokens(continuation);
    const std::string place = "ProxyScorer: data row " + std::to_string(prompt.row);
    if (scored == 0) throw BadArgument(place + ": the reference has no tokens");
    if constexpr (requires(const P& p) {
                    { prompt_size(p, prompt) } -> std::convertible_to<std::size_t>;
                    { p.config().max_positions } -> std::convertible_to<std::size_t>;
                  }) {
      const std::size_t asked = prompt_size(proxy_.policy(), prompt);
      const std::size_t limit = proxy_.policy().config().max_positions;
      if (asked > limit || scored > limit - asked || prefix_tokens > limit - asked - scored) {
        throw BadArgument(place + ": the prompt has " + std::to_string(asked) + " tokens, the reference " +
                          std::to_string(scored) + " and the longest response " + std::to_string(prefix_tokens) +
                          ", together beyond the model's " + std::to_string(limit) +
                          " positions; shorten one of them, or leave the perplexity reward out");
      }
    }
  }

  /// Gives the number of tokens of `text`.
  std::size_t count_tokens(std::string_view text) const { return proxy_.policy().tokenizer().encode(text).size(); }

  /// Renews the copy if step is a positive multiple of sync_steps. Until the first renewal, the copy is that of the
  /// constructor.
  /// @throws BadArgument if the policy has other parameters than the copy.
  template <class Q>
  void before_step(Q& policy, std::uint32_t step) {
    static_assert(std::same_as<std::remove_const_t<Q>, P>,
                  "maestro: ProxyScorer<P> can only follow a policy of type P; build it from the policy that trains");
    if (options_.sync_steps > 0 && step > 0 && step % options_.sync_steps == 0) proxy_.synchronize(policy);
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("proxy", proxy_);
  }

  const P& proxy() const { return proxy_.policy(); }

 private:
  /// Encodes a prompt as the policy does: from the whole prompt if the policy can read it, else from its text.
  template <class Q>
  static std::size_t prompt_size(const Q& policy, const Prompt& prompt) requires requires {
    policy.encode_prompt(prompt).size();
  }
  { return policy.encode_prompt(prompt).size(); }
  template <class Q>
  static std::size_t prompt_size(const Q& policy, const Prompt& prompt) requires(
      !requires { policy.encode_prompt(prompt).size(); } && requires { policy.encode_prompt(prompt.text).size(); }) {
    return policy.encode_prompt(prompt.text).size();
  }

  /// Makes one response per query, under the prompts that have any; `scored` gets the tokens of each continuation.
  Rollouts pack(const Rollouts& rollouts, std::span<const LikelihoodQuery> queries,
                std::span<std::size_t> scored) const {
    const auto& tokenizer = proxy_.policy().tokenizer();
    Rollouts asked;
    std::vector<std::size_t> sizes;
    for (std::size_t q = 0; q < queries.size(); ++q) {
      const LikelihoodQuery& query = queries[q];
      if (query.group >= rollouts.prompts.size() || (q > 0 && query.group < queries[q - 1].group)) {
        throw BadArgument("ProxyScorer: query " + std::to_string(q) + " names group " + std::to_string(query.group) +
                          "; queries must be sorted by group, below " + std::to_string(rollouts.prompts.size()));
      }
      if (q == 0 || query.group != queries[q - 1].group) {
        asked.prompts.push_back(rollouts.prompts[query.group]);
        asked.prompt_tokens.push_row(rollouts.prompt_tokens.row(query.group));
        sizes.push_back(0);
      }
      std::vector<std::int32_t> tokens = tokenizer.encode(query.prefix);
      const std::vector<std::int32_t> continuation = tokenizer.encode(query.continuation);
      if (continuation.empty()) {
        throw BadData("ProxyScorer: the continuation of query " + std::to_string(q) + " has no tokens");
      }
      tokens.insert(tokens.end(), continuation.begin(), continuation.end());
      scored[q] = continuation.size();
      asked.tokens.push_row(tokens);
      asked.finish.push_back(Finish::length);
      asked.texts.push_back(query.prefix + query.continuation);
      ++sizes.back();
    }
    asked.groups = Groups::from_sizes(sizes);
    return asked;
  }

  Snapshot<P> proxy_;
  ProxyOptions options_;
};

/// PolicyProxy is a ProxyScorer of the policy in training, whatever its type. It needs no policy when it is made:
/// Trainer attaches its policy, and without a Trainer the caller calls `attach(policy)`. A copy of it has its own copy
/// of the policy.
class PolicyProxy {
 public:
  /// Makes a proxy without a policy.
  /// @throws BadArgument if micro_batch_tokens is 0.
  explicit PolicyProxy(ProxyOptions options = {}) : options_(options) {
    require(options.micro_batch_tokens > 0, "PolicyProxy: micro_batch_tokens must be at least 1");
  }
  PolicyProxy(const PolicyProxy& other)
      : options_(other.options_), proxy_(other.proxy_ ? other.proxy_->clone() : nullptr) {}
  PolicyProxy& operator=(const PolicyProxy& other) { return *this = PolicyProxy(other); }
  PolicyProxy(PolicyProxy&&) noexcept = default;
  PolicyProxy& operator=(PolicyProxy&&) noexcept = default;
  ~PolicyProxy() = default;

  /// Takes a copy of `policy`, which replaces any earlier one.
  template <class P>
  void attach(const P& policy) {
    static_assert(TextPolicy<P>, "maestro: a reward that asks a proxy of the policy needs a policy with a tokenizer()");
    if constexpr (TextPolicy<P>) proxy_ = std::make_unique<Model<P>>(ProxyScorer<P>(policy, options_));
  }

  /// Computes likelihoods; see ProxyScorer::mean_nll.
  /// @throws BadArgument if no policy is attached, and as ProxyScorer.
  void mean_nll(const Rollouts& rollouts, std::span<const LikelihoodQuery> queries, std::span<float> out) const {
    proxy().mean_nll(rollouts, queries, out);
  }
  void check_query(const Prompt& prompt, std::size_t prefix_tokens, std::string_view continuation) const {
    proxy().check_query(prompt, prefix_tokens, continuation);
  }
  std::size_t count_tokens(std::string_view text) const { return proxy().count_tokens(text); }
  /// Renews the copy; see ProxyScorer::before_step.
  /// @throws BadArgument if no policy is attached, or if the attached policy is of another type.
  template <class P>
  void before_step(P& policy, std::uint32_t step) {
    proxy();
    constexpr const char* other = "PolicyProxy: the policy to follow is of another type than the one attached";
    if constexpr (TextPolicy<std::remove_const_t<P>>) {
      auto* const model = dynamic_cast<Model<std::remove_const_t<P>>*>(proxy_.get());
      require(model != nullptr, other);
      model->scorer.before_step(policy, step);
    } else {
      throw BadArgument(other);
    }
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    proxy();
    AnyStateVisitor any(v);
    proxy_->visit_state(any);
  }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::unique_ptr<Interface> clone() const = 0;
    virtual void mean_nll(const Rollouts& rollouts, std::span<const LikelihoodQuery> queries,
                          std::span<float> out) const = 0;
    virtual void check_query(const Prompt& prompt, std::size_t prefix_tokens, std::string_view continuation) const = 0;
    virtual std::size_t count_tokens(std::string_view text) const = 0;
    virtual void visit_state(AnyStateVisitor& v) = 0;
  };
  template <class P>
  struct Model final : Interface {
    explicit Model(ProxyScorer<P> made) : scorer(std::move(made)) {}
    std::unique_ptr<Interface> clone() const override { return std::make_unique<Model>(*this); }
    void mean_nll(const Rollouts& rollouts, std::span<const LikelihoodQuery> queries,
                  std::span<float> out) const override {
      scorer.mean_nll(rollouts, queries, out);
    }
    void check_query(const Prompt& prompt, std::size_t prefix_tokens, std::string_view continuation) const override {
      scorer.check_query(prompt, prefix_tokens, continuation);
    }
    std::size_t count_tokens(std::string_view text) const override { return scorer.count_tokens(text); }
    void visit_state(AnyStateVisitor& v) override { scorer.visit_state(v); }

    ProxyScorer<P> scorer;
  };

  const Interface& proxy() const {
    require(proxy_ != nullptr,
            "PolicyProxy: no policy is attached to ask for likelihoods; a Trainer attaches its own, elsewhere call "
            "attach(policy) first, or give the reward a scorer, such as ProxyScorer{policy}");
    return *proxy_;
  }

  ProxyOptions options_;
  std::unique_ptr<Interface> proxy_;
};

}  // namespace maestro
