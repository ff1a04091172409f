#pragma once

/// @file
/// A run-time choice among compiled rewards, for command lines.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/views.hpp"
#include "maestro/reward/reward_set.hpp"

namespace maestro {

/// A RewardSet of which only some rewards are evaluated. K stays the number of compiled rewards: the column of a reward
/// that is not chosen is NaN for every response (the reward does not apply), so that it adds nothing to the scalar
/// reward and a Conductor cannot draw it. Rewards that are not chosen are never called, follow no policy, and put
/// nothing into checkpoints.
template <class... Rs>
class ActiveRewards {
 public:
  /// K, the number of compiled rewards.
  static constexpr std::size_t size = sizeof...(Rs);

  /// All rewards of `set` are active.
  explicit ActiveRewards(RewardSet<Rs...> set) : set_(std::move(set)) { active_.fill(true); }
  /// The rewards named in `chosen` are active.
  /// @throws BadArgument listing the names there are, when a name is unknown or given twice, or when none is given.
  ActiveRewards(RewardSet<Rs...> set, std::span<const std::string> chosen) : set_(std::move(set)) {
    active_.fill(false);
    if (chosen.empty()) throw BadArgument("rewards: none chosen; known are " + join_names(set_.names()));
    for (const std::string& name : chosen) {
      const auto all = set_.names();
      const std::size_t found = index_of_name("rewards", name, all);
      if (active_[found]) throw BadArgument("rewards: '" + name + "' is chosen twice");
      active_[found] = true;
    }
  }

  /// The K names, in order, chosen or not.
  std::array<std::string_view, size> names() const { return set_.names(); }
  const RewardMask<size>& active() const { return active_; }
  /// Number of active rewards.
  std::size_t active_count() const {
    return static_cast<std::size_t>(std::count(active_.begin(), active_.end(), true));
  }
  const RewardSet<Rs...>& set() const { return set_; }

  /// As RewardSet::evaluate; columns of rewards that are not active are NaN.
  void evaluate(const Rollouts& rollouts, MatrixView<float> rewards) const {
    set_.evaluate(rollouts, rewards, active_);
  }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    set_.check_prompts(prompts, sampling, active_);
  }
  template <class P>
  void before_step(P& policy, std::uint32_t step) {
    set_.before_step(policy, step, active_);
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    set_.visit_state(v, active_);
  }

 private:
  RewardSet<Rs...> set_;
  RewardMask<size> active_{};
};

}  // namespace maestro
