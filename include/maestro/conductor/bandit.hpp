#pragma once

/// @file
/// A weight rule in which an adversarial bandit chooses the reward to emphasize next.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "maestro/conductor/rule.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/random.hpp"

namespace maestro {

/// Exp3Options holds the options of Exp3.
struct Exp3Options {
  double rate = 0.07;  ///< g, in (0, 1]: exploration, and the bandit's rate
  double share = 0.1;  ///< how far an arm moves the weights toward its reward, in (0, 1)
};

/// Lists these options; see OptionList.
template <OptionsOf<Exp3Options> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "exp3_rate", .help = "Of --conductor exp3: exploration and rate of the bandit (g), in (0, 1]"}, s.rate);
  f({.name = "exp3_share", .help = "Of --conductor exp3: how far a step moves the weights, in (0, 1)"}, s.share);
}

/// Exp3 is a rule with a bandit of K + 1 arms. Arm k < K moves the weights toward reward k, w <- (1 - share) w + share
/// e_k; the last arm leaves them as they are. Each step draws an arm by
///
///     p = (1 - g) v / sum v + g / (K + 1),   v_arm *= exp(g x / (p_arm (K + 1))),
///
/// from a stream keyed by seed and step. x in [0, 1] is the arm's payoff, measured in the next step: x = 1/2 + 1/2
/// tanh(mean over k of (mean r_k - mean r_k before) / deviation of r_k), of the batch, over the rewards that vary.
/// Weights start equal.
/// Source: DynaOpt (arXiv 2403.13578) for the arms and the update; share and x are ours.
class Exp3 {
 public:
  /// @throws BadArgument naming an option outside its domain.
  explicit Exp3(const Exp3Options& options = {}) : options_(options) {
    require(options.rate > 0.0 && options.rate <= 1.0, "Exp3: rate must lie in (0, 1]");
    require(options.share > 0.0 && options.share < 1.0, "Exp3: share must lie in (0, 1)");
  }

  /// Gives p (K + 1) for K rewards.
  std::vector<double> probabilities(std::size_t rewards) const {
    const auto arms = static_cast<double>(rewards + 1);
    if (values_.empty()) return std::vector<double>(rewards + 1, 1.0 / arms);
    double sum = 0.0;
    for (const double v : values_) sum += v;
    std::vector<double> p;
    for (const double v : values_) p.push_back((1.0 - options_.rate) * v / sum + options_.rate / arms);
    return p;
  }

  void weights(const RuleView& view, double* w) const { move_weights(draw(view), view.rewards, w); }

  /// Credits the last step's arm with its payoff, and keeps this step's arm and weights.
  void observe(const RuleView& view, const Feedback&) {
    const std::size_t arm = draw(view);
    const double p = probabilities(view.rewards)[arm];
    if (means_.size() == view.rewards) credit(gain(view));
    std::vector<double> moved(view.rewards);
    move_weights(arm, view.rewards, moved.data());
    weights_ = moved;
    if (values_.empty()) values_.assign(view.rewards + 1, 1.0);
    arm_ = static_cast<std::uint32_t>(arm);
    probability_ = p;
    means_.resize(view.rewards);
    for (std::size_t k = 0; k < view.rewards; ++k) means_[k] = view.batch[k].mean;
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("values", values_);
    v("weights", weights_);
    v("means", means_);
    v("arm", arm_);
    v("probability", probability_);
    const bool whole = values_.size() == (weights_.empty() ? 0 : weights_.size() + 1) &&
                       means_.size() == weights_.size() && arm_ <= weights_.size() && probability_ > 0.0;
    if (!whole) throw BadFile("conductor: the stored state of Exp3 does not fit together");
  }

 private:
  std::size_t draw(const RuleView& view) const {
    const RandomStream stream({.seed = view.seed, .purpose = Purpose::weight_rule, .step = view.step});
    return sample_index(probabilities(view.rewards).data(), view.rewards + 1, stream.uniform(0));
  }
  void move_weights(std::size_t arm, std::size_t rewards, double* w) const {
    for (std::size_t k = 0; k < rewards; ++k) {
      const double kept = weights_.empty() ? 1.0 / static_cast<double>(rewards) : weights_[k];
      w[k] = arm == rewards ? kept : (1.0 - options_.share) * kept + (arm == k ? options_.share : 0.0);
    }
  }
  double gain(const RuleView& view) const {
    double sum = 0.0;
    double varying = 0.0;
    for (std::size_t k = 0; k < view.rewards; ++k) {
      const double deviation = view.batch[k].std_dev(1);
      if (!(deviation > 0.0)) continue;
      sum += (view.batch[k].mean - means_[k]) / deviation;
      varying += 1.0;
    }
    return varying > 0.0 ? 0.5 + 0.5 * std::tanh(sum / varying) : 0.5;
  }
  /// Credits the last arm. A common factor keeps the values below 1; p does not depend on it.
  void credit(double x) {
    values_[arm_] *= std::exp(options_.rate * x / (probability_ * static_cast<double>(values_.size())));
    const double largest = *std::max_element(values_.begin(), values_.end());
    for (double& v : values_) v = std::max(v / largest, 1e-100);
  }

  Exp3Options options_;
  std::vector<double> values_;   // v (K + 1), empty before the first step
  std::vector<double> weights_;  // (K)
  std::vector<double> means_;    // (K) of the rewards, in the step last observed
  std::uint32_t arm_ = 0;        // of that step
  double probability_ = 1.0;     // that it had
};

}  // namespace maestro
