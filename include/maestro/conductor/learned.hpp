#pragma once

/// @file
/// The MAESTRO Conductor. A head on the policy's terminal hidden state draws, per response, which reward to emphasize,
/// and learns from the resulting advantages.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "maestro/conductor/buffer.hpp"
#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/emphasis.hpp"
#include "maestro/conductor/estimators.hpp"
#include "maestro/conductor/learned_checks.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/conductor/networks/linear.hpp"
#include "maestro/conductor/networks/mlp.hpp"
#include "maestro/conductor/networks/network.hpp"
#include "maestro/conductor/probability.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/clip.hpp"

namespace maestro {

/// LearnedConductor is a Conductor of K actions with a learned head. The scalar type is the network's.
///
/// Each response draws its own action a ~ q(.|h) from a stream keyed by (seed, step, data row, response_number), which
/// the map `emphasis` turns into weights. Every `period` steps the head takes one AdamW step up
///
///     mean over the buffer of [surrogate of `estimator`] + entropy_bonus * mean H(p(.|h)).
///
/// A missing reward (NaN) masks its action. A row whose rewards are all missing is drawn as if none were: its weights
/// multiply nothing, and its meta-reward is 0. h is held constant. Source: MAESTRO (arXiv 2601.07208).
template <ConductorNetwork Network>
class LearnedConductor {
 public:
  using scalar_type = typename Network::scalar_type;
  static constexpr std::size_t actions = Network::actions;

  /// @throws BadArgument naming an option outside its domain, or a baseline without effect.
  explicit LearnedConductor(const LearnedConductorOptions& options = {})
      : options_(options), optimizer_(options.adamw) {
    check(options_, actions);
    log_tau_ = static_cast<scalar_type>(std::log(options_.temperature));
    if (options_.hidden_size > 0) network_.initialize(options_.hidden_size, options_.init);
  }
  const LearnedConductorOptions& options() const { return options_; }
  double temperature() const { return std::exp(static_cast<double>(log_tau_)); }
  const ConductorBuffer& buffer() const { return buffer_; }
  const Network& network() const { return network_; }

  /// Draws an action per response. The result depends only on `hidden`, the NaN pattern of `rewards` and the key of the
  /// draws.
  /// @throws BadArgument naming the sizes that differ; BadData naming the row of a hidden state that is not finite.
  Decision decide(const StepView& view) {
    check_step_view(view, actions);
    const std::size_t rows = view.groups.rows();
    if (rows > 0 && network_.input_size() == 0) network_.initialize(view.hidden.cols(), options_.init);
    decided_.forget();
    detail::check_hidden(view.hidden, rows, network_.input_size());
    logits_.resize(rows, actions);
    network_.forward(scaled(view.hidden, scaled_), logits_.view(), cache_);
    decided_.set(view.hidden, view.step);
    Decision decision;
    decision.actions.resize(rows);
    decision.probabilities.resize(rows, actions);
    const std::size_t group_size = rows / std::max<std::size_t>(view.groups.count(), 1) + 1;
    constexpr std::size_t draw_cost = 32 * (actions + 1);  // exponentials, and a random number
    parallel_for(view.groups.count(), group_size * draw_cost, [&](std::size_t g) {
      for (std::size_t i = view.groups.begin(g); i < view.groups.end(g); ++i) draw(view, g, i, decision);
    });
    apply_emphasis(options_.emphasis, options_.strength, decision);
    return decision;
  }

  /// Adds the step's responses to the buffer. Hidden states at the address of the last decision's, in the same step,
  /// are taken to be the same and are not checked and scaled again.
  /// @throws BadArgument naming the sizes that differ; BadData naming the row of a meta-reward that is not finite;
  ///         Unsupported when the counterfactuals that the estimator needs were not given.
  void observe(const Feedback& feedback) {
    const Decision& decision = feedback.decision;
    const std::size_t rows = decision.rows();
    if (rows == 0) return;
    detail::check_observed(decision, actions);
    const bool known = decided_.is(feedback.hidden, feedback.step) && feedback.hidden.rows() == rows;
    if (!known) detail::check_hidden(feedback.hidden, rows, network_.input_size());
    const MatrixView<const float> meta = detail::meta_rewards(options_, feedback, rows, actions);
    detail::check_meta(meta, decision, actions);
    const bool as_they_are = options_.hidden_scaling == HiddenScaling::none;
    if (!known) scaled(feedback.hidden, scaled_);
    decided_.forget();
    const MatrixView<const float> hidden = as_they_are ? feedback.hidden : scaled_.view();
    for (std::size_t i = 0; i < rows; ++i) {
      buffer_.push({.hidden = hidden.row(i),
                    .action = decision.actions[i],
                    .propensity = decision.probabilities.row(i),
                    .meta = meta.row(i),
                    .step = feedback.step});
    }
    dropped_ += buffer_.trim(options_.capacity);
    last_step_ = feedback.step;
    observed_ = 1;
  }

  /// Takes one optimizer step over the buffer after every `period` observed steps and reports it; otherwise it gives
  /// nullopt. The buffer is then cleared or kept.
  std::optional<ConductorReport> update() {
    if (observed_ == 0) return std::nullopt;
    observed_ = 0;
    if (++steps_since_update_ < options_.period) return std::nullopt;
    steps_since_update_ = 0;
    dropped_ += buffer_.drop_stale(last_step_, options_.max_age);
    if (buffer_.empty()) return std::nullopt;
    ConductorReport report = differentiate();
    clip_global_norm(*this, options_.gradient_clip);
    optimizer_.step(*this, options_.learning_rate);
    if (options_.after_update == AfterUpdate::clear) buffer_.clear();
    dropped_ = 0;
    report.temperature = temperature();
    return report;
  }

  /// Overwrites out (B x K) with softmax(logits / tau), without floor: the weights for use without exploration.
  /// @throws BadArgument when d differs, or is not known yet (no batch seen and no options.hidden_size).
  void weights(MatrixView<const float> hidden, MatrixView<float> out) const {
    detail::check_soft_weights(hidden, out, network_.input_size(), actions);
    Matrix<float> workspace;
    Matrix<scalar_type> logits(hidden.rows(), actions);
    typename Network::Cache cache;
    network_.forward(scaled(hidden, workspace), logits.view(), cache);
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      const auto row = action_distribution<actions>(logits.row(i).data(), temperature(), ProbabilityFloor::mix, 0.0);
      for (std::size_t k = 0; k < actions; ++k) out(i, k) = static_cast<float>(row.p[k]);
    }
  }

  bool wants_counterfactuals() const { return options_.estimator == Estimator::counterfactual; }

  /// Computes the loss over the buffer, minus the surrogate and minus the entropy bonus, and overwrites the gradients
  /// of the parameters. Importance weights and meta-rewards are held constant. The parameters do not change.
  /// @throws BadData naming the parameter whose gradient is not finite.
  ConductorReport differentiate() {
    network_.zero_gradients();
    log_tau_gradient_ = scalar_type(0);
    ConductorReport report;
    report.samples = buffer_.size();
    report.dropped = dropped_;
    report.temperature = temperature();
    if (buffer_.empty()) return report;
    logits_.resize(buffer_.size(), actions);
    network_.forward(buffer_.hidden(), logits_.view(), cache_);
    const double scale = 1.0 / static_cast<double>(buffer_.size());
    const double baseline = mean_meta();
    double by_log_tau = 0.0;
    const EntryRule rule = entry_rule(options_);
    for (std::size_t i = 0; i < buffer_.size(); ++i) {
      const RememberedAction entry{static_cast<std::size_t>(buffer_.actions()[i]), buffer_.propensities().row(i).data(),
                                   buffer_.meta().row(i).data()};
      const EntryTerms terms =
          differentiate_entry<actions>(rule, temperature(), entry, baseline, scale, logits_.row(i).data());
      report.surrogate += terms.surrogate;
      report.entropy += terms.entropy;
      by_log_tau += terms.by_log_tau;
    }
    if (options_.temperature_mode == TemperatureMode::learned) log_tau_gradient_ = static_cast<scalar_type>(by_log_tau);
    network_.backward(buffer_.hidden(), MatrixView<const scalar_type>(logits_), cache_);
    report.loss = -report.surrogate - options_.entropy_bonus * report.entropy;
    report.gradient_norm = global_norm(*this);
    return report;
  }

  /// Visits the head's parameters, and log tau if it is learned.
  template <class F>
  void visit(F&& f) {
    network_.visit(f);
    if (options_.temperature_mode == TemperatureMode::learned) {
      f(ParameterView<scalar_type>{
          "conductor.log_temperature", {&log_tau_, 1}, {&log_tau_gradient_, 1}, 1, 1, WeightDecay::skip});
    }
  }
  /// Visits head, log tau, moments, buffer and counters.
  template <class Visitor>
  void visit_state(Visitor& v) {
    decided_.forget();
    v("network", network_);
    v("log_temperature", log_tau_);
    v("optimizer", optimizer_);
    v("buffer", buffer_);
    v("last_step", last_step_);
    v("steps_since_update", steps_since_update_);
    v("observed", observed_);
    v("dropped", dropped_);
    detail::check_loaded(options_, actions, network_.input_size(), buffer_, static_cast<double>(log_tau_));
  }

 private:
  using Row = ActionDistribution<actions>;

  MatrixView<const float> scaled(MatrixView<const float> hidden, Matrix<float>& workspace) const {
    if (options_.hidden_scaling == HiddenScaling::none) return hidden;
    workspace.resize(hidden.rows(), hidden.cols());
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      double squares = 0.0;
      for (const float value : hidden.row(i)) squares += static_cast<double>(value) * static_cast<double>(value);
      const double scale = squares > 0.0 ? std::sqrt(static_cast<double>(hidden.cols()) / squares) : 1.0;
      for (std::size_t j = 0; j < hidden.cols(); ++j) {
        workspace(i, j) = static_cast<float>(scale * static_cast<double>(hidden(i, j)));
      }
    }
    return workspace.view();
  }

  void draw(const StepView& view, std::size_t group, std::size_t i, Decision& decision) const {
    const std::size_t first = view.groups.begin(group);
    if (options_.sharing == ActionSharing::per_group && i > first) {
      decision.actions[i] = decision.actions[first];
      std::copy_n(decision.probabilities.row(first).data(), actions, decision.probabilities.row(i).data());
      return;
    }
    bool applicable[actions];
    for (std::size_t k = 0; k < actions; ++k) applicable[k] = !std::isnan(view.rewards(i, k));
    const Row row = action_distribution<actions>(logits_.row(i).data(), temperature(), options_.floor, options_.epsilon,
                                                 applicable);
    float* const q = decision.probabilities.row(i).data();
    for (std::size_t k = 0; k < actions; ++k) q[k] = static_cast<float>(row.q[k]);
    const RandomStream stream = draw_stream(view, Purpose::conductor_action, group, i - first);
    decision.actions[i] = static_cast<std::int32_t>(sample_index(q, actions, stream.uniform(0)));
  }

  double mean_meta() const {
    if (options_.baseline == MetaBaseline::none) return 0.0;
    return ordered_sum(buffer_.meta().data(), buffer_.size()) / static_cast<double>(buffer_.size());
  }

  LearnedConductorOptions options_;
  Network network_;
  scalar_type log_tau_ = 0;
  scalar_type log_tau_gradient_ = 0;
  AdamW<scalar_type> optimizer_;
  ConductorBuffer buffer_;
  std::uint32_t last_step_ = 0;
  std::uint32_t steps_since_update_ = 0;
  std::uint32_t observed_ = 0;  ///< 1 when something was observed since the last call of update
  std::uint64_t dropped_ = 0;   ///< since the last report

  typename Network::Cache cache_;
  Matrix<scalar_type> logits_;
  Matrix<float> scaled_;  // the hidden states decided on, if they are scaled
  detail::DecidedHidden decided_;
};

/// LinearConductor is the paper's Conductor, with one linear layer as its head.
template <std::size_t K>
using LinearConductor = LearnedConductor<LinearNetwork<K>>;

/// MlpConductor has one or more tanh layers of the given widths before the logits.
template <std::size_t K, std::size_t... Widths>
using MlpConductor = LearnedConductor<MlpNetwork<K, Widths...>>;

}  // namespace maestro
