#pragma once

/// @file
/// A reward made from a name and any callable.

#include <concepts>
#include <span>
#include <string>
#include <utility>

#include "maestro/data/rollouts.hpp"
#include "maestro/reward/requirements.hpp"

namespace maestro {

/// FunctionReward is the result of reward(name, function): a reward whose call operators are those of `function`.
template <class F>
struct FunctionReward {
  std::string name;
  F function;

  auto operator()(const Completion& completion) const requires std::invocable<const F&, const Completion&> {
    return function(completion);
  }
  void operator()(const Rollouts& rollouts,
                  std::span<float> scores) const requires std::invocable<const F&, const Rollouts&, std::span<float>> {
    function(rollouts, scores);
  }
};

/// Makes a reward from any callable, so that a lambda needs no type of its own:
///
///     RewardSet rewards{Format{}, reward("short", [](const Completion& c) { return c.text.size() < 80 ? 1.0f : 0.0f;
///     })};
///
/// @param name      the name in reports and errors; not empty, and different from that of every other reward of a set.
/// @param function  Completion -> float or std::optional<float>, const and thread-safe; or the form of a batch,
///                  (Rollouts, std::span<float> scores) -> void. See reward.hpp.
template <class F>
auto reward(std::string name, F function) {
  using Accepted = typename decltype(detail::accept_reward<F, detail::RewardName::given>())::type;
  return FunctionReward<Accepted>{std::move(name), std::move(function)};
}

}  // namespace maestro
