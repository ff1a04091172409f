#pragma once

/// @file
/// A reward for the likelihood that a model gives to the reference answer after the response's own reasoning.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/group_rank.hpp"
#include "maestro/reward/proxy_scorer.hpp"
#include "maestro/reward/reward.hpp"
#include "maestro/reward/scorer.hpp"
#include "maestro/reward/scorer_hooks.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// Gives the log of the NOVER perplexity: mean NLL / max(1, 1 + log10(tokens of the reasoning)). Reasoning of no tokens
/// counts as one token. The divisor grows with the reasoning, so that short reasoning has no advantage by its length
/// alone. Source: NOVER [2505.16022].
inline double log_nover_perplexity(double mean_nll, std::size_t reasoning_tokens) {
  const double tokens = static_cast<double>(std::max<std::size_t>(reasoning_tokens, 1));
  return mean_nll / std::max(1.0, 1.0 + std::log10(tokens));
}

/// Gives exp(mean NLL / max(1, 1 + log10(tokens of the reasoning))), at least 1.
inline double nover_perplexity(double mean_nll, std::size_t reasoning_tokens) {
  return std::exp(log_nover_perplexity(mean_nll, reasoning_tokens));
}

/// PerplexityScale says which value the perplexity reward has.
enum class PerplexityScale : unsigned char {
  group_rank,    ///< (n_valid - rank)/n_valid inside the group, rank 0 the lowest perplexity; invalid format 0
  negative_log,  ///< -log perplexity <= 0; invalid format gives PerplexityOptions::invalid_value
};

/// PerplexityOptions holds the options of the Perplexity reward.
struct PerplexityOptions {
  AnswerPlace answer = AnswerPlace::tags;
  TagNames tags{};  ///< for AnswerPlace::tags
  PerplexityScale scale = PerplexityScale::group_rank;
  float invalid_value = -10.0f;  ///< negative_log only: the value of a response without a place for the answer; finite
};

/// Perplexity rewards a low perplexity of the reference answer after prompt, response and opening answer tag, under a
/// LikelihoodScorer. With AnswerPlace::boxed the reference follows the last `\boxed{`; with AnswerPlace::whole it
/// follows the whole response and a line end. `Perplexity{}` asks a copy of the policy in training, which its Trainer
/// attaches (PolicyProxy, renewed every few steps); `Perplexity{scorer}` asks another model. A response without the tag
/// structure (or the box) is not scored. If the prompt has no reference, the reward does not apply. The reasoning is
/// counted in the scorer's tokens if the scorer has `count_tokens(text)`; otherwise the response's own tokens are split
/// in proportion to bytes. Source: MAESTRO's perplexity reward after NOVER [2505.16022]; formulas as in
/// nover_perplexity and rank_in_groups.
template <LikelihoodScorer S = PolicyProxy>
class Perplexity : public detail::ScorerHooks<S> {
  using detail::ScorerHooks<S>::scorer_;

 public:
  static constexpr std::string_view name = "perplexity";

  /// Makes the reward.
  /// @throws BadArgument if invalid_value is not finite.
  explicit Perplexity(PerplexityOptions options = {}) requires std::same_as<S, PolicyProxy>
      : Perplexity(PolicyProxy(), std::move(options)) {}
  explicit Perplexity(S scorer, PerplexityOptions options = {})
      : detail::ScorerHooks<S>(std::move(scorer)), structure_(options.tags), options_(std::move(options)) {
    require(std::isfinite(options_.invalid_value), "Perplexity: invalid_value must be finite");
  }

  /// Scores the whole batch with one call of the scorer.
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    require_text(rollouts.actions);
    std::vector<LikelihoodQuery> queries;
    std::vector<std::size_t> rows;
    std::vector<std::size_t> lengths;
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const Completion completion = rollouts.completion(i);
      if (completion.prompt.reference.empty()) continue;
      Place place = place_of(completion.text);
      if (!place.valid) continue;
      queries.push_back(
          {.group = completion.group, .prefix = std::move(place.prefix), .continuation = completion.prompt.reference});
      rows.push_back(i);
      lengths.push_back(reasoning_tokens(completion, place.reasoning));
    }
    std::vector<float> nll(queries.size(), std::numeric_limits<float>::quiet_NaN());
    if (!queries.empty()) scorer_.mean_nll(rollouts, std::span<const LikelihoodQuery>(queries), std::span<float>(nll));

    std::vector<float> log_perplexity(rollouts.size(), std::numeric_limits<float>::quiet_NaN());
    for (std::size_t q = 0; q < queries.size(); ++q) {
      if (!(nll[q] >= 0.0f)) {
        throw BadData("the scorer gave " + std::to_string(nll[q]) + " as mean negative log-likelihood of response " +
                      std::to_string(rows[q]) + " of the batch; it must be at least 0");
      }
      log_perplexity[rows[q]] = static_cast<float>(log_nover_perplexity(static_cast<double>(nll[q]), lengths[q]));
    }
    fill(rollouts, log_perplexity, scores);
  }

  /// Refuses prompts whose reference the scorer could not score after the longest response. It assumes that a
  /// response's text has no more of the scorer's tokens than were drawn.
  /// @throws BadArgument naming data row and sizes.
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const requires
      requires(const S& scorer, const Prompt& prompt) {
    scorer.check_query(prompt, std::size_t{}, std::string_view{});
  }
  {
    for (const Prompt& prompt : prompts) {
      if (prompt.reference.empty()) continue;
      const std::size_t line_end = options_.answer == AnswerPlace::whole ? 1 : 0;
      scorer_.check_query(prompt, sampling.max_completion_length + line_end, prompt.reference);
    }
  }

 private:
  /// Place says where the reference is inserted in a response.
  struct Place {
    bool valid = false;
    std::string prefix{};          ///< what stands before it
    std::string_view reasoning{};  ///< what of that is reasoning
  };

  Place place_of(std::string_view text) const {
    if (options_.answer == AnswerPlace::tags) {
      const TagParse parse = structure_.parse(text);
      return {parse.valid, std::string(parse.through_opening), parse.reasoning};
    }
    if (options_.answer == AnswerPlace::whole) return {true, std::string(text) + '\n', text};
    constexpr std::string_view opening = "\\boxed{";
    const std::size_t start = text.rfind(opening);
    if (start == std::string_view::npos) return {};
    return {true, std::string(text.substr(0, start + opening.size())), text.substr(0, start)};
  }

  std::size_t reasoning_tokens(const Completion& completion, std::string_view reasoning) const {
    if constexpr (requires {
                    { scorer_.count_tokens(reasoning) } -> std::convertible_to<std::size_t>;
                  }) {
      return scorer_.count_tokens(reasoning);
    } else {
      if (completion.text.empty()) return 0;
      const double share = static_cast<double>(reasoning.size()) / static_cast<double>(completion.text.size());
      return static_cast<std::size_t>(std::lround(share * static_cast<double>(completion.tokens.size())));
    }
  }

  void fill(const Rollouts& rollouts, std::span<const float> log_perplexity, std::span<float> scores) const {
    const bool ranked = options_.scale == PerplexityScale::group_rank;
    if (ranked) {
      rank_in_groups(rollouts.groups, log_perplexity, Best::lowest, scores);
    } else {
      for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = -log_perplexity[i];
    }
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (!std::isnan(scores[i])) continue;
      if (rollouts.prompts[rollouts.groups.group_of(i)].reference.empty()) continue;
      scores[i] = ranked ? 0.0f : options_.invalid_value;
    }
  }

  TagStructure structure_;
  PerplexityOptions options_;
};

namespace detail {

/// LikelihoodScorerRefused holds for a type that is meant as a scorer and is none.
template <class S>
concept LikelihoodScorerRefused = !LikelihoodScorer<S> && !BatchReward<S> && !std::derived_from<S, PerplexityOptions>;

/// Gives one error that says what S lacks of a LikelihoodScorer, and the type RefusedScorer.
template <class S>
constexpr auto refuse_likelihood_scorer() {
  static_assert(!LikelihoodScorerRefused<S>,
                "maestro: a likelihood scorer is movable and has void mean_nll(const maestro::Rollouts&, "
                "std::span<const maestro::LikelihoodQuery> queries, std::span<float> out) const");
  return std::type_identity<RefusedScorer>{};
}

}  // namespace detail

/// Refuses a type that is no scorer, with one error.
template <detail::LikelihoodScorerRefused S>
Perplexity(S, PerplexityOptions = {}) -> Perplexity<typename decltype(detail::refuse_likelihood_scorer<S>())::type>;

}  // namespace maestro
