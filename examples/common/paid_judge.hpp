#pragma once

/// @file
/// The training side's judge of the families of contexts: what a strong but imperfect grader would say, for a price.
/// It shares no rule with the held-out judges. It is noisy, likes length, and counts its calls.

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "common/cheap_rewards.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro::examples {

/// What this judge errs by.
struct PaidJudgeOptions {
  std::uint64_t seed = 0;     ///< of the noise
  double noise = 0.15;        ///< standard deviation of a normal error
  double length_bias = 0.10;  ///< added times tanh((characters - 60) / 30)
};

/// PaidJudge scores a response, about in [-0.5, 1.5]: the mean of five coarse impressions (marked up, spelled out,
/// tone, kindness, close to the point) as the family wants them, plus the length bias, plus noise. Asked again for the
/// same response to the same prompt it answers the same, noise included. It is a reward in the form of a batch; score()
/// is for callers that ask about single responses.
class PaidJudge {
 public:
  static constexpr std::string_view name = "paid_judge";

  explicit PaidJudge(const PaidJudgeOptions& options = {}) : options_(options) {
    require(options.noise >= 0.0 && std::isfinite(options.noise), "PaidJudge: noise must be finite and at least 0");
    require(std::isfinite(options.length_bias), "PaidJudge: length_bias must be finite");
  }

  /// One call: the score of one response.
  /// @throws BadArgument for a task that is no family of contexts.
  float score(const Prompt& prompt, std::string_view text) const {
    ++calls_;
    const auto length = static_cast<double>(count_characters(text));
    const RandomStream stream({.seed = options_.seed ^ fnv1a(text, fnv1a(prompt.text)), .step = 0x504A});
    return static_cast<float>(impression(prompt, text) + options_.length_bias * std::tanh((length - 60.0) / 30.0) +
                              options_.noise * stream.normal(0));
  }
  void operator()(const Rollouts& rollouts, std::span<float> scores) const {
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      scores[i] = score(rollouts.prompts[rollouts.groups.group_of(i)], rollouts.texts[i]);
    }
  }

  /// @throws BadArgument for a prompt of no family of contexts.
  void check_prompts(std::span<const Prompt> prompts, const Sampling&) const {
    for (const Prompt& prompt : prompts) static_cast<void>(taste_of(prompt));
  }

  /// Calls so far; in checkpoints.
  std::uint64_t calls() const { return calls_; }
  template <class F>
  void visit_figures(F&& f) const {
    f("calls", static_cast<double>(calls_));
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("calls", calls_);
  }

 private:
  /// What a family wants, as this judge has been told: +1, -1 or no matter.
  struct Taste {
    std::string_view task;
    int markup, account, certainty, kindness, reference;
  };
  static constexpr std::array<Taste, 7> tastes{{{"reasoning", 1, 1, 1, -1, 1},
                                                {"social", -1, 1, -1, 1, -1},
                                                {"web", -1, -1, 1, -1, 1},
                                                {"mind", 1, 1, -1, -1, 1},
                                                {"thoughts", -1, 1, 1, 1, -1},
                                                {"translation", 1, -1, 1, -1, 1},
                                                {"feeling", -1, -1, -1, 1, -1}}};

  static std::string lower(std::string_view text) {
    std::string low(text);
    for (char& c : low) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return low;
  }
  /// What stands first in the answer, or in a response without tags.
  static std::string_view point_of(std::string_view text) {
    static constexpr std::string_view tag = "<answer>";
    const std::size_t at = text.find(tag);
    if (at != std::string_view::npos) text.remove_prefix(at + tag.size());
    return text.substr(0, text.find('.'));
  }
  static std::string_view stem_of(std::string_view reference) {
    return reference.ends_with('.') ? reference.substr(0, reference.size() - 1) : reference;
  }

  static const Taste& taste_of(const Prompt& prompt) {
    std::array<std::string_view, tastes.size()> tasks{};
    for (std::size_t i = 0; i < tastes.size(); ++i) tasks[i] = tastes[i].task;
    return tastes[index_of_name("PaidJudge: the prompt's task", prompt.task, tasks)];
  }

  static double impression(const Prompt& prompt, std::string_view text) {
    const Taste& taste = taste_of(prompt);
    static constexpr std::string_view certain[] = {"clearly", "surely", "certain", "definitely"};
    static constexpr std::string_view doubtful[] = {"maybe", "perhaps", "probably", "likely"};
    static constexpr std::string_view gentle[] = {"friend", "you", "care"};
    const bool markup = text.find("</answer>") != std::string_view::npos;
    const bool account = count_words(text) >= (markup ? 8u : 13u);
    const bool close = lower(point_of(text)).find(lower(stem_of(prompt.reference))) != std::string::npos;
    const auto said = [&](std::span<const std::string_view> words) { return count_of_words(text, words) > 0; };
    const auto kept = [](int wanted, bool found) { return (wanted > 0) == found ? 1.0 : 0.0; };
    const double tone = taste.certainty > 0 ? (said(doubtful)  ? 0.0
                                               : said(certain) ? 1.0
                                                               : 0.8)
                                            : (said(doubtful)  ? 1.0
                                               : said(certain) ? 0.0
                                                               : 0.3);
    return 0.2 * (kept(taste.markup, markup) + kept(taste.account, account) + tone +
                  kept(taste.kindness, said(gentle)) + kept(taste.reference, close));
  }

  PaidJudgeOptions options_;
  mutable std::uint64_t calls_ = 0;
};

}  // namespace maestro::examples
