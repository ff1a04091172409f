#pragma once

/// @file
/// A reward is a callable with a name. It has one of two forms:
///
///     struct Politeness {                                      // judges one response; called in parallel
///       static constexpr std::string_view name = "politeness";
///       std::optional<float> operator()(const Completion& c) const;   // or plain float
///     };
///     struct Ranked {                                          // judges the batch: sees groups, may run a model
///       static constexpr std::string_view name = "ranked";
///       void operator()(const Rollouts& rollouts, std::span<float> scores) const;  // NaN: does not apply
///     };
///
/// `name` may be a static or a non-static data member. nullopt (in the batch form NaN) means that the reward does not
/// apply to the response. Infinity, and NaN from the per-response form, are errors that name reward, prompt and
/// response.
///
/// A reward may have these hooks:
/// - `attach(policy)` gets the policy in training once, before the run, for example to copy it as a proxy.
/// - `before_step(policy, step)` is called before each step, so that the reward can follow the policy.
/// - `check_prompts(prompts, sampling) const` throws, before a run, for a prompt that the reward could not judge in
///   some step.
/// - `visit_state(v)` adds the reward's state to checkpoints.
/// - `failures() const` gives the failures of the last batch (failures.hpp; Fallible has it for any reward).
/// - `visit_figures(f) const` gives figures of the last batch to the metrics by f(name, value).
///
/// If `failures`, `visit_figures` or `check_prompts` has another form, it is refused by the compiler.
///
/// reward("name", f) of function.hpp makes a reward of a lambda. If a type is not a reward, RewardSet gives one error
/// that names what is missing (requirements.hpp).

#include <concepts>
#include <optional>
#include <span>
#include <string_view>

#include "maestro/data/rollouts.hpp"

namespace maestro {

/// CompletionReward scores one response. It is const and thread-safe.
template <class R>
concept CompletionReward = std::move_constructible<R> && requires(const R& reward, const Completion& completion) {
  { reward.name } -> std::convertible_to<std::string_view>;
  { reward(completion) } -> std::convertible_to<std::optional<float>>;
};

/// BatchReward scores a whole batch in one call and writes `scores`. It is called outside parallel loops.
template <class R>
concept BatchReward = std::move_constructible<R> &&
    requires(const R& reward, const Rollouts& rollouts, std::span<float> scores) {
  { reward.name } -> std::convertible_to<std::string_view>;
  { reward(rollouts, scores) } -> std::same_as<void>;
};

/// Reward judges responses in one of the two forms.
template <class R>
concept Reward = CompletionReward<R> || BatchReward<R>;

}  // namespace maestro
