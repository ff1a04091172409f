#pragma once

/// @file
/// Conductors that follow a rule, which is a small struct that turns statistics of a group into weights.

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/state.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// RuleView holds what a weight rule reads of one group of a step.
struct RuleView {
  std::size_t rewards = 0;              ///< K
  const Moments* group = nullptr;       ///< (K) of each reward over the group's responses that have it
  const Moments* batch = nullptr;       ///< (K) the same over the whole batch
  const double* std_dev = nullptr;      ///< (K) mean over groups of the group's standard deviation (ddof 1); 0 if no
                                        ///< group has two values
  const double* correlation = nullptr;  ///< (K x K) mean over groups of Pearson's correlation inside the group; 1 on
                                        ///< the diagonal, 0 if both vary in no group; null unless the rule says
                                        ///< reads_correlation = true
  std::int64_t row = -1;                ///< data row of the group's prompt; -1: the whole batch as one group
  std::uint64_t seed = 0;               ///< of the run
  std::uint32_t step = 0;               ///< trainer step
};

/// RuleFigures holds the statistics of a batch that rules read.
class RuleFigures {
 public:
  /// Computes the statistics in two passes in index order. It is deterministic and costs O(B K), with correlations
  /// O(B K^2).
  /// @param rewards       (B x K), NaN if a reward does not apply.
  /// @param groups        partition of the B rows.
  /// @param correlations  whether correlations are computed.
  RuleFigures(MatrixView<const float> rewards, const Groups& groups, bool correlations = false)
      : rewards_(rewards.cols()),
        groups_(groups.count() * rewards.cols()),
        batch_(rewards.cols()),
        std_dev_(rewards.cols()) {
    for (std::size_t k = 0; k < rewards_; ++k) {
      batch_[k] = moments_of(rewards.rows(), [&](std::size_t i) { return rewards(i, k); });
      std::size_t counted = 0;
      for (std::size_t g = 0; g < groups.count(); ++g) {
        const std::size_t first = groups.begin(g);
        Moments& own = groups_[g * rewards_ + k];
        own = moments_of(groups.size(g), [&](std::size_t i) { return rewards(first + i, k); });
        if (own.count < 2) continue;
        std_dev_[k] += own.std_dev(1);
        ++counted;
      }
      if (counted > 0) std_dev_[k] /= static_cast<double>(counted);
    }
    if (correlations) correlate(rewards, groups);
  }
  /// Gives the view of group g, which is valid as long as this object.
  RuleView group(std::size_t g, std::int64_t row, std::uint64_t seed, std::uint32_t step) const {
    return {rewards_, groups_.data() + g * rewards_, batch_.data(), std_dev_.data(), correlation(), row, seed, step};
  }
  /// Gives the whole batch as one group.
  RuleView batch(std::uint64_t seed, std::uint32_t step) const {
    return {rewards_, batch_.data(), batch_.data(), std_dev_.data(), correlation(), -1, seed, step};
  }

 private:
  const double* correlation() const { return correlation_.empty() ? nullptr : correlation_.data(); }

  /// Computes the correlation of each pair of rewards over the responses that have both, averaged over the groups in
  /// which both vary.
  void correlate(MatrixView<const float> rewards, const Groups& groups) {
    correlation_.assign(rewards_ * rewards_, 0.0);
    for (std::size_t k = 0; k < rewards_; ++k) {
      correlation_[k * rewards_ + k] = 1.0;
      for (std::size_t l = 0; l < k; ++l) {
        double sum = 0.0;
        double counted = 0.0;
        for (std::size_t g = 0; g < groups.count(); ++g) {
          const double own = correlation_of(rewards.middle_rows(groups.begin(g), groups.size(g)), k, l);
          if (std::isnan(own)) continue;
          sum += own;
          counted += 1.0;
        }
        const double mean = counted > 0.0 ? sum / counted : 0.0;
        correlation_[k * rewards_ + l] = correlation_[l * rewards_ + k] = mean;
      }
    }
  }
  static double correlation_of(MatrixView<const float> rewards, std::size_t k, std::size_t l) {
    const auto both = [&](std::size_t i, std::size_t of) {
      const bool there = !std::isnan(rewards(i, k)) && !std::isnan(rewards(i, l));
      return there ? static_cast<double>(rewards(i, of)) : std::nan("");
    };
    const Moments a = moments_of(rewards.rows(), [&](std::size_t i) { return both(i, k); });
    const Moments b = moments_of(rewards.rows(), [&](std::size_t i) { return both(i, l); });
    const double size = std::sqrt(a.squares * b.squares);
    if (!(size > 0.0)) return std::nan("");
    double sum = 0.0;
    for (std::size_t i = 0; i < rewards.rows(); ++i) {
      const double product = (both(i, k) - a.mean) * (both(i, l) - b.mean);
      if (!std::isnan(product)) sum += product;
    }
    return sum / size;
  }

  std::size_t rewards_;
  std::vector<Moments> groups_;  // (N x K)
  std::vector<Moments> batch_;
  std::vector<double> std_dev_;
  std::vector<double> correlation_;  // (K x K), or empty
};

/// A WeightRule writes the weights of one group; RuleConductor makes a Conductor of it.
///
/// - `weights(view, w)`: const; overwrites w (K) with numbers of at least 0, of any sum: RuleConductor divides by it.
///   All 0 means equal. Depends on the view and the rule's state alone.
/// - optional `static constexpr bool as_given = true`: the weights are taken as they are, of any sign and sum, and a
///   missing reward changes none of them.
/// - optional `static constexpr bool reads_correlation = true`: the view has the correlations of the rewards.
/// - optional `static constexpr bool reads_gradients = true`: its observe gets Feedback::reward_gradients.
/// - optional `observe(view, feedback)`: learns from a step; the view is that of the whole batch.
/// - optional `update()`: as a Conductor's.
/// - optional `visit_state(v)`: what it keeps between steps.
/// - optional `check(rule)`, a free function beside it: throws BadArgument for options outside their domain.
template <class R>
concept WeightRule = std::move_constructible<R> && requires(const R& rule, const RuleView& view, double* w) {
  rule.weights(view, w);
};

namespace detail {

template <class R>
concept RuleObserves = requires(R& rule, const RuleView& view, const Feedback& feedback) {
  rule.observe(view, feedback);
};
template <class R>
concept RuleUpdates = requires(R& rule) {
  { rule.update() } -> std::same_as<std::optional<ConductorReport>>;
};
template <class R>
concept RuleAsGiven = requires {
  requires R::as_given;
};

template <class R>
concept RuleReadsCorrelation = requires {
  requires R::reads_correlation;
};

template <class R>
concept RuleReadsGradients = requires {
  requires R::reads_gradients;
};

/// Divides the weights (K) by their sum; if all are 0, they become equal.
/// @throws BadData naming the rule and the reward of a weight that is below 0 or not finite.
template <class R>
void normalize_weights(std::span<double> w) {
  double sum = 0.0;
  for (std::size_t k = 0; k < w.size(); ++k) {
    if (!(w[k] >= 0.0) || !std::isfinite(w[k])) {
      throw BadData("conductor: the rule " + std::string(type_name<R>()) + " gave weight " + std::to_string(w[k]) +
                    " for reward " + std::to_string(k) +
                    "; weights are finite and at least 0, or the rule says as_given = true");
    }
    sum += w[k];
  }
  for (double& x : w) x = sum > 0.0 ? x / sum : 1.0 / static_cast<double>(w.size());
}

}  // namespace detail

/// RuleConductor is a Conductor whose weights follow a rule from the statistics of each group. The responses of a group
/// share them, except for missing rewards (detail::leave_out_missing). It draws no action. The first decision sets K;
/// the batch is that of the step. `weights` gives the mean weights of the last decision. O(B K) a step and what the
/// rule costs.
template <WeightRule Rule>
class RuleConductor {
 public:
  /// @throws BadArgument for what the rule's check refuses.
  explicit RuleConductor(Rule rule = Rule()) : rule_(std::move(rule)) {
    if constexpr (requires { check(rule_); }) check(rule_);
  }
  const Rule& rule() const { return rule_; }

  /// @throws BadArgument naming the sizes that differ; BadData naming a weight below 0 or not finite.
  Decision decide(const StepView& view) {
    check_step_view(view, rewards_ > 0 ? rewards_ : view.rewards.cols());
    rewards_ = view.rewards.cols();
    const RuleFigures figures(view.rewards, view.groups, detail::RuleReadsCorrelation<Rule>);
    Decision decision;
    decision.weights.resize(view.groups.rows(), rewards_);
    std::vector<double> w(rewards_);
    std::vector<double> sums(rewards_);
    for (std::size_t g = 0; g < view.groups.count(); ++g) {
      ask(figures.group(g, view.rows[g], view.seed, view.step), w);
      for (std::size_t i = view.groups.begin(g); i < view.groups.end(g); ++i) {
        const std::span<float> row = decision.weights.row(i);
        if constexpr (detail::RuleAsGiven<Rule>) {
          std::transform(w.begin(), w.end(), row.begin(), [](double x) { return static_cast<float>(x); });
        } else {
          detail::leave_out_missing(w, view.rewards.row(i), row);
        }
        for (std::size_t k = 0; k < rewards_; ++k) sums[k] += static_cast<double>(row[k]);
      }
    }
    decision.base = decision.weights;
    usual_.clear();
    for (const double sum : sums) usual_.push_back(static_cast<float>(sum / static_cast<double>(view.groups.rows())));
    if (view.groups.rows() == 0) usual_.clear();
    return decision;
  }

  /// Lets the rule learn from a step.
  /// @throws BadArgument if the feedback has no rewards, or rewards of another shape.
  void observe(const Feedback& feedback) requires detail::RuleObserves<Rule> {
    if (feedback.rewards.rows() != feedback.groups.rows() || feedback.rewards.cols() != feedback.decision.rewards()) {
      throw BadArgument("conductor: the rule " + std::string(type_name<Rule>()) +
                        " learns from Feedback::rewards (responses x rewards), which are not there");
    }
    const RuleFigures figures(feedback.rewards, feedback.groups, detail::RuleReadsCorrelation<Rule>);
    rule_.observe(figures.batch(feedback.seed, feedback.step), feedback);
  }
  bool wants_reward_gradients() const requires detail::RuleReadsGradients<Rule> { return true; }
  std::optional<ConductorReport> update() requires detail::RuleUpdates<Rule> { return rule_.update(); }

  /// Overwrites out with the mean weights of the last decision; before the first, with those of the rule without any
  /// statistics.
  void weights(MatrixView<const float>, MatrixView<float> out) const {
    std::vector<float> usual = usual_;
    if (usual.empty()) {
      const RuleFigures nothing(MatrixView<const float>(nullptr, 0, out.cols()), Groups(),
                                detail::RuleReadsCorrelation<Rule>);
      std::vector<double> w(out.cols());
      ask(nothing.batch(0, 0), w);
      std::transform(w.begin(), w.end(), std::back_inserter(usual), [](double x) { return static_cast<float>(x); });
    }
    fill_rows(usual, out);
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    std::uint64_t rewards = rewards_;
    v("rewards", rewards);
    rewards_ = static_cast<std::size_t>(rewards);
    v("weights", usual_);
    if (!usual_.empty() && usual_.size() != rewards_) {
      throw BadFile("conductor: " + std::to_string(usual_.size()) + " stored weights for " + std::to_string(rewards_) +
                    " rewards");
    }
    if constexpr (Stateful<Rule>) v("rule", rule_);
  }

 private:
  void ask(const RuleView& view, std::vector<double>& w) const {
    rule_.weights(view, w.data());
    if constexpr (!detail::RuleAsGiven<Rule>) detail::normalize_weights<Rule>(w);
  }

  Rule rule_;
  std::size_t rewards_ = 0;   // K, 0 before the first decision
  std::vector<float> usual_;  // (K) mean weights of the last decision
};

namespace detail {

/// RefusedRule takes the place of a refused type, so that no other error follows. It is never called.
struct RefusedRule {
  RefusedRule() = default;
  template <class T>
  RefusedRule(const T&) {}
  void weights(const RuleView&, double*) const {}
};

/// Holds for a type that is meant as a rule and is none.
template <class R>
concept RuleRefused = !WeightRule<R> && !Decides<R>;

/// Gives one error that says what R lacks of a WeightRule, and the type RefusedRule.
template <class R>
constexpr auto refuse_rule() {
  static_assert(!RuleRefused<R>,
                "maestro: a rule of weights is movable and has void weights(const maestro::RuleView& view, double* w) "
                "const, which writes the K weights");
  return std::type_identity<RefusedRule>{};
}

}  // namespace detail

/// Refuses a type that is no rule, with one error.
template <detail::RuleRefused R>
RuleConductor(R) -> RuleConductor<typename decltype(detail::refuse_rule<R>())::type>;

}  // namespace maestro
