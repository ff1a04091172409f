#pragma once

/// @file
/// The arrays that a scalarization on an executor reads and writes, and functions that its kernels share. This header
/// compiles without nvcc and without the CUDA toolkit.

#include <cstddef>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/normalize.hpp"

namespace maestro::gpu {

/// RewardBatch holds what a scalarization of B rows reads. The arrays are row-major and packed, in the executor's
/// memory.
template <std::size_t K>
struct RewardBatch {
  const float* rewards = nullptr;         ///< (B x K), NaN if a reward does not apply
  const float* weights = nullptr;         ///< (B x K), of the actions taken
  GroupLayout groups;                     ///< of the B rows
  const float* penalty = nullptr;         ///< (B) subtracted from the scalar reward; may be null
  const float* base = nullptr;            ///< (B x K) for counterfactuals: w_i(a) = base_i + emphasis e_a
  float emphasis = 0.0f;                  ///< for counterfactuals: what an action adds to the weight of its reward
  const std::int32_t* actions = nullptr;  ///< (B) for counterfactuals; null if no action was drawn
  const std::int32_t* lengths = nullptr;  ///< (B) tokens of the responses; null if the estimator needs none
  const double* ranks = nullptr;          ///< (B x K) unit ranks for the rank normalizer, which the caller computes by
                                          ///< sorted_ranks() (see Scalarizer); null: they are counted
};

/// AdvantageBatch points to what a scalarization overwrites, in the executor's memory. The last two may be null.
struct AdvantageBatch {
  float* advantages = nullptr;       ///< (B)
  float* scalar_rewards = nullptr;   ///< (B) R, NaN if every reward is missing
  float* counterfactuals = nullptr;  ///< (B x K) advantage of row i had it drawn action k while the others keep theirs
};

namespace detail {

MAESTRO_HD inline bool is_finite(float value) { return value - value == 0.0f; }

/// Reports the values of row `row` that no formula admits, as throw_bad_value() of scalarization/checks.hpp does on the
/// host.
template <std::size_t K>
MAESTRO_HD void check_row(const RewardBatch<K>& in, bool with_base, std::size_t row, FaultWord* record) {
  for (std::size_t k = 0; k < K; ++k) {
    const std::size_t at = row * K + k;
    const bool weight = is_finite(in.weights[at]) && (!with_base || is_finite(in.base[at]));
    if (!weight) report_fault(record, Fault::weight_not_finite, row, k);
    if (in.rewards[at] == in.rewards[at] && !is_finite(in.rewards[at])) {
      report_fault(record, Fault::reward_infinite, row, k);
    }
  }
  if (in.penalty != nullptr && !is_finite(in.penalty[row])) report_fault(record, Fault::penalty_not_finite, row);
}

MAESTRO_HD inline double to_double(float value) { return static_cast<double>(value); }

template <std::size_t K>
MAESTRO_HD bool drew(const RewardBatch<K>& in, std::size_t row, std::size_t action) {
  return in.actions != nullptr && static_cast<std::size_t>(in.actions[row]) == action;
}

/// Replaces the values of a run by their z-scores in their groups.
/// @param figures  (groups x K x 2) scratch: mean and standard deviation of each reward in each group.
template <std::size_t K, Team T>
MAESTRO_HD void standardize(const T& team, const Normalizer& normalizer, const GroupLayout& layout, const GroupRun& run,
                            double* values, double* figures) {
  group_moments(
      team, layout, run, K, [&](std::size_t i, std::size_t k) { return values[i * K + k]; },
      [&](std::size_t g, std::size_t k, const Moments& moments) {
        double* to = figures + (g * K + k) * 2;
        to[0] = moments.mean;
        to[1] = moments.std_dev(normalizer.ddof);
      });
  team.sync();
  for_each(team, run.rows() * K, [&](std::size_t e) {
    const std::size_t g = group_in_run(layout, run, e / K);
    const double* of = figures + (g * K + e % K) * 2;
    values[e] = standardized(of[0], of[1], normalizer.epsilon)(values[e]);
  });
  team.sync();
}

/// Overwrites values (rows x K) with the run's normalized rewards, NaN if missing. It ends with a barrier.
/// @param figures  as for standardize().
template <std::size_t K, Team T>
MAESTRO_HD void stage_values(const T& team, const RewardBatch<K>& in, const Normalizer& normalizer, const GroupRun& run,
                             double* values, double* figures) {
  const float* rewards = in.rewards + run.begin * K;
  for_each(team, run.rows() * K, [&](std::size_t e) {
    const float own = rewards[e];
    values[e] = to_double(own);
    if (normalizer.kind != NormalizerKind::rank || own != own) return;
    if (in.ranks != nullptr) {
      values[e] = in.ranks[run.begin * K + e];
      return;
    }
    const std::size_t g = run.first + group_in_run(in.groups, run, e / K);
    const std::size_t first = in.groups.begin(g) - run.begin;
    values[e] = rank_in_group(in.groups.size(g), e / K - first,
                              [&](std::size_t j) { return rewards[(first + j) * K + e % K]; });
  });
  team.sync();
  if (normalizer.kind == NormalizerKind::z_score) standardize<K>(team, normalizer, in.groups, run, values, figures);
}

}  // namespace detail

}  // namespace maestro::gpu
