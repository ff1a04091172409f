#pragma once

/// @file
/// The checks of a scalarization's input: shapes, and values for which the formulas are not defined. Neutral.

#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"
#include "maestro/scalarization/row.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

/// Refuses infinite rewards.
/// @throws BadData naming the first row, counted from `first_row`, and the reward that is infinite, if one is.
template <class T>
void throw_infinite_reward(MatrixView<T> rewards, std::size_t first_row) {
  for (std::size_t i = 0; i < rewards.rows(); ++i) {
    for (std::size_t k = 0; k < rewards.cols(); ++k) {
      if (!std::isinf(rewards(i, k))) continue;
      throw BadData("scalarization: row " + std::to_string(first_row + i) + ", reward " + std::to_string(k) +
                    " is infinite; return nullopt (NaN) for a reward that does not apply");
    }
  }
}

/// Refuses an emphasis that is not finite.
/// @throws BadData unless the emphasis is finite.
inline void throw_bad_emphasis(float emphasis) {
  if (!std::isfinite(emphasis)) throw BadData("scalarization: the emphasis is not finite");
}

/// Refuses inputs and outputs that do not belong together.
/// @throws BadArgument if shapes do not fit, or counterfactuals are asked for and the decision has no base.
inline void check_shapes(const ScalarizationInput& in, const ScalarizationOutput& out) {
  const std::size_t rows = in.rewards.rows();
  const std::size_t cols = in.rewards.cols();
  const auto fits = [&](auto&& matrix) { return matrix.rows() == rows && matrix.cols() == cols; };
  require(in.groups.rows() == rows, "scalarization: rewards must have one row per row of the groups");
  require(fits(in.decision.weights), "scalarization: weights must have the rewards' shape (B x K)");
  require(in.decision.actions.empty() || in.decision.actions.size() == rows,
          "scalarization: there must be one action per row, or none at all");
  require(in.penalty.empty() || in.penalty.size() == rows, "scalarization: penalty must be empty or (B)");
  require(in.lengths.empty() || in.lengths.size() == rows, "scalarization: lengths must be empty or (B)");
  require(out.advantages.size() == rows, "scalarization: advantages must be (B)");
  require(out.scalar_rewards.empty() || out.scalar_rewards.size() == rows,
          "scalarization: scalar_rewards must be empty or (B)");
  if (out.counterfactuals.empty()) return;
  require(fits(out.counterfactuals), "scalarization: counterfactuals must have the rewards' shape (B x K)");
  require(fits(in.decision.base),
          "scalarization: counterfactuals need decision.base (B x K); this Conductor gives none");
}

namespace detail {

/// @throws BadArgument for more rewards than the estimators take, and for a gate that is none of them.
inline void check_counts(std::string_view estimator, const ScalarizationInput& in, const Scalarizer& scalarizer) {
  const std::size_t count = in.rewards.cols();
  if (count > max_rewards) {
    throw BadArgument(std::string(estimator) + ": takes up to " + std::to_string(max_rewards) + " rewards, got " +
                      std::to_string(count));
  }
  if (scalarizer.kind == ScalarizerKind::gated && scalarizer.gate >= count) {
    throw BadArgument("scalarizer: gate " + std::to_string(scalarizer.gate) + " is none of the " +
                      std::to_string(count) + " rewards, which are counted from 0");
  }
}

/// @throws BadArgument if the lengths of the responses are missing.
inline void check_lengths(std::string_view estimator, const ScalarizationInput& in) {
  if (in.lengths.size() == in.rewards.rows()) return;
  throw BadArgument(std::string(estimator) + ": needs ScalarizationInput::lengths, the tokens of every response");
}

}  // namespace detail

/// Throws for the first inadmissible value: weights and penalties first, then the emphasis, then rewards, each with the
/// lowest row. The loops over the batch only detect that there is one; this function finds it.
/// @throws BadData naming row and reward.
inline void throw_bad_value(const ScalarizationInput& in, bool with_base) {
  for (std::size_t i = 0; i < in.rewards.rows(); ++i) {
    for (std::size_t k = 0; k < in.rewards.cols(); ++k) {
      if (std::isfinite(in.decision.weights(i, k)) && (!with_base || std::isfinite(in.decision.base(i, k)))) continue;
      throw BadData("scalarization: row " + std::to_string(i) + ", the weight of reward " + std::to_string(k) +
                    " is not finite; check the Conductor");
    }
    if (!in.penalty.empty() && !std::isfinite(in.penalty[i])) {
      throw BadData("scalarization: row " + std::to_string(i) +
                    ", the penalty is not finite; check the reference log-probs");
    }
  }
  throw_bad_emphasis(in.decision.emphasis);
  throw_infinite_reward(in.rewards, 0);
}

}  // namespace maestro
