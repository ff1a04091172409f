#pragma once

/// @file
/// What a learned Conductor refuses, wherever it runs: feedback and states that do not fit it.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>

#include "maestro/conductor/buffer.hpp"
#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/error.hpp"

namespace maestro::detail {

/// @throws BadArgument unless the decision has an action and K propensities for each of its rows.
inline void check_observed(const Decision& decision, std::size_t actions) {
  const std::size_t rows = decision.rows();
  if (decision.rewards() != actions || decision.actions.size() != rows || decision.probabilities.rows() != rows ||
      decision.probabilities.cols() != actions) {
    throw BadArgument("conductor: the decision observed is not one of this Conductor's: " + std::to_string(rows) +
                      " rows of " + std::to_string(decision.rewards()) + " rewards, expected " +
                      std::to_string(actions));
  }
}

/// Gives the number of columns of the meta-rewards that the estimator reads.
inline std::size_t meta_columns(Estimator estimator, std::size_t actions) {
  return estimator == Estimator::sampled ? 1 : actions;
}

/// Gives the meta-rewards (rows x 1 or K) that the estimator reads from the feedback.
/// @throws Unsupported if they were not given; BadArgument naming shapes that differ.
inline MatrixView<const float> meta_rewards(const LearnedConductorOptions& options, const Feedback& feedback,
                                            std::size_t rows, std::size_t actions) {
  MatrixView<const float> meta(feedback.advantages.data(), feedback.advantages.size(), 1);
  if (options.estimator == Estimator::counterfactual) {
    meta = feedback.counterfactuals;
    if (meta.empty()) {
      throw Unsupported(
          "conductor: the counterfactual estimator needs a scalarization that computes counterfactual advantages; use "
          "the sampled estimator");
    }
  }
  const std::size_t columns = meta_columns(options.estimator, actions);
  if (meta.rows() != rows || meta.cols() != columns) {
    throw BadArgument("conductor: meta-rewards of shape " + std::to_string(meta.rows()) + " x " +
                      std::to_string(meta.cols()) + ", expected " + std::to_string(rows) + " x " +
                      std::to_string(columns));
  }
  return meta;
}

/// @throws BadArgument naming the row of an action that could not be drawn; BadData naming that of a meta-reward, of an
///         action that could, that is not finite.
inline void check_meta(MatrixView<const float> meta, const Decision& decision, std::size_t actions) {
  for (std::size_t i = 0; i < meta.rows(); ++i) {
    const std::int32_t action = decision.actions[i];
    if (action < 0 || static_cast<std::size_t>(action) >= actions ||
        !(decision.probabilities(i, static_cast<std::size_t>(action)) > 0.0f)) {
      throw BadArgument("conductor: row " + std::to_string(i) + " took an action that could not be drawn");
    }
    for (std::size_t k = 0; k < meta.cols(); ++k) {
      const bool masked = meta.cols() == actions && decision.probabilities(i, k) == 0.0f;
      if (!masked && !std::isfinite(meta(i, k))) {
        throw BadData("conductor: the meta-reward of row " + std::to_string(i) + " is not finite");
      }
    }
  }
}

/// @throws BadArgument if d is not known yet, or the shapes of hidden (rows x d) and out (rows x K) do not fit.
inline void check_soft_weights(MatrixView<const float> hidden, MatrixView<float> out, std::size_t hidden_size,
                               std::size_t actions) {
  if (hidden_size == 0) {
    throw BadArgument("conductor: the size of the hidden states is not known yet; set hidden_size in the options");
  }
  check_hidden(hidden, out.rows(), hidden_size);
  if (out.cols() != actions) {
    throw BadArgument("conductor: weights for " + std::to_string(out.cols()) + " rewards, expected " +
                      std::to_string(actions));
  }
}

/// @throws BadFile naming what of a loaded state does not fit a Conductor of these options.
inline void check_loaded(const LearnedConductorOptions& options, std::size_t actions, std::size_t hidden_size,
                         const ConductorBuffer& buffer, double log_tau) {
  if (options.hidden_size > 0 && hidden_size != options.hidden_size) {
    throw BadFile("conductor: the stored head reads hidden states of size " + std::to_string(hidden_size) +
                  ", expected " + std::to_string(options.hidden_size));
  }
  if (!buffer.empty() && (buffer.hidden().cols() != hidden_size || buffer.propensities().cols() != actions ||
                          buffer.meta().cols() != meta_columns(options.estimator, actions))) {
    throw BadFile("conductor: the stored buffer does not fit the head and the estimator");
  }
  for (const std::int32_t action : buffer.actions()) {
    if (action < 0 || static_cast<std::size_t>(action) >= actions) {
      throw BadFile("conductor: the stored buffer holds action " + std::to_string(action) + " of " +
                    std::to_string(actions));
    }
  }
  if (!std::isfinite(log_tau)) throw BadFile("conductor: the stored temperature is not finite");
}

}  // namespace maestro::detail
