#pragma once

/// @file
/// Weight rules that follow the progress of the training: the gradients of the rewards, or the Pareto front of the mean
/// rewards reached.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "maestro/conductor/rule.hpp"
#include "maestro/conductor/rules.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/pareto.hpp"
#include "maestro/core/random.hpp"

namespace maestro {

/// GradientGuidedOptions holds the options of GradientGuided.
struct GradientGuidedOptions {
  double rate = 0.1;  ///< eta, above 0
};

/// Lists the options of GradientGuided; see OptionList.
template <OptionsOf<GradientGuidedOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "gradient_rate", .help = "Of --conductor gradient_guided: how fast the weights move, above 0"}, s.rate);
}

/// GradientGuided is a rule that raises the weights of rewards whose gradients align with those of the others:
///
///     log w_k += eta sum_l <g_k, g_l> / mean_m |g_m|^2,   w divided by its sum,
///
/// g_k the gradient of the loss of reward k alone on the step's batch (Feedback::reward_gradients). The trainer makes
/// one more pass over the batch for each reward. Weights start equal; a step without any gradient changes nothing.
/// Source: the gradient-based weights of arXiv 2509.11452; the division by the mean of |g|^2, which makes eta free of
/// the gradients' scale, is ours.
class GradientGuided {
 public:
  static constexpr bool reads_gradients = true;

  /// @throws BadArgument for a rate that is not above 0.
  explicit GradientGuided(const GradientGuidedOptions& options = {}) : options_(options) {
    require(options.rate > 0.0 && std::isfinite(options.rate), "GradientGuided: rate must be finite and above 0");
  }

  void weights(const RuleView& view, double* w) const {
    require(logits_.empty() || logits_.size() == view.rewards,
            "conductor: GradientGuided began with another number of rewards");
    const double largest = logits_.empty() ? 0.0 : *std::max_element(logits_.begin(), logits_.end());
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = logits_.empty() ? 1.0 : std::exp(logits_[k] - largest);
  }

  /// @throws BadArgument if the feedback has no gradients, or those of another number of rewards.
  void observe(const RuleView& view, const Feedback& feedback) {
    const MatrixView<const double> products = feedback.reward_gradients;
    require(products.rows() == view.rewards && products.cols() == view.rewards,
            "conductor: GradientGuided learns from Feedback::reward_gradients (rewards x rewards), which this trainer "
            "does not give");
    double squares = 0.0;
    for (std::size_t k = 0; k < view.rewards; ++k) squares += products(k, k) / static_cast<double>(view.rewards);
    if (!(squares > 0.0)) return;
    if (logits_.empty()) logits_.assign(view.rewards, 0.0);
    for (std::size_t k = 0; k < view.rewards; ++k) {
      double along = 0.0;
      for (std::size_t l = 0; l < view.rewards; ++l) along += products(k, l);
      logits_[k] += options_.rate * along / squares;
    }
    const double largest = *std::max_element(logits_.begin(), logits_.end());
    for (double& logit : logits_) logit -= largest;
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("logits", logits_);
  }

 private:
  GradientGuidedOptions options_;
  std::vector<double> logits_;  // log w up to a constant, the largest 0; empty before the first gradient
};

/// HypervolumeGuidedOptions holds the options of HypervolumeGuided.
struct HypervolumeGuidedOptions {
  std::vector<float> base{};  ///< (K) weights that are scaled, of any sign; none given means 1/K each
  std::size_t draws = 4096;   ///< of the volume's estimate, at least 1
};

/// Lists the options of HypervolumeGuided; see OptionList.
template <OptionsOf<HypervolumeGuidedOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "hypervolume_draws", .help = "Of --conductor hypervolume_guided: draws of the volume's estimate"},
    s.draws);
}

/// HypervolumeGuided is a rule of fixed weights. All are scaled by one factor, which grows with the volume that the
/// last step added to the Pareto front of mean rewards:
///
///     w_k = base_k max(0, 1/2 + 3/2 tanh(dHV)).
///
/// dHV is the volume that the batch's means, in units of each reward's deviation in the first batch, dominate above
/// their values there less one deviation, and that no step before dominated: 1 is a deviation in each reward. It is
/// estimated from draws keyed by seed and step, which any K can afford. The factor is 1 at the first step. It acts
/// under scalarizations that keep the scale of the weights, such as DrGrpo and Rloo; those that divide by the deviation
/// of the weighted sum take it out again, DefaultScalarization and GroupRelative among them. Rewards that no response
/// of the batch has leave the factor as it was. Source: the hypervolume-guided weights of arXiv 2509.11452; the units,
/// the reference point and the step's own batch in place of a validation set are ours.
class HypervolumeGuided {
 public:
  static constexpr bool as_given = true;

  /// @throws BadArgument naming an option outside its domain.
  explicit HypervolumeGuided(const HypervolumeGuidedOptions& options = {}) : options_(options) {
    detail::check_weights(options.base, "HypervolumeGuided: base");
    require(options.draws > 0, "HypervolumeGuided: draws must be at least 1");
  }

  /// Gives max(0, 1/2 + 3/2 tanh(gain)).
  static double multiplier(double gain) { return std::max(0.0, 0.5 + 1.5 * std::tanh(gain)); }
  /// Gives the factor of the next step.
  double factor() const { return factor_; }

  /// @throws BadArgument if there are other than K base weights.
  void weights(const RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = factor_ * detail::given_weight(options_.base, k, view);
  }

  void observe(const RuleView& view, const Feedback&) {
    for (std::size_t k = 0; k < view.rewards; ++k) {
      if (view.batch[k].count == 0) return;
    }
    if (reference_.empty()) start(view);
    require(reference_.size() == view.rewards, "conductor: HypervolumeGuided began with another number of rewards");
    std::vector<double> point(view.rewards);
    for (std::size_t k = 0; k < view.rewards; ++k) point[k] = (view.batch[k].mean - reference_[k]) / units_[k];
    const std::vector<double> origin(view.rewards);
    const double gain =
        exclusive_volume(front_->points(), point, origin, options_.draws,
                         RandomStream({.seed = view.seed, .purpose = Purpose::weight_rule, .step = view.step}));
    factor_ = front_->size() == 0 ? 1.0 : multiplier(gain);
    if (gain > 0.0) front_->add(point, view.step);
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("reference", reference_);
    v("units", units_);
    v("factor", factor_);
    if (units_.size() != reference_.size()) {
      throw BadFile("conductor: the stored state of HypervolumeGuided does not fit together");
    }
    if (reference_.empty()) return;
    if (!front_) front_.emplace(reference_.size());
    v("front", *front_);
  }

 private:
  void start(const RuleView& view) {
    for (std::size_t k = 0; k < view.rewards; ++k) {
      const double deviation = view.batch[k].std_dev(1);
      units_.push_back(deviation > 0.0 ? deviation : 1.0);
      reference_.push_back(view.batch[k].mean - units_.back());
    }
    front_.emplace(view.rewards);
  }

  HypervolumeGuidedOptions options_;
  std::vector<double> reference_;         // (K) of the first batch, empty before it
  std::vector<double> units_;             // (K)
  std::optional<ParetoArchive> front_{};  // of the steps' means, in those units; none before the first batch
  double factor_ = 1.0;
};

}  // namespace maestro
