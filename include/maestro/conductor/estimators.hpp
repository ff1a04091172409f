#pragma once

/// @file
/// The surrogates whose gradient updates a Conductor, one response at a time. The mean of group-centered advantages is
/// always 0, so each estimator is defined as the derivative of an explicit function in which the meta-reward m is held
/// constant. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "maestro/conductor/probability.hpp"

namespace maestro {

/// Estimator names the surrogate of one response, a function of its meta-rewards m.
enum class Estimator : std::uint8_t {
  sampled,         ///< REINFORCE: rho m log q(a|h). Leaves out the part of the weights that pi moves without an action
  counterfactual,  ///< sum_k m(k) q(k|h): exact over the own action, the average of the sampled one
};

/// The names of the estimators, in the enum's order.
inline constexpr std::array<std::string_view, 2> estimator_names{"sampled", "counterfactual"};

/// Gives the importance weight of an entry that an older head decided: min(cap, q_now(a|h) / q_recorded(a|h)), held
/// constant.
MAESTRO_HD inline double importance_weight(double now, double recorded, double cap) {
  const double ratio = now / recorded;
  return ratio < cap ? ratio : cap;
}

/// Adds scale * d/dz [rho m log q_a] to gradient (K) and returns scale * rho m log q_a. q_a must be above 0.
/// Source: MAESTRO (arXiv 2601.07208), outer loop; rho is ours.
template <std::size_t K>
MAESTRO_HD double add_sampled(const ActionDistribution<K>& row, std::size_t action, double meta, double rho,
                              double scale, double* gradient) {
  const double weight = scale * rho * meta;
  add_log_probability_gradient(row, action, weight, gradient);
  return weight * std::log(row.q[action]);
}

/// Adds scale * d/dz [sum_k c_k q_k] to gradient (K) and returns scale * sum_k c_k q_k; actions of q = 0 are skipped.
/// With c = m(.) this is the counterfactual estimator.
template <std::size_t K>
MAESTRO_HD double add_expectation(const ActionDistribution<K>& row, const double* c, double scale, double* gradient) {
  double scaled[K];
  double value = 0.0;
  for (std::size_t k = 0; k < K; ++k) {
    scaled[k] = scale * c[k];
    if (row.q[k] > 0.0) value += scaled[k] * row.q[k];
  }
  add_expectation_gradient(row, scaled, gradient);
  return value;
}

/// EntryRule says how an update turns one buffer entry into a gradient.
struct EntryRule {
  Estimator estimator = Estimator::sampled;
  ProbabilityFloor floor = ProbabilityFloor::mix;
  double epsilon = 0.0;         ///< of the floor
  double importance_cap = 2.0;  ///< sampled: of the weight of stale entries
  double entropy_bonus = 0.0;
};

/// RememberedAction is one entry: the action taken, the recorded propensities (K) and the meta-rewards (1 or K).
struct RememberedAction {
  std::size_t action = 0;
  const float* propensities = nullptr;
  const float* meta = nullptr;
};

/// EntryTerms holds what an entry adds to the report, already scaled.
struct EntryTerms {
  double surrogate = 0.0;
  double entropy = 0.0;
  double by_log_tau = 0.0;  ///< d loss / d log tau
};

/// Replaces the logits (K) of one entry by d loss / d logits, with loss = -scale (surrogate + entropy_bonus H(p));
/// meta-reward, importance weight and baseline are held constant. Actions of recorded propensity 0 are masked.
/// @param baseline  subtracted from the sampled meta-reward
/// @param scale     1 / entries
template <std::size_t K, class T>
MAESTRO_HD EntryTerms differentiate_entry(const EntryRule& rule, double tau, const RememberedAction& entry,
                                          double baseline, double scale, T* logits) {
  bool applicable[K];
  for (std::size_t k = 0; k < K; ++k) applicable[k] = entry.propensities[k] > 0.0f;
  const ActionDistribution<K> row = action_distribution<K>(logits, tau, rule.floor, rule.epsilon, applicable);
  double by_z[K] = {};
  EntryTerms terms;
  if (rule.estimator == Estimator::sampled) {
    const double recorded = static_cast<double>(entry.propensities[entry.action]);
    const double rho = importance_weight(row.q[entry.action], recorded, rule.importance_cap);
    terms.surrogate = add_sampled(row, entry.action, static_cast<double>(entry.meta[0]) - baseline, rho, scale, by_z);
  } else {
    double c[K];
    for (std::size_t k = 0; k < K; ++k) c[k] = row.q[k] > 0.0 ? static_cast<double>(entry.meta[k]) : 0.0;
    terms.surrogate = add_expectation(row, c, scale, by_z);
  }
  terms.entropy = scale * row.entropy;
  add_entropy_gradient(row, scale * rule.entropy_bonus, by_z);
  for (double& value : by_z) value = -value;
  terms.by_log_tau = gradient_through_temperature(row, by_z, logits);
  return terms;
}

}  // namespace maestro
