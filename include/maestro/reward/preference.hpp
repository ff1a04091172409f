#pragma once

/// @file
/// A reward that is the score of a model of human preference.

#include <span>
#include <string_view>
#include <utility>

#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/scorer.hpp"
#include "maestro/reward/scorer_hooks.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// Preference is the raw score of a PreferenceScorer for prompt and response. Any finite scale will do; the
/// scalarization can standardize it.
/// Source: MAESTRO's preference reward (a sequence-classification reward model).
template <PreferenceScorer S>
class Preference : public detail::ScorerHooks<S> {
  using detail::ScorerHooks<S>::scorer_;

 public:
  static constexpr std::string_view name = "preference";

  explicit Preference(S scorer) : detail::ScorerHooks<S>(std::move(scorer)) {}

  /// Scores the whole batch with one call of the scorer.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    require_text(rollouts.actions);
    scorer_.score(rollouts, scores);
  }

  /// Passes the question on to the scorer.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const requires
      requires(const S& scorer) {
    scorer.check_prompts(prompts, sampling);
  }
  { scorer_.check_prompts(prompts, sampling); }
};

}  // namespace maestro
