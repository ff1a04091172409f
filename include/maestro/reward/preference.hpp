#pragma once

/// @file
/// A reward that is the score of a preference model.

#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/reward.hpp"
#include "maestro/reward/scorer.hpp"
#include "maestro/reward/scorer_hooks.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// Preference is the raw score that a PreferenceScorer gives to a prompt and a response. Any finite scale is allowed;
/// the scalarization can standardize it. Source: MAESTRO's preference reward (a sequence-classification reward model).
template <PreferenceScorer S>
class Preference : public detail::ScorerHooks<S> {
  using detail::ScorerHooks<S>::scorer_;

 public:
  static constexpr std::string_view name = "preference";

  explicit Preference(S scorer) : detail::ScorerHooks<S>(std::move(scorer)) {}

  /// Scores the whole batch with one call of the scorer.
  /// @throws BadArgument if the responses are float actions; what the scorer throws.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    require_text(rollouts.actions);
    scorer_.score(rollouts, scores);
  }

  /// Calls the scorer's check_prompts.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const requires
      requires(const S& scorer) {
    scorer.check_prompts(prompts, sampling);
  }
  { scorer_.check_prompts(prompts, sampling); }
};

namespace detail {

/// PreferenceScorerRefused holds for a type that is meant as a scorer and is none.
template <class S>
concept PreferenceScorerRefused = !PreferenceScorer<S> && !BatchReward<S>;

/// Gives one error that says what S lacks of a PreferenceScorer, and the type RefusedScorer.
template <class S>
constexpr auto refuse_preference_scorer() {
  static_assert(!PreferenceScorerRefused<S>,
                "maestro: a preference scorer is movable and has void score(const maestro::Rollouts&, std::span<float> "
                "out) const");
  return std::type_identity<RefusedScorer>{};
}

}  // namespace detail

/// Refuses a type that is no scorer, with one error.
template <detail::PreferenceScorerRefused S>
Preference(S) -> Preference<typename decltype(detail::refuse_preference_scorer<S>())::type>;

}  // namespace maestro
