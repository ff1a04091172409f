#pragma once

/// @file
/// The interfaces of the models that rewards use. Each runs one packed batch per call and is called outside parallel
/// loops.

#include <concepts>
#include <cstddef>
#include <span>
#include <string>

#include "maestro/data/rollouts.hpp"

namespace maestro {

/// LikelihoodQuery asks for the likelihood of `continuation` after the prompt of group `group` and `prefix`.
struct LikelihoodQuery {
  std::size_t group = 0;     ///< index into the batch's prompts; queries are sorted by it
  std::string prefix;        ///< the text between the prompt and the continuation
  std::string continuation;  ///< the text that is scored
};

/// LikelihoodScorer gives the mean negative log-likelihood, in nats per token, of each continuation. The perplexity
/// reward uses it.
template <class S>
concept LikelihoodScorer = std::move_constructible<S> &&
    requires(const S& scorer, const Rollouts& rollouts, std::span<const LikelihoodQuery> queries,
             std::span<float> out) {
  scorer.mean_nll(rollouts, queries, out);
};

/// PreferenceScorer gives one score to each response of the batch. The preference reward uses it.
template <class S>
concept PreferenceScorer = std::move_constructible<S> &&
    requires(const S& scorer, const Rollouts& rollouts, std::span<float> out) {
  scorer.score(rollouts, out);
};

namespace detail {

/// RefusedScorer takes the place of a refused type, so that no other error follows. It is never called.
struct RefusedScorer {
  template <class T>
  RefusedScorer(const T&) {}
  void mean_nll(const Rollouts&, std::span<const LikelihoodQuery>, std::span<float>) const {}
  void score(const Rollouts&, std::span<float>) const {}
};

}  // namespace detail

}  // namespace maestro
