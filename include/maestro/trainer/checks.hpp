#pragma once

/// @file
/// Checks of the results of Conductor and scalarization in a step, before anything learns from them.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "maestro/conductor/conductor.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/trial.hpp"

namespace maestro::detail {

/// Refuses a Conductor for another number of rewards.
/// @throws BadArgument naming both numbers.
template <Conductor C>
void check_action_count(const C& conductor, std::size_t rewards) {
  std::size_t actions = rewards;
  if constexpr (CountsActions<C>) {
    actions = C::actions;
  } else if constexpr (TellsActions<C>) {
    actions = conductor.num_actions();
  }
  if (actions == rewards) return;
  throw BadArgument("trainer: the Conductor is for " + std::to_string(actions) + " rewards, the run has " +
                    std::to_string(rewards));
}

/// Refuses to train on groups of one response if the scalarization gives all of them 0.
/// @throws BadArgument with the remedy.
template <class S>
void refuse_lone_responses([[maybe_unused]] const S& scalarization, [[maybe_unused]] std::size_t rewards,
                           [[maybe_unused]] std::size_t responses) {
  if constexpr (can_be_tried<S>) {
    if (responses > 1 || rewards == 0 || learns_from_lone_responses(scalarization, rewards)) return;
    throw BadArgument(
        "trainer: num_generations is 1, and the scalarization compares a response with its group alone, so that every "
        "advantage would be 0; take at least 2, or an estimator that compares with the whole batch, such as "
        "BatchCentered");
  }
}

/// The value with which outputs are filled before a scalarization, which must overwrite them.
inline constexpr float unwritten = std::numeric_limits<float>::quiet_NaN();

/// Gives the name of a part in errors, such as "the Conductor Halves".
template <class T>
std::string part_name(const char* part) {
  return std::string(part) + " " + std::string(type_name<T>());
}

/// Refuses a matrix of the decision whose shape does not fit, and actions that do not fit.
/// @throws BadArgument naming a matrix that is not (B x K) or is missing, another number of actions than B, or an
///         action outside [0, K).
template <class C>
void check_decision_shape(const Decision& decision, std::size_t rows, std::size_t cols) {
  const auto fits = [&](const char* what, const Matrix<float>& matrix, bool needed) {
    if ((!needed && matrix.empty()) || (matrix.rows() == rows && matrix.cols() == cols)) return;
    throw BadArgument(part_name<C>("the Conductor") + " decided " + what + " of shape " +
                      std::to_string(matrix.rows()) + " x " + std::to_string(matrix.cols()) + ", expected " +
                      std::to_string(rows) + " x " + std::to_string(cols) +
                      " (responses x rewards): size it by view.rewards.rows() and view.rewards.cols()");
  };
  fits("weights", decision.weights, true);
  fits("probabilities", decision.probabilities, !decision.actions.empty());
  fits("base", decision.base, false);
  if (!decision.actions.empty() && decision.actions.size() != rows) {
    throw BadArgument(part_name<C>("the Conductor") + " decided " + std::to_string(decision.actions.size()) +
                      " actions for " + std::to_string(rows) + " responses; give one for each, or none at all");
  }
  for (std::size_t i = 0; i < decision.actions.size(); ++i) {
    const std::int32_t action = decision.actions[i];
    if (action >= 0 && static_cast<std::size_t>(action) < cols) continue;
    throw BadArgument(part_name<C>("the Conductor") + " decided action " + std::to_string(action) + " for response " +
                      std::to_string(i) + ", expected below " + std::to_string(cols));
  }
}

/// Refuses a decision that a scalarization cannot use.
/// @param rewards  (B x K), NaN if a reward does not apply; a row without any may have any finite weights.
/// @throws BadArgument if a shape does not fit or an action is outside [0, K); BadData naming the response whose
///         weights are not finite, or are all 0.
template <class C>
void check_decision(const Decision& decision, MatrixView<const float> rewards) {
  check_decision_shape<C>(decision, rewards.rows(), rewards.cols());
  for (std::size_t i = 0; i < rewards.rows(); ++i) {
    bool any_weight = false;
    bool any_reward = false;
    for (std::size_t k = 0; k < rewards.cols(); ++k) {
      const float weight = decision.weights(i, k);
      if (!std::isfinite(weight)) {
        throw BadData(part_name<C>("the Conductor") + " gave response " + std::to_string(i) + " of the batch weight " +
                      std::to_string(weight) + " for reward " + std::to_string(k) + "; weights must be finite");
      }
      any_weight = any_weight || weight != 0.0f;
      any_reward = any_reward || !std::isnan(rewards(i, k));
    }
    if (any_reward && !any_weight) {
      throw BadData(part_name<C>("the Conductor") + " gave response " + std::to_string(i) +
                    " of the batch weight 0 for every reward, so that nothing would judge it; fill every row of "
                    "Decision::weights");
    }
  }
}

/// Refuses the result of a scalarization that did not overwrite an output, which was filled with `unwritten`.
/// @param rewards  (B x K); the scalar reward of a row without any may be NaN.
/// @throws BadData naming the scalarization, the output and the response; Unsupported naming the scalarization if the
///         Conductor wants counterfactual advantages and there are none.
template <class S>
void check_scalarized(const ScalarizationOutput& output, MatrixView<const float> rewards) {
  const auto left = [](const char* what, std::size_t row) {
    return part_name<S>("the scalarization") + " left " + what + " of response " + std::to_string(row) +
           " of the batch unwritten, or not finite; ";
  };
  for (std::size_t i = 0; i < rewards.rows(); ++i) {
    bool any_reward = false;
    for (std::size_t k = 0; k < rewards.cols(); ++k) any_reward = any_reward || !std::isnan(rewards(i, k));
    if (!std::isfinite(output.advantages[i])) {
      throw BadData(left("the advantage", i) + "it writes all of ScalarizationOutput::advantages");
    }
    if (any_reward && !std::isfinite(output.scalar_rewards[i])) {
      throw BadData(left("the scalar reward", i) + "it writes all of ScalarizationOutput::scalar_rewards");
    }
    if (output.counterfactuals.empty()) continue;
    bool any_counterfactual = false;
    for (const float value : output.counterfactuals.row(i)) {
      any_counterfactual = any_counterfactual || std::isfinite(value);
    }
    if (!any_counterfactual) {
      throw Unsupported(left("the counterfactual advantages", i) +
                        "write ScalarizationOutput::counterfactuals, or give the Conductor Estimator::sampled");
    }
  }
}

}  // namespace maestro::detail
