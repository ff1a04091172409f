#pragma once

/// @file
/// The Conductor that learns from an outside signal how far each reward can be trusted, group by group.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/anchor_rows.hpp"
#include "maestro/conductor/anchored_options.hpp"
#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/group_context.hpp"
#include "maestro/conductor/ridge.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// AnchoredConductor is a Conductor that learns, per group, how the rewards predict an outside signal (an anchor): the
/// scores that a judge gave to a few groups, or demonstrations. reward/anchored_rewards.hpp provides the signal. With x
/// the features of a group (GroupContext) and z_ik the z-score of reward k in it (ddof 0; 0 if constant or missing):
///
/// - joint: theta minimizes lambda |theta|^2 + sum over responses of (y_i - sum_k z_ik theta_k . x)^2;
///   w_k = theta_k . x / sum_l |theta_l . x|, of either sign. y is z(judge), or for an outside response 1 against -1/n,
///   the z-scores then being those among the n + 1.
/// - marginal: c_k = mean_i z_ik z(y_i) of each group is regressed on x; w_k = max(0, c_k(x)) + 0.001, normalized.
///
/// Joint is better if rewards are correlated. All responses of a group share its weights, except for missing rewards;
/// before anything is learned the weights are 1/K. The Conductor draws no action, and reads neither advantages nor its
/// own past weights. The first decision sets K; the groups are those of the step. Hidden states are projected
/// (GroupContext) if the regression would have more than `max_features` features: K (d + 1), or d + 1 with marginal.
/// Hidden states at the address of the last decision's, of the same groups in the same step, are taken to be the same:
/// they are not checked again, and the features of that decision are used.
/// Cost: O(n D^2) for a group that it learns from, O(B d + N K d) for a decision; D (D + 1) doubles, and N (d + 1) for
/// the features, in double throughout. Deterministic: groups and responses in index order, whatever the number of
/// threads.
/// Source: ours; inverse reinforcement learning from a judge's comparisons, solved by ridge regression.
class AnchoredConductor {
 public:
  /// @throws BadArgument naming an option outside its domain.
  explicit AnchoredConductor(const AnchoredOptions& options = {}) : options_(options) { check(options_); }
  const AnchoredOptions& options() const { return options_; }
  const Ridge& ridge() const { return ridge_; }
  /// Gives the number of responses (joint) or groups (marginal) learned from.
  std::uint64_t rows_learned() const { return learned_; }

  /// @throws BadArgument naming the sizes that differ; BadData naming the row of a hidden state that is not finite, or
  /// for more than max_tasks tasks.
  Decision decide(const StepView& view) {
    decided_.forget();
    check_step_view(view, rewards_ > 0 ? rewards_ : view.rewards.cols());
    check_context(view);
    if (view.groups.rows() > 0) start(view.rewards.cols(), states(view).cols());
    context_.learn_tasks(view.tasks);
    if (view.groups.rows() > 0) remember_features(view);
    Decision decision;
    decision.weights.resize(view.groups.rows(), view.rewards.cols());
    std::vector<double> w(view.rewards.cols());
    std::vector<double> sums(w.size());
    for (std::size_t g = 0; g < view.groups.count(); ++g) {
      if (view.groups.size(g) == 0) continue;
      weights_of(decided_features_.row(g), w);
      for (std::size_t i = view.groups.begin(g); i < view.groups.end(g); ++i) {
        detail::leave_out_missing(w, view.rewards.row(i), decision.weights.row(i));
        for (std::size_t k = 0; k < w.size(); ++k) sums[k] += w[k] / static_cast<double>(view.groups.rows());
      }
    }
    decision.base = decision.weights;
    if (view.groups.rows() > 0) usual_ = sums;
    return decision;
  }

  /// Learns from the groups for which the feedback has an anchor's signal.
  /// @throws BadArgument for feedback of another shape; BadData as decide.
  void observe(const Feedback& feedback) {
    const bool known = is_decided(feedback);
    decided_.forget();
    if (feedback.judged.empty() && feedback.demonstrated.empty()) return;
    check_feedback(feedback);
    if (!known) check_context(feedback);
    start(feedback.rewards.cols(), states(feedback).cols());
    context_.learn_tasks(feedback.tasks);
    bool forgot = false;
    std::vector<double> room(context_.size());
    for (std::size_t g = 0; g < feedback.groups.count(); ++g) {
      const std::size_t first = feedback.groups.begin(g);
      const std::size_t size = feedback.groups.size(g);
      const auto rewards = feedback.rewards.middle_rows(first, size);
      AnchorRows judged;
      AnchorRows demonstrated;
      if (!feedback.judged.empty()) judged = AnchorRows::judged(rewards, feedback.judged.subspan(first, size));
      if (!feedback.demonstrated.empty()) {
        demonstrated = AnchorRows::demonstrated(rewards, feedback.demonstrated.row(g));
      }
      if (judged.size() + demonstrated.size() == 0) continue;
      if (!std::exchange(forgot, true)) ridge_.forget(options_.forgetting, trace_at_start());
      const std::span<const double> x = features(feedback, g, known, room);
      learn(x, judged);
      learn(x, demonstrated);
    }
  }

  /// Reports what was learned since the last call: `samples` rows, whose mean squared error before they were learned is
  /// `loss`. It gives nullopt if there were none.
  std::optional<ConductorReport> update() {
    if (fresh_ == 0) return std::nullopt;
    ConductorReport report;
    report.samples = static_cast<std::size_t>(fresh_);
    report.loss = error_ / static_cast<double>(fresh_);
    fresh_ = 0;
    error_ = 0.0;
    return report;
  }

  /// Overwrites out (N) with the uncertainty of each group's weights, x' P x, summed over the rewards with joint. Only
  /// its order has a meaning, not its scale. Before anything is learned it is |x|^2 / lambda.
  /// @throws BadArgument naming sizes that differ.
  void uncertainty(const StepView& view, std::span<double> out) const {
    const bool known = is_decided(view);
    if (!known) check_context(view);
    require(out.size() == view.groups.count(), "conductor: uncertainty needs one place for each group");
    std::fill(out.begin(), out.end(), 0.0);
    if (ridge_.features() == 0) return;
    std::vector<double> room(context_.size());
    for (std::size_t g = 0; g < view.groups.count(); ++g) {
      const std::span<const double> x = features(view, g, known, room);
      for (std::size_t first = 0; first < ridge_.features(); first += x.size()) {
        out[g] += ridge_.uncertainty(x, first);
      }
    }
  }

  /// Overwrites out (B x K) with the weights of each response as if it were a group of its own, or, with
  /// GroupContextKind::task and prompt, with the mean weights of the last decision. Before the first decision they are
  /// 1/K.
  /// @throws BadArgument when the hidden states or `out` do not fit.
  void weights(MatrixView<const float> hidden, MatrixView<float> out) const {
    if (ridge_.features() == 0) {
      const std::vector<float> equal(out.cols(), 1.0f / static_cast<float>(out.cols()));
      return fill_rows(equal, out);
    }
    if (options_.context == GroupContextKind::task || options_.context == GroupContextKind::prompt) {
      return fill_rows(std::vector<float>(usual_.begin(), usual_.end()), out);
    }
    require(out.cols() == rewards_, "conductor: weights for another number of rewards than it decided on");
    if (context_.reads_hidden()) check_states(hidden, out.rows());
    std::vector<double> x(context_.size());
    std::vector<double> w(rewards_);
    for (std::size_t i = 0; i < out.rows(); ++i) {
      context_.features(hidden.middle_rows(i, 1), {}, x);
      weights_of(x, w);
      std::transform(w.begin(), w.end(), out.row(i).begin(), [](double v) { return static_cast<float>(v); });
    }
  }

  /// Visits the regression and the state of the group context.
  /// @throws BadFile for parts that do not fit together.
  template <class Visitor>
  void visit_state(Visitor& v) {
    decided_.forget();
    std::uint64_t rewards = rewards_;
    v("rewards", rewards);
    if (rewards > std::uint64_t{1} << 16) throw BadFile("conductor: " + std::to_string(rewards) + " stored rewards");
    if (rewards != rewards_) make_context(static_cast<std::size_t>(rewards));
    v("context", context_);
    v("ridge", ridge_);
    v("usual", usual_);
    v("learned", learned_);
    v("fresh", fresh_);
    v("error", error_);
    const std::size_t expected = rewards_ == 0 ? 0 : regression_size();
    if (ridge_.features() != expected || (expected > 0 && ridge_.theta().rows() != targets()) ||
        (!usual_.empty() && usual_.size() != rewards_)) {
      throw BadFile("conductor: the stored state of the AnchoredConductor does not fit its options: " +
                    std::to_string(ridge_.features()) + " features, expected " + std::to_string(expected));
    }
  }

 private:
  bool joint() const { return options_.form == AnchoredForm::joint; }
  std::size_t targets() const { return joint() ? 1 : rewards_; }
  std::size_t regression_size() const { return (joint() ? rewards_ : 1) * context_.size(); }
  double lambda() const {
    return options_.lambda > 0.0 ? options_.lambda : (joint() ? 8.0 : 0.4) * context_.squared_norm();
  }
  double trace_at_start() const { return static_cast<double>(regression_size()) / lambda(); }

  void make_context(std::size_t rewards) {
    rewards_ = rewards;
    const std::size_t most = options_.max_features / (joint() ? std::max<std::size_t>(rewards, 1) : 1);
    context_ = GroupContext({.kind = options_.context,
                             .max_size = std::max<std::size_t>(most, 1),
                             .projection = options_.projection,
                             .max_tasks = options_.max_tasks});
  }
  void start(std::size_t rewards, std::size_t hidden_size) {
    if (rewards_ == 0) make_context(rewards);
    context_.learn_size(hidden_size);
    if (ridge_.features() == 0) ridge_.start(regression_size(), targets(), lambda());
  }

  /// Gives the hidden states of a StepView or Feedback that the context is made from.
  template <class View>
  MatrixView<const float> states(const View& view) const {
    return options_.context == GroupContextKind::prompt ? view.prompt_hidden : view.hidden;
  }
  void check_states(MatrixView<const float> hidden, std::size_t rows) const {
    detail::check_hidden(hidden, rows, hidden.cols());
    require(rewards_ == 0 || rows == 0 || hidden.cols() == context_.hidden_size(),
            "conductor: hidden states of another size than those that it decided on");
  }
  template <class View>
  void check_context(const View& view) const {
    const std::size_t groups = view.groups.count();
    if (options_.context == GroupContextKind::hidden) check_states(view.hidden, view.groups.rows());
    if (options_.context == GroupContextKind::prompt) {
      require(view.prompt_hidden.rows() == groups,
              "conductor: a context of prompts needs the hidden state at the end of each group's prompt, which this "
              "policy does not give (Rollouts::prompt_hidden); take the context hidden");
      check_states(view.prompt_hidden, groups);
    }
    if (options_.context != GroupContextKind::task) return;
    require(view.tasks.size() == groups, "conductor: a context of tasks needs the task of each group's prompt");
  }
  void check_feedback(const Feedback& feedback) const {
    const std::size_t rows = feedback.groups.rows();
    require(feedback.rewards.rows() == rows && (rewards_ == 0 || feedback.rewards.cols() == rewards_),
            "conductor: the anchored Conductor learns from Feedback::rewards (responses x rewards), which are not "
            "there, or of another shape");
    require(feedback.judged.empty() || feedback.judged.size() == rows,
            "conductor: Feedback::judged needs one place for each response");
    require(feedback.demonstrated.empty() || (feedback.demonstrated.rows() == feedback.groups.count() &&
                                              feedback.demonstrated.cols() == feedback.rewards.cols()),
            "conductor: Feedback::demonstrated must be (groups x rewards)");
  }
  /// Tells whether a StepView or Feedback shows the hidden states and groups of the last decision.
  template <class View>
  bool is_decided(const View& view) const {
    return context_.reads_hidden() && decided_.is(states(view), view.step) && view.groups == decided_groups_;
  }
  void remember_features(const StepView& view) {
    decided_features_.resize(view.groups.count(), context_.size());
    for (std::size_t g = 0; g < view.groups.count(); ++g) make_features(view, g, decided_features_.row(g));
    decided_groups_ = view.groups;
    decided_.set(states(view), view.step);
  }
  /// Gives the features of group g of a StepView or Feedback: those of the last decision if they are known, or else
  /// computed in `room`.
  template <class View>
  std::span<const double> features(const View& view, std::size_t g, bool known, std::span<double> room) const {
    if (known) return decided_features_.row(g);
    make_features(view, g, room);
    return room;
  }
  template <class View>
  void make_features(const View& view, std::size_t g, std::span<double> x) const {
    MatrixView<const float> rows;
    if (options_.context == GroupContextKind::hidden) {
      rows = view.hidden.middle_rows(view.groups.begin(g), view.groups.size(g));
    }
    if (options_.context == GroupContextKind::prompt) rows = view.prompt_hidden.middle_rows(g, 1);
    context_.features(rows, view.tasks.empty() ? std::string_view() : view.tasks[g], x);
  }

  /// Computes the weights (K) of a group with features x.
  void weights_of(std::span<const double> x, std::span<double> w) const {
    double size = 0.0;
    for (std::size_t k = 0; k < w.size(); ++k) {
      if (joint()) {
        w[k] = 0.0;
        const std::span<const double> theta = ridge_.theta().row(0).subspan(k * x.size(), x.size());
        for (std::size_t j = 0; j < x.size(); ++j) w[k] = multiply_add(theta[j], x[j], w[k]);
      } else {
        w[k] = std::max(0.0, ridge_.predict(k, x)) + 1e-3;
      }
      size += std::abs(w[k]);
    }
    for (double& weight : w) weight = size > 1e-12 ? weight / size : 1.0 / static_cast<double>(w.size());
  }

  void learn(std::span<const double> x, const AnchorRows& rows) {
    if (rows.size() == 0) return;
    if (!joint()) {
      const std::vector<double> c = rows.agreement();
      for (std::size_t k = 0; k < c.size(); ++k) {
        const double off = c[k] - ridge_.predict(k, x);
        error_ += off * off / static_cast<double>(c.size());
      }
      ridge_.add(x, c);
      ++fresh_;
      ++learned_;
      return;
    }
    features_.resize(regression_size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t k = 0; k < rewards_; ++k) {
        for (std::size_t j = 0; j < x.size(); ++j) features_[k * x.size() + j] = rows.z(i, k) * x[j];
      }
      const double off = rows.target[i] - ridge_.predict(0, features_);
      error_ += off * off;
      ridge_.add(features_, {&rows.target[i], 1});
      ++fresh_;
      ++learned_;
    }
  }

  AnchoredOptions options_;
  std::size_t rewards_ = 0;  // K, 0 before the first decision
  GroupContext context_;
  Ridge ridge_;
  std::vector<double> usual_;  // (K) mean weights of the last decision
  std::uint64_t learned_ = 0;  // rows
  std::uint64_t fresh_ = 0;    // rows since the last update
  double error_ = 0.0;         // sum of their squared errors
  std::vector<double> features_;

  detail::DecidedHidden decided_;
  Groups decided_groups_;
  Matrix<double> decided_features_;  // (N x features) of that decision
};

}  // namespace maestro
