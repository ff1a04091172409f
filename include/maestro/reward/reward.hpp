#pragma once

/// @file
/// What a reward is: a callable with a name. Two forms fit:
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
/// `name` may be a static or a plain member. nullopt (NaN in the batch form) means that the reward does not apply to
/// the response. Infinity, and NaN from the per-response form, are errors that name reward, prompt and response. A
/// reward may have these hooks: `attach(policy)` gets the policy in training once, before the run (to take a proxy copy
/// of it); `before_step(policy, step)` lets the reward follow the policy; `check_prompts(prompts, sampling) const`
/// throws before a run for a prompt that the reward could not judge in some step; `visit_state(v)` puts the reward's
/// state into checkpoints; `failures() const` says what failed in the last batch (failures.hpp; Fallible has it for any
/// reward); `visit_figures(f) const` gives figures of the last batch to the metrics by f(name, value). A lambda becomes
/// a reward by reward("name", f) of function.hpp. If a type is no reward, RewardSet gives one error that says what it
/// lacks (requirements.hpp).

#include <concepts>
#include <optional>
#include <span>
#include <string_view>

#include "maestro/data/rollouts.hpp"

namespace maestro {

/// A CompletionReward scores one response; it is const and thread-safe.
template <class R>
concept CompletionReward = std::move_constructible<R> && requires(const R& reward, const Completion& completion) {
  { reward.name } -> std::convertible_to<std::string_view>;
  { reward(completion) } -> std::convertible_to<std::optional<float>>;
};

/// A BatchReward scores a whole batch at once, into `scores`; it is called outside parallel loops.
template <class R>
concept BatchReward = std::move_constructible<R> &&
    requires(const R& reward, const Rollouts& rollouts, std::span<float> scores) {
  { reward.name } -> std::convertible_to<std::string_view>;
  { reward(rollouts, scores) } -> std::same_as<void>;
};

/// A Reward judges responses in one of the two forms.
template <class R>
concept Reward = CompletionReward<R> || BatchReward<R>;

}  // namespace maestro
