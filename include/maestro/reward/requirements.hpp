#pragma once

/// @file
/// One error that names what a type lacks to be a Reward.

#include <concepts>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "maestro/core/refusal.hpp"
#include "maestro/data/hooks.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/reward/failures.hpp"
#include "maestro/reward/reward.hpp"

namespace maestro::detail {

/// RefusedReward takes the place of a refused type, so that no other error follows. It is never called.
struct RefusedReward {
  static constexpr std::string_view name = "refused";
  template <class T>
  constexpr RefusedReward(const T&) {}
  float operator()(const Completion&) const { return 0.0f; }
};

/// RewardName says whether the name must be a member or is given separately (reward("name", f)).
enum class RewardName { member, given };

template <class R>
concept JudgesWhileConst = requires(const R& reward, const Completion& completion) {
  reward(completion);
}
|| requires(const R& reward, const Rollouts& rollouts, std::span<float> scores) { reward(rollouts, scores); };

template <class R>
concept JudgesWhileMutable = requires(R& reward, const Completion& completion) {
  reward(completion);
}
|| requires(R& reward, const Rollouts& rollouts, std::span<float> scores) { reward(rollouts, scores); };

template <class R>
concept JudgesMutableCompletion = requires(R& reward, Completion& completion) {
  reward(completion);
};

template <class R>
concept JudgesBatchAlone = requires(R& reward, const Rollouts& rollouts) {
  reward(rollouts);
};

template <class R>
concept JudgesLists = requires(R& reward, std::vector<std::string> list) {
  reward(list);
}
|| requires(R& reward, std::vector<std::string> list) { reward(list, list); }
|| requires(R& reward, std::vector<std::string> list) { reward(list, list, list); };

template <class R>
concept JudgesText = requires(R& reward, std::string text) {
  reward(text);
}
|| requires(R& reward, std::string text) { reward(text, text); }
|| requires(R& reward, std::string text) { reward(text, text, text); };

template <class R>
concept GivesScore = requires(const R& reward, const Completion& completion) {
  { reward(completion) } -> std::convertible_to<std::optional<float>>;
};

template <class R>
concept FillsScores = requires(const R& reward, const Rollouts& rollouts, std::span<float> scores) {
  { reward(rollouts, scores) } -> std::same_as<void>;
};

template <class R>
concept HasRewardName = requires(const R& reward) {
  { reward.name } -> std::convertible_to<std::string_view>;
};

template <class R>
concept HasNameFunction = requires(const R& reward) {
  reward.name();
};

template <class R>
concept NamesFailures = requires {
  requires std::is_member_function_pointer_v<decltype(&R::failures)>;
};
/// Gives R if R is a reward. Otherwise it gives RefusedReward, with one error that names the first thing that R lacks:
/// the call operator, then its result, then the name, then an optional member in another form.
template <class R, RewardName Name = RewardName::member>
constexpr auto accept_reward() {
  constexpr bool judges = GivesScore<R> || FillsScores<R>;
  constexpr bool reports = absent_or_fit(NamesFailures<R>, ReportsFailures<R>);
  constexpr bool counts = absent_or_fit(NamesFigures<R>, VisitsFigures<R>);
  constexpr bool checks = absent_or_fit(NamesCheckPrompts<R>, ChecksPrompts<R>);
  constexpr bool named = Name == RewardName::given || HasRewardName<R>;
  if constexpr (judges && named && std::move_constructible<R> && reports && counts && checks) {
    return std::type_identity<R>{};
  } else {
    if constexpr (judges && !std::move_constructible<R>) {
      static_assert(refused<R>, "maestro: a reward must be movable, since a RewardSet holds it by value");
    } else if constexpr (judges && named && !reports) {
      static_assert(
          refused<R>,
          "maestro: a reward's failures, if there is one, is const maestro::RewardFailures& failures() const");
    } else if constexpr (judges && named && !checks) {
      static_assert(refused<R>,
                    "maestro: a reward's check_prompts, if there is one, is void check_prompts("
                    "std::span<const maestro::Prompt>, const maestro::Sampling&) const");
    } else if constexpr (judges && named) {
      static_assert(refused<R>,
                    "maestro: a reward's visit_figures, if there is one, is template <class F> void visit_figures(F&& "
                    "f) const, which calls f(std::string_view name, double value)");
    } else if constexpr (judges && HasNameFunction<R>) {
      static_assert(refused<R>,
                    "maestro: a reward's name is a data member, not a function: "
                    "static constexpr std::string_view name = \"short\";");
    } else if constexpr (judges) {
      static_assert(refused<R>,
                    "maestro: a reward needs a name: static constexpr std::string_view name = \"short\"; "
                    "for a lambda or a function write maestro::reward(\"short\", f)");
    } else if constexpr (JudgesWhileConst<R>) {
      static_assert(refused<R>,
                    "maestro: a reward's call operator returns float or std::optional<float> (nullopt: "
                    "does not apply); that of a batch fills the scores and returns void");
    } else if constexpr (JudgesWhileMutable<R>) {
      static_assert(refused<R>,
                    "maestro: a reward's call operator must be const, since several threads call it: "
                    "float operator()(const maestro::Completion& c) const");
    } else if constexpr (JudgesMutableCompletion<R>) {
      static_assert(refused<R>,
                    "maestro: a reward only reads the response, so its call operator takes "
                    "const maestro::Completion&");
    } else if constexpr (JudgesBatchAlone<R>) {
      static_assert(refused<R>,
                    "maestro: a reward that judges the batch fills the scores that it is given: "
                    "void operator()(const maestro::Rollouts& r, std::span<float> scores) const");
    } else if constexpr (JudgesLists<R>) {
      static_assert(refused<R>,
                    "maestro: a reward judges one response, not lists of texts: float operator()(const "
                    "maestro::Completion& c) const reads c.prompt.text, c.text and c.prompt.reference");
    } else if constexpr (JudgesText<R>) {
      static_assert(refused<R>,
                    "maestro: a reward takes the whole response, not a string: float operator()(const "
                    "maestro::Completion& c) const reads c.text, c.prompt.text and c.prompt.reference");
    } else {
      static_assert(refused<R>,
                    "maestro: a reward needs a call operator: float operator()(const maestro::Completion& "
                    "c) const, or void operator()(const maestro::Rollouts& r, std::span<float> s) const");
    }
    return std::type_identity<RefusedReward>{};
  }
}

}  // namespace maestro::detail
