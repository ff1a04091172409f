#pragma once

/// @file
/// A weight rule that favors the rewards that the hidden states predict.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/rule.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// PredictabilityOptions holds the options of Predictability.
struct PredictabilityOptions {
  double rate = 0.5;     ///< of the prediction's normalized least-mean-squares steps, in (0, 1]
  double memory = 0.95;  ///< how much of the errors a step keeps, in [0, 1)
  double floor = 0.01;   ///< added to every R^2, above 0
};

/// Lists the options of Predictability; see OptionList.
template <OptionsOf<PredictabilityOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "predictability_rate", .help = "Of --conductor predictability: rate of its prediction, in (0, 1]"},
    s.rate);
  f({.name = "predictability_memory", .help = "How much of its errors a step keeps, in [0, 1)"}, s.memory);
  f({.name = "predictability_floor", .help = "Added to each reward's R^2 there, above 0"}, s.floor);
}

/// Predictability is a rule that weights each reward by how well its z-score in the group is predicted from the hidden
/// state:
///
///     w_k ~ max(0, 1 - E_k / Z_k) + floor,   E_k = sum of (z_ik - theta_k . x_i)^2,   Z_k = sum of z_ik^2,
///
/// z with ddof 0, x_i = (h_i - mean h) / root mean square of |h_j - mean h| in the group. There is one running R^2 per
/// reward, not one per context. Both sums are multiplied by `memory` in every step. Every group is predicted before
/// theta learns from it by normalized least mean squares. Groups in which a reward is constant are skipped for that
/// reward. O(B K d) a step, K d doubles. Deterministic: groups, rewards and responses in index order. Source: ours.
class Predictability {
 public:
  /// @throws BadArgument naming an option outside its domain.
  explicit Predictability(const PredictabilityOptions& options = {}) : options_(options) {
    require(options.rate > 0.0 && options.rate <= 1.0, "Predictability: rate must lie in (0, 1]");
    require(options.memory >= 0.0 && options.memory < 1.0, "Predictability: memory must lie in [0, 1)");
    require(options.floor > 0.0 && std::isfinite(options.floor), "Predictability: floor must be finite and above 0");
  }

  /// Gives the running R^2 of reward k, at least 0; 0 before the first step.
  double explained(std::size_t k) const {
    return k < squares_.size() && squares_[k] > errors_[k] ? 1.0 - errors_[k] / squares_[k] : 0.0;
  }
  void weights(const RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = explained(k) + options_.floor;
  }

  /// @throws BadArgument for hidden states of another size; BadData naming the row of one that is not finite.
  void observe(const RuleView& view, const Feedback& feedback) {
    if (squares_.empty()) {
      errors_.assign(view.rewards, 0.0);
      squares_.assign(view.rewards, 0.0);
      theta_.assign(view.rewards * feedback.hidden.cols(), 0.0);
    }
    detail::check_hidden(feedback.hidden, feedback.groups.rows(), theta_.size() / squares_.size());
    for (std::size_t k = 0; k < view.rewards; ++k) {
      errors_[k] *= options_.memory;
      squares_[k] *= options_.memory;
    }
    for (std::size_t g = 0; g < feedback.groups.count(); ++g) {
      if (!center(feedback.hidden.middle_rows(feedback.groups.begin(g), feedback.groups.size(g)))) continue;
      for (std::size_t k = 0; k < view.rewards; ++k) learn(feedback, feedback.groups.begin(g), k);
    }
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("theta", theta_);
    v("errors", errors_);
    v("squares", squares_);
    const std::size_t rewards = squares_.size();
    if (errors_.size() != rewards || (rewards == 0 ? !theta_.empty() : theta_.size() % rewards != 0)) {
      throw BadFile("conductor: the stored state of Predictability does not fit together");
    }
  }

 private:
  /// Computes x_i (n x d) from the group's hidden states; false if they are all the same.
  bool center(MatrixView<const float> hidden) {
    x_.assign(hidden.rows(), hidden.cols(), 0.0);
    double squares = 0.0;
    for (std::size_t j = 0; j < hidden.cols(); ++j) {
      const double mean = moments_of(hidden.rows(), [&](std::size_t i) { return hidden(i, j); }).mean;
      for (std::size_t i = 0; i < hidden.rows(); ++i) {
        x_(i, j) = static_cast<double>(hidden(i, j)) - mean;
        squares += x_(i, j) * x_(i, j);
      }
    }
    if (!(squares > 0.0)) return false;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(hidden.rows()));
    for (double& x : x_.flat()) x *= scale;
    return true;
  }
  /// Scores the prediction of reward k in the group that starts at row `first`, then learns from it.
  void learn(const Feedback& feedback, std::size_t first, std::size_t k) {
    const Moments own = moments_of(x_.rows(), [&](std::size_t i) { return feedback.rewards(first + i, k); });
    const double deviation = own.std_dev(0);
    if (!(deviation > 0.0)) return;
    const std::span<double> theta = std::span<double>(theta_).subspan(k * x_.cols(), x_.cols());
    const auto error = [&](std::size_t i, double z) {
      for (std::size_t j = 0; j < x_.cols(); ++j) z -= theta[j] * x_(i, j);
      return z;
    };
    const auto score = [&](std::size_t i) {
      return (static_cast<double>(feedback.rewards(first + i, k)) - own.mean) / deviation;
    };
    for (std::size_t i = 0; i < x_.rows(); ++i) {
      const double z = score(i);
      if (std::isnan(z)) continue;
      errors_[k] += error(i, z) * error(i, z);
      squares_[k] += z * z;
    }
    for (std::size_t i = 0; i < x_.rows(); ++i) {
      const double e = error(i, score(i));
      if (std::isnan(e)) continue;
      double norm = 1e-6;
      for (const double x : x_.row(i)) norm += x * x;
      for (std::size_t j = 0; j < x_.cols(); ++j) theta[j] += options_.rate * e / norm * x_(i, j);
    }
  }

  PredictabilityOptions options_;
  std::vector<double> theta_;    // (K x d)
  std::vector<double> errors_;   // (K)
  std::vector<double> squares_;  // (K)
  Matrix<double> x_;             // (n x d) of the group at hand
};

}  // namespace maestro
