#pragma once

/// @file
/// The contribution of one token and of one response to the policy loss, its gradient and its report. Neutral: the loop
/// on the host and the kernel call it.

#include <cstddef>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/objective/report.hpp"
#include "maestro/objective/surrogates.hpp"

namespace maestro {

/// LossRule holds ObjectiveOptions in the form that the formulas read: plain values that can be passed to a kernel.
struct LossRule {
  Reduction reduction = Reduction::dapo;
  Surrogate surrogate = Surrogate::clip;
  RatioLevel ratio_level = RatioLevel::token;
  KlEstimator kl_estimator = KlEstimator::k3;
  bool kl_by_ratio = false;  ///< the KL in the loss is multiplied by rho
  ClipBounds bounds;
  double sapo_temperature_pos = 1.0;
  double sapo_temperature_neg = 1.05;
  double beta = 0.0;  ///< of the KL in the loss; 0 if it sits in the reward
  double entropy_bonus = 0.0;
  double max_completion_length = 0.0;
};

/// Gives the rule that the options ask for.
inline LossRule loss_rule(const ObjectiveOptions& options) {
  const bool in_loss = options.kl_placement == KlPlacement::loss;
  return {.reduction = options.reduction,
          .surrogate = options.surrogate,
          .ratio_level = options.ratio_level,
          .kl_estimator = options.kl_estimator,
          .kl_by_ratio = in_loss && options.kl_correction == KlCorrection::ratio,
          .bounds = clip_bounds(options),
          .sapo_temperature_pos = options.sapo_temperature_pos,
          .sapo_temperature_neg = options.sapo_temperature_neg,
          .beta = in_loss ? options.beta : 0.0,
          .entropy_bonus = options.entropy_bonus,
          .max_completion_length = static_cast<double>(options.max_completion_length)};
}

/// LossSizes holds the sizes that a loss is divided by.
struct LossSizes {
  double responses = 0.0;  ///< of the micro-batch, empty ones included
  double tokens = 0.0;     ///< of the micro-batch
  BatchCounts batch;       ///< of the whole batch over all ranks
};

/// Refuses a micro-batch that the rule cannot be applied to.
/// @throws BadArgument if the batch counts are below those of the micro-batch, or the options need an array that is
///   missing.
inline void check_needs(const LossRule& rule, const LossSizes& sizes, bool has_reference, bool has_entropies) {
  require(sizes.batch.responses >= sizes.responses && sizes.batch.tokens >= sizes.tokens,
          "objective: batch counts must cover the whole batch (count_batch), not less than this micro-batch");
  if (sizes.tokens == 0.0) return;
  require(rule.beta == 0.0 || has_reference, "objective: beta is above 0, so reference_log_probs are needed");
  require(rule.entropy_bonus == 0.0 || has_entropies,
          "objective: entropy_bonus is above 0, so entropies and d_entropies are needed");
}

/// Gives the weight c_i of each token's loss in a response of `length` > 0 tokens.
MAESTRO_HD inline double token_weight(const LossRule& rule, const LossSizes& sizes, double length) {
  switch (rule.reduction) {
    case Reduction::grpo:
      return 1.0 / (length * sizes.batch.responses);
    case Reduction::bnpo:
      return sizes.responses / (sizes.tokens * sizes.batch.responses);
    case Reduction::dapo:
      return 1.0 / sizes.batch.tokens;
    case Reduction::dr_grpo:
      return 1.0 / (sizes.batch.responses * rule.max_completion_length);
  }
  return 0.0;
}

/// Gives d loss / d entropy, which is the same for every token.
MAESTRO_HD inline double entropy_slope(const LossRule& rule, const LossSizes& sizes) {
  return -rule.entropy_bonus / sizes.batch.tokens;
}

/// Gives the rule's surrogate at a log ratio.
/// @param log_prob  log pi of the token; only cispo reads it.
MAESTRO_HD inline SurrogateTerm surrogate_term(const LossRule& rule, double log_ratio, double log_prob,
                                               double advantage) {
  switch (rule.surrogate) {
    case Surrogate::clip:
      break;
    case Surrogate::cispo:
      return cispo_surrogate(log_ratio, log_prob, advantage, rule.bounds.cap);
    case Surrogate::sapo:
      return sapo_surrogate(log_ratio, advantage,
                            advantage > 0.0 ? rule.sapo_temperature_pos : rule.sapo_temperature_neg);
  }
  return clipped_surrogate(log_ratio, advantage, rule.bounds);
}

/// TokenLoss holds what a token adds to the loss before its weight, and the derivative with respect to its log-prob. At
/// sequence level the T tokens of a response have the same value s(rho), and log rho is the mean of T log ratios.
/// Therefore d (T s) / d log pi_t = s': the derivative is the surrogate's own at both levels.
struct TokenLoss {
  double value = 0.0;
  double derivative = 0.0;
};

/// Counts a ratio: a token's, or at sequence level a response's.
MAESTRO_HD inline void count_ratio(const SurrogateTerm& term, LossReport& report) {
  report.ratios += 1.0;
  report.ratio_sum += term.ratio;
  report.ratio_max = term.ratio > report.ratio_max ? term.ratio : report.ratio_max;
  report.clipped_low += term.clipped_low ? 1.0 : 0.0;
  report.clipped_high += term.clipped_high ? 1.0 : 0.0;
}

/// Adds beta k or beta rho k to a token's loss, and counts it. The derivative of rho k is rho (k + k') at token level
/// and rho (mean k + k') at sequence level.
/// @param mean_kl  the mean of k over the response; read at sequence level if the KL is multiplied by rho.
MAESTRO_HD inline void add_kl(const LossRule& rule, KlTerm term, double ratio, double mean_kl, TokenLoss& loss,
                              LossReport& report) {
  if (rule.kl_by_ratio) {
    const double own_kl = rule.ratio_level == RatioLevel::sequence ? mean_kl : term.value;
    term.derivative = ratio * (own_kl + term.derivative);
    term.value *= ratio;
  }
  report.kl_sum += term.value;
  report.kl_tokens += 1.0;
  report.kl_clamped += term.clamped ? 1.0 : 0.0;
  loss.value = multiply_add(rule.beta, term.value, loss.value);
  loss.derivative = multiply_add(rule.beta, term.derivative, loss.derivative);
}

/// Adds a token's loss. Returns d loss / d log pi_t.
MAESTRO_HD inline double add_token(double weight, const TokenLoss& loss, LossReport& report) {
  report.policy_loss = multiply_add(weight, loss.value, report.policy_loss);
  return weight * loss.derivative;
}

/// Counts a token's entropy, in nats.
MAESTRO_HD inline void count_entropy(double entropy, LossReport& report) {
  report.entropy_sum += entropy;
  report.entropy_tokens += 1.0;
}

/// Completes the report of a response that has tokens, once all of them were added.
MAESTRO_HD inline void finish_response(const LossRule& rule, const LossSizes& sizes, double length,
                                       LossReport& report) {
  report.tokens = length;
  report.loss = report.policy_loss;
  if (rule.entropy_bonus > 0.0) report.loss -= rule.entropy_bonus * report.entropy_sum / sizes.batch.tokens;
}

}  // namespace maestro
