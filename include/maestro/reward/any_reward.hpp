#pragma once

/// @file
/// Type-erased rewards, and a set of them whose number is known at run time, for command lines.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/any_state_visitor.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/failures.hpp"
#include "maestro/reward/reward.hpp"
#include "maestro/reward/reward_set.hpp"

namespace maestro {

/// AnyReward holds a reward of any type for policies of type P, hooks included. A copy of it has its own reward.
template <class P>
class AnyReward {
 public:
  /// Takes over a reward.
  /// @throws BadArgument if the reward's name is empty.
  template <Reward R>
  requires(!std::same_as<R, AnyReward>) AnyReward(R reward) : reward_(std::make_unique<Model<R>>(std::move(reward))) {}
  AnyReward(const AnyReward& other) : reward_(other.reward_->clone()) {}
  AnyReward& operator=(const AnyReward& other) {
    reward_ = other.reward_->clone();
    return *this;
  }
  AnyReward(AnyReward&&) noexcept = default;
  AnyReward& operator=(AnyReward&&) noexcept = default;
  ~AnyReward() = default;

  /// Gives a view of the reward's own name.
  std::string_view name() const { return reward_->name(); }
  /// Fills one column as RewardSet::evaluate does.
  void evaluate(const Rollouts& rollouts, MatrixView<float> column) const { reward_->evaluate(rollouts, column); }
  void attach(const P& policy) { reward_->attach(policy); }
  void before_step(P& policy, std::uint32_t step) { reward_->before_step(policy, step); }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    reward_->check_prompts(prompts, sampling);
  }
  /// Gives the failures of the last batch; null if the reward does not report them.
  const RewardFailures* failures() const { return reward_->failures(); }
  /// Calls f(name, value) for the figures that RewardSet::visit_figures gives.
  void visit_figures(const std::function<void(std::string_view, double)>& f) const { reward_->visit_figures(f); }
  /// Visits the reward's state under its name, if it has any.
  template <class Visitor>
  void visit_state(Visitor& v) {
    AnyStateVisitor any(v);
    reward_->visit_state(any);
  }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual std::unique_ptr<Interface> clone() const = 0;
    virtual std::string_view name() const = 0;
    virtual void evaluate(const Rollouts& rollouts, MatrixView<float> column) const = 0;
    virtual void attach(const P& policy) = 0;
    virtual void before_step(P& policy, std::uint32_t step) = 0;
    virtual void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const = 0;
    virtual const RewardFailures* failures() const = 0;
    virtual void visit_figures(const std::function<void(std::string_view, double)>& f) const = 0;
    virtual void visit_state(AnyStateVisitor& v) = 0;
  };
  /// Asks a set of one reward, which knows the hooks that its reward has.
  template <Reward R>
  struct Model final : Interface {
    explicit Model(R reward) : set(std::move(reward)) {}
    std::unique_ptr<Interface> clone() const override { return std::make_unique<Model>(*this); }
    std::string_view name() const override { return set.names()[0]; }
    void evaluate(const Rollouts& rollouts, MatrixView<float> column) const override { set.evaluate(rollouts, column); }
    void attach(const P& policy) override { set.attach(policy); }
    void before_step(P& policy, std::uint32_t step) override { set.before_step(policy, step); }
    void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const override {
      set.check_prompts(prompts, sampling);
    }
    const RewardFailures* failures() const override { return set.failures()[0]; }
    void visit_figures(const std::function<void(std::string_view, double)>& f) const override {
      set.visit_figures([&](std::size_t, std::string_view name, double value) { f(name, value); });
    }
    void visit_state(AnyStateVisitor& v) override { set.visit_state(v); }

    RewardSet<R> set;
  };

  std::unique_ptr<Interface> reward_;
};

/// AnyRewardSet holds K rewards by value, in order; K is known at run time:
///
///     std::vector<AnyReward<Policy>> chosen;
///     chosen.emplace_back(Format{});
///     Trainer trainer{policy, AnyRewardSet<Policy>(std::move(chosen)), AnyConductor("linear", 1), options};
///
/// Scores, hooks and checkpoints are those of a RewardSet of the same rewards. Of several failures, that of the first
/// reward is reported.
template <class P>
class AnyRewardSet {
 public:
  /// Takes over the rewards.
  /// @throws BadArgument if there is no reward, or if a name occurs twice.
  explicit AnyRewardSet(std::vector<AnyReward<P>> rewards) : rewards_(std::move(rewards)) {
    if (rewards_.empty()) throw BadArgument("AnyRewardSet: there is no reward");
    detail::check_reward_names("AnyRewardSet", names());
  }

  /// Gives K, the number of rewards.
  std::size_t size() const { return rewards_.size(); }
  /// Gives the K names, in order, as views of the rewards' own names.
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> names;
    for (const AnyReward<P>& reward : rewards_) names.push_back(reward.name());
    return names;
  }

  /// Scores every response with every reward.
  /// @param rewards  (B x K) overwritten; NaN if a reward does not apply.
  /// @throws as RewardSet::evaluate.
  void evaluate(const Rollouts& rollouts, MatrixView<float> rewards) const {
    detail::check_reward_shape("AnyRewardSet", rollouts, rewards, size());
    for (std::size_t k = 0; k < size(); ++k) rewards_[k].evaluate(rollouts, rewards.middle_cols(k, 1));
    for (const RewardFailures* failed : failures()) {
      if (failed != nullptr) detail::skip_failed_groups(*failed, rollouts, rewards);
    }
  }

  /// See the members of the same names in RewardSet.
  std::vector<const RewardFailures*> failures() const {
    std::vector<const RewardFailures*> result;
    for (const AnyReward<P>& reward : rewards_) result.push_back(reward.failures());
    return result;
  }
  template <class F>
  void visit_figures(F&& f) const {
    for (std::size_t k = 0; k < size(); ++k) {
      rewards_[k].visit_figures([&](std::string_view name, double value) { f(k, name, value); });
    }
  }

  /// Calls the rewards' hooks of the same names.
  void attach(const P& policy) {
    for (AnyReward<P>& reward : rewards_) reward.attach(policy);
  }
  template <class Q>
  void attach(const Q&) {
    static_assert(std::same_as<Q, P>, "maestro: an AnyRewardSet<P> goes with policies of type P alone");
  }
  void before_step(P& policy, std::uint32_t step) {
    for (AnyReward<P>& reward : rewards_) reward.before_step(policy, step);
  }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    for (const AnyReward<P>& reward : rewards_) reward.check_prompts(prompts, sampling);
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    for (AnyReward<P>& reward : rewards_) reward.visit_state(v);
  }

 private:
  std::vector<AnyReward<P>> rewards_;
};

}  // namespace maestro
