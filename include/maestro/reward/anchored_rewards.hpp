#pragma once

/// @file
/// A set of rewards with an anchor beside it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/state.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/reward/anchor.hpp"
#include "maestro/reward/failures.hpp"

namespace maestro {

/// AnchoredRewards is a set of K rewards that score every response, and an anchor that is asked about some groups:
///
///     AnchoredRewards rewards{RewardSet{Format{}, Length{{.max_length = 200}}}, RewardAnchor{MyJudge{}},
///                             {.share = 0.1}};
///     Trainer trainer{policy, std::move(rewards), AnchoredConductor{}, options};
///
/// The anchor is no reward. The Conductor learns from its scores (Feedback::judged), and the metrics compare them with
/// the mixture's advantages. The judged groups train on them if AnchorOptions::training says so. Any Conductor may be
/// used; for one that does not read Feedback::judged the scores only serve the metrics. A DemonstrationAnchor gives
/// demonstrations instead, which the set scores (Feedback::demonstrated). Calls are counted when they are made, so
/// those of a step that fails later stay counted.
/// @tparam R  RewardSet, AnyRewardSet, or a set of your own
/// @tparam A  an Anchor, or a type with demonstrate(policy, rollouts, groups) as DemonstrationAnchor's; may be both
template <class R, class A>
class AnchoredRewards : public R {
 public:
  /// Takes over both; without an anchor it behaves as the set alone.
  /// @throws BadArgument for options outside their domains.
  AnchoredRewards(R rewards, std::optional<A> anchor, AnchorOptions options = {})
      : R(std::move(rewards)), anchor_(std::move(anchor)), options_(options) {
    check(options_);
  }
  AnchoredRewards(R rewards, A anchor, AnchorOptions options = {})
      : AnchoredRewards(std::move(rewards), std::optional<A>(std::move(anchor)), options) {}

  const std::optional<A>& anchor() const { return anchor_; }
  /// Gives the number of responses judged in the run.
  std::uint64_t calls() const { return calls_; }
  /// Tells whether the groups are chosen by the Conductor's uncertainty.
  bool wants_uncertainty() const { return anchor_.has_value() && options_.choice != AnchorChoice::random; }

  /// Asks the anchor about this step. The trainer calls this once per step, after the rewards.
  /// @throws what the anchor throws; BadArgument if the uncertainty is missing; BadData for an infinite score.
  template <class P>
  AnchorSignal consult(P& policy, const AnchorView& view) {
    AnchorSignal signal;
    if (!anchor_) return signal;
    if constexpr (Anchor<A>) {
      if (judges()) judge(view, signal);
    }
    if constexpr (requires(std::vector<std::size_t> & groups) {
                    anchor_->demonstrate(policy, view.rollouts, groups);
                  }) {
      demonstrate(policy, view, signal);
    }
    signal.total = calls_;
    return signal;
  }

  template <class P>
  void attach(const P& policy) {
    if constexpr (requires(R & set) { set.attach(policy); }) R::attach(policy);
    if constexpr (requires(A & anchor) { anchor.attach(policy); }) {
      if (anchor_) anchor_->attach(policy);
    }
  }
  template <class P>
  void before_step(P& policy, std::uint32_t step) {
    if constexpr (requires(R & set) { set.before_step(policy, step); }) R::before_step(policy, step);
    if constexpr (requires(A & anchor) { anchor.before_step(policy, step); }) {
      if (anchor_) anchor_->before_step(policy, step);
    }
  }
  void check_prompts(std::span<const Prompt> prompts, const Sampling& sampling) const {
    if constexpr (requires(const R& set) { set.check_prompts(prompts, sampling); }) R::check_prompts(prompts, sampling);
    if constexpr (requires(const A& anchor) { anchor.check_prompts(prompts, sampling); }) {
      if (anchor_) anchor_->check_prompts(prompts, sampling);
    }
  }
  /// Calls f(name, value) for each figure of the anchor's last call.
  template <class F>
  void visit_anchor_figures(F&& f) const {
    if constexpr (requires(const A& anchor) { anchor.visit_figures(f); }) {
      if (anchor_) anchor_->visit_figures(f);
    }
  }
  /// Gives the failures of the anchor's last call; null if it does not report them.
  const RewardFailures* anchor_failures() const {
    if constexpr (requires(const A& anchor) { anchor.failures()->reason; }) {
      if (anchor_) return anchor_->failures();
    }
    return nullptr;
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    if constexpr (Stateful<R>) R::visit_state(v);
    if (!anchor_) return;
    v("anchor calls", calls_);
    if constexpr (Stateful<A>) v("anchor state", *anchor_);
  }

 private:
  /// An anchor that may or may not judge says so by judges() const.
  bool judges() const {
    if constexpr (requires(const A& anchor) { anchor.judges(); }) return anchor_->judges();
    return true;
  }
  /// Scores the demonstrations by the run's own rewards.
  template <class P>
  void demonstrate(P& policy, const AnchorView& view, AnchorSignal& signal) {
    std::vector<std::size_t> groups;
    const Rollouts outside = anchor_->demonstrate(policy, view.rollouts, groups);
    if (groups.empty()) return;
    Matrix<float> scores(outside.size(), view.rewards.cols());
    R::evaluate(outside, scores.view());
    signal.demonstrated.assign(view.rollouts.groups.count(), view.rewards.cols(),
                               std::numeric_limits<float>::quiet_NaN());
    for (std::size_t n = 0; n < groups.size(); ++n) {
      std::copy(scores.row(n).begin(), scores.row(n).end(), signal.demonstrated.row(groups[n]).begin());
    }
  }
  void judge(const AnchorView& view, AnchorSignal& signal) {
    signal.judged.assign(view.rollouts.size(), std::numeric_limits<float>::quiet_NaN());
    signal.groups = choose_groups(options_, view, calls_);
    if (options_.training == AnchorTraining::judge) signal.blend = 1.0;
    if (options_.training == AnchorTraining::control) signal.blend = options_.control / options_.share;
    if (signal.groups.empty()) return;
    for (const std::size_t g : signal.groups) signal.calls += view.rollouts.groups.size(g);
    calls_ += signal.calls;
    anchor_->score(view.rollouts, signal.groups, signal.judged);
    for (std::size_t i = 0; i < signal.judged.size(); ++i) {
      if (std::isinf(signal.judged[i])) {
        throw BadData(detail::reward_place("(anchor)", view.rollouts, i) +
                      ": the score is infinite; give NaN for none");
      }
    }
  }

  std::optional<A> anchor_;
  AnchorOptions options_;
  std::uint64_t calls_ = 0;
};

template <class R, class A>
AnchoredRewards(R, A, AnchorOptions = {}) -> AnchoredRewards<R, A>;

}  // namespace maestro
