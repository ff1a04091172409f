#pragma once

/// @file
/// The objective's formulas for one token (or one response, for sequence ratios). Neutral: host loops and kernels call
/// them.

#include <cmath>

#include "maestro/core/platform.hpp"
#include "maestro/objective/objective.hpp"

namespace maestro {

/// SurrogateTerm holds a token's surrogate and what the metrics count.
struct SurrogateTerm {
  double ratio = 1.0;         ///< rho, before any cap
  double value = 0.0;         ///< of the surrogate
  double derivative = 0.0;    ///< d value / d log rho = d value / d log pi, constants of the loss left out
  bool clipped_low = false;   ///< clip: min(rho, cap) < 1 - low and A < 0, as TRL counts it
  bool clipped_high = false;  ///< clip: min(rho, cap) > 1 + high and A > 0; cispo: rho > cap and A > 0
};

/// ClipBounds holds the bounds of the ratio; `cap` is infinite if there is none.
struct ClipBounds {
  double low = 0.8;   ///< 1 - epsilon_low
  double high = 1.2;  ///< 1 + epsilon_high
  double cap = HUGE_VAL;
};

/// Gives the bounds that the options ask for.
inline ClipBounds clip_bounds(const ObjectiveOptions& options) {
  return {.low = 1.0 - options.epsilon_low,
          .high = 1.0 + options.epsilon_high,
          .cap = options.ratio_cap.value_or(HUGE_VAL)};
}

/// Gives the clipped surrogate -min(min(rho, cap) A, clip(rho, low, high) A) at a log ratio. A log ratio of 0 gives a
/// ratio of exactly 1. At a tie of the two branches the derivative is the mean of theirs (torch.min); on a bound it is
/// the inner one. Source: Schulman et al. 2017 (PPO), equation 7; `cap`: TRL's delta, the dual clip of Ye et al. 2020.
MAESTRO_HD inline SurrogateTerm clipped_surrogate(double log_ratio, double advantage, const ClipBounds& bounds) {
  SurrogateTerm term;
  term.ratio = std::exp(log_ratio);
  const double capped = term.ratio < bounds.cap ? term.ratio : bounds.cap;
  const double clipped = term.ratio < bounds.low ? bounds.low : (term.ratio > bounds.high ? bounds.high : term.ratio);
  term.clipped_low = capped < bounds.low && advantage < 0.0;
  term.clipped_high = capped > bounds.high && advantage > 0.0;
  if (advantage == 0.0) return term;
  const double free_value = capped * advantage;
  const double clipped_value = clipped * advantage;
  const double slope = -term.ratio * advantage;
  const double free_slope = term.ratio <= bounds.cap ? slope : 0.0;
  const double clipped_slope = clipped == term.ratio ? slope : 0.0;
  if (free_value < clipped_value) {
    term.value = -free_value;
    term.derivative = free_slope;
  } else if (clipped_value < free_value) {
    term.value = -clipped_value;
    term.derivative = clipped_slope;
  } else {
    term.value = -free_value;
    term.derivative = 0.5 * (free_slope + clipped_slope);
  }
  return term;
}

/// Gives the CISPO surrogate -sg[min(rho, cap)] A log pi, where sg marks a factor without gradient.
/// Source: MiniMax-M1 (arXiv 2506.13585), equation 4; the cap alone, as in TRL.
MAESTRO_HD inline SurrogateTerm cispo_surrogate(double log_ratio, double log_prob, double advantage, double cap) {
  SurrogateTerm term;
  term.ratio = std::exp(log_ratio);
  term.clipped_high = term.ratio > cap && advantage > 0.0;
  term.derivative = -(term.ratio < cap ? term.ratio : cap) * advantage;
  term.value = term.derivative * log_prob;
  return term;
}

/// Gives the SAPO surrogate -(4/tau) sigmoid(tau (rho - 1)) A, whose slope at rho = 1 is that of -rho A.
/// @param temperature  tau, above 0.
/// Source: SAPO (arXiv 2511.20347); TRL 1.16.
MAESTRO_HD inline SurrogateTerm sapo_surrogate(double log_ratio, double advantage, double temperature) {
  SurrogateTerm term;
  term.ratio = std::exp(log_ratio);
  const double gate = 1.0 / (1.0 + std::exp(-temperature * (term.ratio - 1.0)));
  term.value = -4.0 / temperature * gate * advantage;
  term.derivative = -4.0 * gate * (1.0 - gate) * term.ratio * advantage;
  return term;
}

/// KlTerm holds a KL estimate and its derivative with respect to log pi.
struct KlTerm {
  double value = 0.0;
  double derivative = 0.0;
  bool clamped = false;  ///< |d| was above 20; the value is that at the bound, the derivative 0
};

/// kl_clamp bounds |d|, d = log pi_ref - log pi, since exp(20) is 5e8 already.
inline constexpr double kl_clamp = 20.0;

/// Gives k(d) with d = log_reference - log_prob. k3 uses expm1, so that small d lose no digits.
/// Source: Schulman 2020, "Approximating KL divergence".
MAESTRO_HD inline KlTerm kl_term(KlEstimator estimator, double log_prob, double log_reference) {
  const double raw = log_reference - log_prob;
  const double d = raw > kl_clamp ? kl_clamp : (raw < -kl_clamp ? -kl_clamp : raw);
  KlTerm term;
  term.clamped = d != raw;
  switch (estimator) {
    case KlEstimator::k1:
      term.value = -d;
      term.derivative = 1.0;
      break;
    case KlEstimator::k2:
      term.value = 0.5 * d * d;
      term.derivative = -d;
      break;
    case KlEstimator::k3:
      term.value = std::expm1(d) - d;
      term.derivative = -std::expm1(d);
      break;
  }
  if (term.clamped) term.derivative = 0.0;
  return term;
}

}  // namespace maestro
