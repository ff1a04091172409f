#pragma once

/// @file
/// Advantages from a weighted sum of rewards: TRL's three scalings, GDPO, Dr.GRPO and RLOO. Neutral.
///
/// All of them: missing rewards (NaN) add 0 and the weights are not renormalized; a row whose rewards are all missing
/// is left out of every figure and gets 0; a group of one gives 0; the penalty is subtracted from the scalar reward.
/// Options out of domain throw BadArgument in the constructor.
/// @throws BadData naming the row (and the reward) for an infinite reward, or a weight or penalty that is not finite.

#include <cmath>
#include <span>

#include "maestro/core/error.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/by_moments.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro {

/// AdvantageScale says by what the centered scalar reward is divided.
enum class AdvantageScale {
  group,  ///< the group's deviation
  batch,  ///< the batch's deviation
  none,   ///< nothing
};

/// GroupRelative is made from these options.
struct GroupRelativeOptions {
  AdvantageScale scale = AdvantageScale::group;
  double epsilon = 1e-4;  ///< added to the deviation, at least 0
  int ddof = 1;           ///< 0 or 1
  Normalizer normalizer{};
};

/// TRL's sum_then_normalize: A = (R - mean) / (deviation + epsilon), R = sum_k w_k r_k, mean over the group.
/// A group of equal R gives exactly 0.
/// Source: Shao et al. 2024 (GRPO), section 4.1.2; TRL 1.16 GRPOTrainer (epsilon after the root, batch scale).
class GroupRelative {
 public:
  explicit GroupRelative(const GroupRelativeOptions& options = {}) : options_(options) {
    check(options.normalizer);
    require(options.ddof == 0 || options.ddof == 1, "group-relative advantage: ddof must be 0 or 1");
    require(std::isfinite(options.epsilon) && options.epsilon >= 0.0,
            "group-relative advantage: epsilon must be finite and not negative");
  }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    const std::span normalizer(&options_.normalizer, 1);
    const int ddof = options_.ddof;
    const double epsilon = options_.epsilon;
    switch (options_.scale) {
      case AdvantageScale::group:
        scalarize_by_moments(normalizer, in, out, comm, GroupStandardize{ddof, epsilon});
        return;
      case AdvantageScale::batch:
        scalarize_by_moments(normalizer, in, out, comm, BatchScale{ddof, epsilon});
        return;
      case AdvantageScale::none:
        scalarize_by_moments(normalizer, in, out, comm, GroupCenter{});
        return;
    }
  }

  const GroupRelativeOptions& options() const { return options_; }

 private:
  GroupRelativeOptions options_;
};

/// DrGrpo is made from these options.
struct DrGrpoOptions {
  Normalizer normalizer{};
};

/// Dr.GRPO: A = R - mean, over the group. A group of equal R gives exactly 0.
/// Source: Liu et al. 2025, "Understanding R1-Zero-like training".
class DrGrpo {
 public:
  explicit DrGrpo(const DrGrpoOptions& options = {}) : options_(options) { check(options.normalizer); }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    const std::span normalizer(&options_.normalizer, 1);
    scalarize_by_moments(normalizer, in, out, comm, GroupCenter{});
  }

  const DrGrpoOptions& options() const { return options_; }

 private:
  DrGrpoOptions options_;
};

/// Rloo is made from these options.
struct RlooOptions {
  Normalizer normalizer{};
};

/// RLOO: A = n/(n - 1) (R - mean), which is R minus the mean of the others; n counts the rows with a reward.
/// Source: Ahmadian et al. 2024, "Back to basics".
class Rloo {
 public:
  explicit Rloo(const RlooOptions& options = {}) : options_(options) { check(options.normalizer); }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    const std::span normalizer(&options_.normalizer, 1);
    scalarize_by_moments(normalizer, in, out, comm, LeaveOneOut{});
  }

  const RlooOptions& options() const { return options_; }

 private:
  RlooOptions options_;
};

/// Gdpo is made from these options.
struct GdpoOptions {
  double group_epsilon = 1e-4;  ///< added to a reward's deviation in its group, at least 0
  double batch_epsilon = 1e-4;  ///< added to the batch's deviation of the sums, at least 0
  Normalizer normalizer{};      ///< applied before GDPO's own z-scores
};

/// GDPO, TRL's normalize_then_sum: z_k = (r_k - mean_k)/(deviation_k + eps) in the group, S = sum_k w_k z_k (missing
/// rewards add 0), A = (S - mean S)/(deviation S + eps) over the batch; ddof 1 throughout.
/// A batch of equal rewards gives exactly 0. A group of equal rewards has S = 0; its A is minus the standardized batch
/// mean, 0 up to rounding if all responses share their weights, not 0 in general.
/// Counterfactuals: z stays, S_i changes, and the batch's mean and deviation follow it in O(1).
/// Source: Liu et al. 2026 (arXiv 2601.05242); TRL 1.16.
class Gdpo {
 public:
  explicit Gdpo(const GdpoOptions& options = {}) : options_(options) {
    check(options.normalizer);
    require(std::isfinite(options.group_epsilon) && options.group_epsilon >= 0.0 &&
                std::isfinite(options.batch_epsilon) && options.batch_epsilon >= 0.0,
            "gdpo: epsilons must be finite and not negative");
  }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    const Normalizer normalizers[] = {options_.normalizer, own_normalizer(options_)};
    scalarize_by_moments(normalizers, in, out, comm, BatchStandardize{1, options_.batch_epsilon});
  }

  const GdpoOptions& options() const { return options_; }
  /// What GDPO does to each reward before it is weighed.
  static Normalizer own_normalizer(const GdpoOptions& options) {
    return {.kind = NormalizerKind::z_score, .ddof = 1, .epsilon = options.group_epsilon};
  }

 private:
  GdpoOptions options_;
};

}  // namespace maestro
