#pragma once

/// @file
/// What every scalarization starts from: checked, normalised rewards and the weights under every action. Neutral.

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"
#include "maestro/scalarization/batch_moments.hpp"
#include "maestro/scalarization/formulas.hpp"
#include "maestro/scalarization/normalise.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

/// Normalised rewards (B x K) with the weights that each response has, or would have had under another action.
class WeighedRewards {
 public:
  /// Checks shapes and values, then normalises.
  /// @throws BadArgument where shapes do not fit, or counterfactuals are asked for and the decision has no base;
  ///         BadData naming row and reward for an infinite reward or a weight or penalty that is not finite. Weights
  ///         may be of any sign: a scalarization does not need a simplex.
  WeighedRewards(const Normaliser& normaliser, const ScalarizationInput& in, const ScalarizationOutput& out) : in_(in) {
    check_shapes(out);
    check_values();
    rewards_.resize(in.rewards.rows(), in.rewards.cols());
    maestro::normalise(normaliser, in.rewards, in.groups, rewards_.view());
  }

  /// Normalises once more.
  void normalise(const Normaliser& normaliser) {
    Matrix<double> before = rewards_;
    maestro::normalise(normaliser, before.view(), in_.groups, rewards_.view());
  }

  std::size_t rows() const { return rewards_.rows(); }
  std::size_t count() const { return rewards_.cols(); }
  double reward(std::size_t row, std::size_t k) const { return rewards_(row, k); }
  double penalty(std::size_t row) const { return in_.penalty.empty() ? 0.0 : static_cast<double>(in_.penalty[row]); }

  /// w_k of the action taken.
  double weight(std::size_t row, std::size_t k) const { return static_cast<double>(in_.decision.weights(row, k)); }
  /// w_k had the response drawn `action`; the weights as they are for the action taken.
  double weight(std::size_t row, std::size_t action, std::size_t k) const {
    if (drew(row, action)) return weight(row, k);
    const auto base = static_cast<double>(in_.decision.base(row, k));
    return k == action ? base + static_cast<double>(in_.decision.emphasis) : base;
  }
  /// Whether `action` is the one taken.
  bool drew(std::size_t row, std::size_t action) const {
    const auto& actions = in_.decision.actions;
    return !actions.empty() && static_cast<std::size_t>(actions[row]) == action;
  }

  /// R_i; NaN where every reward is missing.
  double scalar(std::size_t row) const {
    return weighted_sum(
        count(), [&](std::size_t k) { return reward(row, k); }, [&](std::size_t k) { return weight(row, k); },
        penalty(row));
  }
  /// R_i had the response drawn `action`.
  double scalar(std::size_t row, std::size_t action) const {
    return weighted_sum(
        count(), [&](std::size_t k) { return reward(row, k); }, [&](std::size_t k) { return weight(row, action, k); },
        penalty(row));
  }

 private:
  void check_shapes(const ScalarizationOutput& out) const {
    const std::size_t rows = in_.rewards.rows();
    const std::size_t cols = in_.rewards.cols();
    const auto fits = [&](auto&& matrix) { return matrix.rows() == rows && matrix.cols() == cols; };
    require(in_.groups.rows() == rows, "scalarization: rewards must have one row per row of the groups");
    require(fits(in_.decision.weights), "scalarization: weights must have the rewards' shape (B x K)");
    require(in_.decision.actions.empty() || in_.decision.actions.size() == rows,
            "scalarization: there must be one action per row, or none at all");
    require(in_.penalty.empty() || in_.penalty.size() == rows, "scalarization: penalty must be empty or (B)");
    require(out.advantages.size() == rows, "scalarization: advantages must be (B)");
    require(out.scalar_rewards.empty() || out.scalar_rewards.size() == rows,
            "scalarization: scalar_rewards must be empty or (B)");
    if (out.counterfactuals.empty()) return;
    require(fits(out.counterfactuals), "scalarization: counterfactuals must have the rewards' shape (B x K)");
    require(fits(in_.decision.base),
            "scalarization: counterfactuals need decision.base (B x K); this Conductor gives none");
  }

  void check_values() const {
    const bool with_base = !in_.decision.base.empty();
    for (std::size_t i = 0; i < in_.rewards.rows(); ++i) {
      for (std::size_t k = 0; k < in_.rewards.cols(); ++k) {
        if (std::isfinite(in_.decision.weights(i, k)) && (!with_base || std::isfinite(in_.decision.base(i, k)))) {
          continue;
        }
        throw BadData("scalarization: row " + std::to_string(i) + ", the weight of reward " + std::to_string(k) +
                      " is not finite; check the Conductor");
      }
      if (!in_.penalty.empty() && !std::isfinite(in_.penalty[i])) {
        throw BadData("scalarization: row " + std::to_string(i) +
                      ", the penalty is not finite; check the reference log-probs");
      }
    }
    if (!std::isfinite(in_.decision.emphasis)) throw BadData("scalarization: the emphasis is not finite");
  }

  ScalarizationInput in_;
  Matrix<double> rewards_;
};

/// What a formula over moments reads.
enum class MomentScope {
  group,            ///< the moments of the row's group
  batch,            ///< the moments of the batch
  group_and_batch,  ///< both
};

/// Advantages from the scalar rewards' moments: A_i = formula(R_i, group, batch), 0 where every reward is missing.
/// Counterfactuals: R_i alone changes. The group's moments are run again over the group (two passes, the same bits as a
/// full recomputation), the batch's are updated by replace_one; so both denominators feel the change. The entry of the
/// action taken equals the advantage.
/// Parallel over groups, deterministic. O(B K), counterfactuals O(B K (G + K)).
template <class Formula, class Comm>
void scalarize_by_moments(MomentScope scope, const WeighedRewards& weighed, const ScalarizationInput& in,
                          const ScalarizationOutput& out, Comm& comm, const Formula& formula) {
  const Groups& groups = in.groups;
  std::vector<double> scalars(weighed.rows());
  parallel_for(groups.count(), [&](std::size_t g) {
    for (std::size_t i = groups.begin(g); i < groups.end(g); ++i) {
      scalars[i] = weighed.scalar(i);
      if (!out.scalar_rewards.empty()) out.scalar_rewards[i] = static_cast<float>(scalars[i]);
    }
  });
  const Moments batch = scope == MomentScope::group
                            ? Moments{}
                            : batch_moments(
                                  scalars.size(), [&](std::size_t i) { return scalars[i]; }, comm);
  parallel_for(groups.count(), [&](std::size_t g) {
    const double* group_scalars = scalars.data() + groups.begin(g);
    const std::size_t size = groups.size(g);
    const Moments group = scope == MomentScope::batch ? Moments{} : moments_of(group_scalars, size);
    for (std::size_t member = 0; member < size; ++member) {
      const std::size_t i = groups.begin(g) + member;
      const double own = group_scalars[member];
      const bool scorable = !std::isnan(own);
      const float advantage = scorable ? static_cast<float>(formula(own, group, batch)) : 0.0f;
      out.advantages[i] = advantage;
      if (out.counterfactuals.empty()) continue;
      for (std::size_t k = 0; k < weighed.count(); ++k) {
        out.counterfactuals(i, k) = advantage;
        if (!scorable || weighed.drew(i, k)) continue;
        const double other = weighed.scalar(i, k);
        const auto changed = [&](std::size_t j) { return j == member ? other : group_scalars[j]; };
        const Moments other_group = scope == MomentScope::batch ? Moments{} : moments_of(size, changed);
        const Moments other_batch = scope == MomentScope::group ? Moments{} : replace_one(batch, own, other);
        out.counterfactuals(i, k) = static_cast<float>(formula(other, other_group, other_batch));
      }
    }
  });
}

}  // namespace maestro
