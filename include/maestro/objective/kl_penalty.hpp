#pragma once

/// @file
/// The KL penalty of the reward. Neutral.

#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/objective/surrogates.hpp"

namespace maestro {

/// Computes the KL penalty of each response, penalty_i = beta sum_t k(d_t), for ScalarizationInput::penalty.
/// @param log_probs            (t) of the policy that generated, packed.
/// @param reference_log_probs  (t)
/// @param offsets              (b + 1) token offsets; may start anywhere.
/// @param penalty              (b) overwritten; 0 for an empty response.
/// @return the number of tokens whose |d| was above 20 and was clamped. Deterministic, sums in double in token order.
/// @throws BadArgument if sizes do not fit or beta is negative or not finite; BadData naming row and token for a
///         log-prob that is not finite.
inline std::size_t kl_penalty(double beta, KlEstimator estimator, std::span<const float> log_probs,
                              std::span<const float> reference_log_probs, std::span<const std::size_t> offsets,
                              std::span<float> penalty) {
  require(std::isfinite(beta) && beta >= 0.0, "kl penalty: beta must be finite and at least 0");
  require(offsets.size() == penalty.size() + 1, "kl penalty: offsets must be one longer than penalty");
  require(offsets.back() - offsets.front() == log_probs.size() && reference_log_probs.size() == log_probs.size(),
          "kl penalty: offsets, log_probs and reference_log_probs do not fit");
  std::size_t clamped = 0;
  for (std::size_t row = 0; row < penalty.size(); ++row) {
    double sum = 0.0;
    for (std::size_t t = offsets[row] - offsets[0]; t < offsets[row + 1] - offsets[0]; ++t) {
      if (!std::isfinite(log_probs[t]) || !std::isfinite(reference_log_probs[t])) {
        throw BadData("kl penalty: row " + std::to_string(row) + ", token " +
                      std::to_string(t - (offsets[row] - offsets[0])) + ": a log-prob is not finite");
      }
      const KlTerm term =
          kl_term(estimator, static_cast<double>(log_probs[t]), static_cast<double>(reference_log_probs[t]));
      sum += term.value;
      if (term.clamped) ++clamped;
    }
    penalty[row] = static_cast<float>(beta * sum);
  }
  return clamped;
}

}  // namespace maestro
