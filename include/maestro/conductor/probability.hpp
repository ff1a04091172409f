#pragma once

/// @file
/// The distribution a Conductor draws its actions from, one row at a time, and its derivatives:
///
///     z = logits / tau,   p = softmax(z),   u = floor(p),   q = u / sum of u over the applicable actions.
///
/// Everything is computed in double. Neutral.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"

namespace maestro {

/// ProbabilityFloor says how the probability of every action is kept above 0.
enum class ProbabilityFloor : std::uint8_t {
  mix,                ///< u = eps + (1 - K eps) p: every action keeps a gradient
  clamp_renormalize,  ///< u = max(p, eps), the paper's words: an action under the floor is nearly dead
};

/// ActionDistribution holds one row of the distribution with what its derivatives need. p and its entropy are over all
/// K actions; q is over the applicable ones, and 0 for the others.
template <std::size_t K>
struct ActionDistribution {
  double tau = 1.0;
  double z[K] = {};
  double log_p[K] = {};
  double p[K] = {};
  double slope[K] = {};  ///< d u_k / d p_k, 0 if the action does not apply
  double q[K] = {};
  double total = 0.0;    ///< sum of u over the applicable actions
  double entropy = 0.0;  ///< H(p) in nats
};

/// Gives the distribution of one row.
/// @param logits      (K) finite
/// @param tau         above 0
/// @param epsilon     in [0, 1/K)
/// @param applicable  (K) actions that may be drawn; null, or none of them true, means all
/// Source: MAESTRO (arXiv 2601.07208), method; the `mix` floor and the mask are ours.
template <std::size_t K, class T>
MAESTRO_HD ActionDistribution<K> action_distribution(const T* logits, double tau, ProbabilityFloor floor,
                                                     double epsilon, const bool* applicable = nullptr) {
  ActionDistribution<K> row;
  row.tau = tau;
  double largest = -HUGE_VAL;
  for (std::size_t k = 0; k < K; ++k) {
    row.z[k] = static_cast<double>(logits[k]) / tau;
    if (row.z[k] > largest) largest = row.z[k];
  }
  double sum = 0.0;
  for (std::size_t k = 0; k < K; ++k) sum += std::exp(row.z[k] - largest);
  const double log_sum = largest + std::log(sum);
  bool any = false;
  for (std::size_t k = 0; k < K; ++k) {
    row.log_p[k] = row.z[k] - log_sum;
    row.p[k] = std::exp(row.log_p[k]);
    row.entropy -= row.p[k] * row.log_p[k];
    any = any || (applicable != nullptr && applicable[k]);
  }
  for (std::size_t k = 0; k < K; ++k) {
    if (any && !applicable[k]) continue;
    if (floor == ProbabilityFloor::mix) {
      row.slope[k] = 1.0 - static_cast<double>(K) * epsilon;
      row.q[k] = epsilon + row.slope[k] * row.p[k];
    } else {
      row.slope[k] = row.p[k] > epsilon ? 1.0 : 0.0;
      row.q[k] = row.p[k] > epsilon ? row.p[k] : epsilon;
    }
    row.total += row.q[k];
  }
  for (std::size_t k = 0; k < K; ++k) row.q[k] /= row.total;
  return row;
}

/// Adds d (sum_k c_k q_k) / dz to `gradient` (K), with `c` held constant.
template <std::size_t K>
MAESTRO_HD void add_expectation_gradient(const ActionDistribution<K>& row, const double* c, double* gradient) {
  double mean_q = 0.0;
  for (std::size_t k = 0; k < K; ++k) mean_q += row.q[k] != 0.0 ? c[k] * row.q[k] : 0.0;
  double by_p[K];
  double mean_p = 0.0;
  for (std::size_t k = 0; k < K; ++k) {
    by_p[k] = row.slope[k] != 0.0 ? row.slope[k] * (c[k] - mean_q) / row.total : 0.0;
    mean_p += by_p[k] * row.p[k];
  }
  for (std::size_t k = 0; k < K; ++k) gradient[k] += row.p[k] * (by_p[k] - mean_p);
}

/// Adds scale * d log q_a / dz to `gradient` (K). q_a must be above 0.
template <std::size_t K>
MAESTRO_HD void add_log_probability_gradient(const ActionDistribution<K>& row, std::size_t action, double scale,
                                             double* gradient) {
  double c[K] = {};
  c[action] = scale / row.q[action];
  add_expectation_gradient(row, c, gradient);
}

/// Adds scale * d H(p) / dz to `gradient` (K), with H in nats.
template <std::size_t K>
MAESTRO_HD void add_entropy_gradient(const ActionDistribution<K>& row, double scale, double* gradient) {
  for (std::size_t k = 0; k < K; ++k) gradient[k] -= scale * row.p[k] * (row.log_p[k] + row.entropy);
}

/// Turns a gradient with respect to z into one with respect to the logits (overwritten; may alias by_z), and returns
/// the derivative with respect to log tau.
template <std::size_t K, class T>
MAESTRO_HD double gradient_through_temperature(const ActionDistribution<K>& row, const double* by_z, T* by_logits) {
  double by_log_tau = 0.0;
  for (std::size_t k = 0; k < K; ++k) {
    by_log_tau -= row.z[k] * by_z[k];
    by_logits[k] = static_cast<T>(by_z[k] / row.tau);
  }
  return by_log_tau;
}

/// learned_kl is the KL to uniform, in nats, below which a Conductor counts as not learned.
inline constexpr double learned_kl = 0.05;

/// Gives KL(mean over rows of q || mean over rows of the row's own uniform) in nats. It is 0 while no action is
/// preferred. A row's uniform is over the actions it may draw: those whose reward applies and those of positive
/// propensity, or all if there are none. So a masked action is no preference, whether it is masked in some rows or in
/// all.
///
/// For a decision that drew no action, the absolute weights of the rewards that apply are used, each row scaled to sum
/// 1; rows without such weights are skipped. With K actions allowed everywhere the figure is at most log K.
/// @param rewards  (B x K), NaN if a reward does not apply.
inline double kl_to_uniform(const Decision& decision, MatrixView<const float> rewards) {
  const bool drew = !decision.probabilities.empty();
  const Matrix<float>& q = drew ? decision.probabilities : decision.weights;
  require(rewards.rows() == q.rows() && rewards.cols() == q.cols(),
          "kl_to_uniform: the rewards must have the decision's shape (B x K)");
  std::vector<double> mean(q.cols(), 0.0);
  std::vector<double> uniform(q.cols(), 0.0);
  std::vector<double> share(q.cols());
  double rows = 0.0;
  for (std::size_t i = 0; i < q.rows(); ++i) {
    const auto applies = [&](std::size_t k) { return !std::isnan(rewards(i, k)) || (drew && q(i, k) > 0.0f); };
    std::size_t applicable = 0;
    for (std::size_t k = 0; k < q.cols(); ++k) applicable += applies(k) ? 1u : 0u;
    double total = 0.0;
    for (std::size_t k = 0; k < q.cols(); ++k) {
      share[k] = applicable == 0 || applies(k) ? std::abs(static_cast<double>(q(i, k))) : 0.0;
      total += share[k];
    }
    if (!(total > 0.0)) continue;
    rows += 1.0;
    const double own_uniform = 1.0 / static_cast<double>(applicable == 0 ? q.cols() : applicable);
    for (std::size_t k = 0; k < q.cols(); ++k) {
      mean[k] += share[k] / total;
      uniform[k] += applicable == 0 || applies(k) ? own_uniform : 0.0;
    }
  }
  double kl = 0.0;
  for (std::size_t k = 0; k < mean.size(); ++k) {
    if (mean[k] > 0.0) kl += mean[k] / rows * std::log(mean[k] / uniform[k]);
  }
  return kl > 0.0 ? kl : 0.0;
}

}  // namespace maestro
