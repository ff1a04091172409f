#pragma once

/// @file
/// Kernel bodies of the advantages from the moments of the scalar rewards, over the group or the batch. Neutral.

#include <cmath>
#include <cstddef>

#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/cuda/scalarization/reward_batch.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro::gpu {

/// Which part of the work a launch does.
enum class MomentPart {
  whole,   ///< all of it in one pass: formulas that ask nothing of the batch
  weigh,   ///< scalar rewards to `scalars`, their moments to `partial`
  finish,  ///< advantages from both, once `batch` is known
};

/// normalize -> weigh -> moments of the group -> advantage -> counterfactuals, each team on its own groups.
/// The formulas are those of scalarization/advantage_formulas.hpp, sums in the same order as on the host where groups
/// have up to 64 rows.
template <std::size_t K, class Formula, MomentPart Part>
struct ScalarizeByMoments {
  static constexpr unsigned threads = 256;

  RewardBatch<K> in;
  AdvantageBatch out;
  Formula formula;
  Normalizers normalizers;
  GroupTiling tiling;
  FaultWord* record = nullptr;
  double* workspace = nullptr;     ///< for groups that do not fit into the scratch: (B per_row + N per_group)
  double* scalars = nullptr;       ///< (B) for a formula of the batch
  Moments* partial = nullptr;      ///< (teams)
  const Moments* batch = nullptr;  ///< (1)

  /// Doubles of scratch a row: the scalar reward, and the normalized rewards where there are any.
  static std::size_t per_row(const Normalizers& normalizers) { return 1 + (normalizers.any() ? K : 0); }
  /// And a group, at most: its moments, and what z-scores need.
  static constexpr std::size_t max_per_group = sizeof(Moments) / sizeof(double) + 2 * K;
  std::size_t shared_bytes() const {
    const std::size_t per_group = doubles_of_moments + (normalizers.standardize() ? 2 * K : 0);
    return sizeof(double) * (tiling.max_rows * per_row(normalizers) + tiling.groups_per_team * per_group);
  }

  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    Moments all;
    for_each_run_of(team, tiling, index, record, [&](const GroupRun& run) {
      const Scratch scratch = scratch_of(team, run);
      const bool with_others = Part != MomentPart::weigh && out.counterfactuals != nullptr;
      if (scratch.values != nullptr && (Part != MomentPart::finish || with_others)) {
        detail::stage_values(team, in, normalizers, run, scratch.values, scratch.figures);
      }
      for_each(team, run.rows(), [&](std::size_t i) { scratch.scalars[i] = scalar(scratch, run, i); });
      team.sync();
      if constexpr (Part == MomentPart::weigh) {
        all = merge(all, team_moments(team, run.rows(), [&](std::size_t i) { return scratch.scalars[i]; }));
      } else {
        find_advantages(team, run, scratch);
      }
    });
    if (Part == MomentPart::weigh && team.rank() == 0) partial[index] = all;
  }

 private:
  static constexpr std::size_t doubles_of_moments = sizeof(Moments) / sizeof(double);
  static_assert(sizeof(Moments) % sizeof(double) == 0);
  static constexpr std::size_t max_recomputed = 1024;

  struct Scratch {
    double* scalars;   // (rows)
    double* values;    // (rows x K) normalized rewards; null where the rewards are used as they are
    Moments* moments;  // (groups)
    double* figures;   // (groups x K x 2)
  };

  template <Team T>
  MAESTRO_HD Scratch scratch_of(const T& team, const GroupRun& run) const {
    const std::size_t of_row = 1 + (normalizers.any() ? K : 0);
    double* memory = run.rows() <= tiling.max_rows ? reinterpret_cast<double*>(team.shared())
                                                   : workspace + run.begin * of_row + run.first * max_per_group;
    Scratch scratch{};
    scratch.scalars = memory;
    memory += run.rows();
    scratch.values = normalizers.any() ? memory : nullptr;
    memory += normalizers.any() ? run.rows() * K : 0;
    scratch.moments = reinterpret_cast<Moments*>(memory);
    scratch.figures = memory + run.groups() * doubles_of_moments;
    return scratch;
  }

  MAESTRO_HD double value(const Scratch& scratch, const GroupRun& run, std::size_t i, std::size_t k) const {
    return scratch.values != nullptr ? scratch.values[i * K + k]
                                     : detail::to_double(in.rewards[(run.begin + i) * K + k]);
  }

  /// R of the run's row i; NaN where every reward is missing.
  MAESTRO_HD double scalar(const Scratch& scratch, const GroupRun& run, std::size_t i) const {
    const std::size_t row = run.begin + i;
    if constexpr (Part == MomentPart::finish) {
      return scalars[row];
    } else {
      detail::check_row(in, out.counterfactuals != nullptr, row, record);
      const double sum = weighted_sum(
          K, [&](std::size_t k) { return value(scratch, run, i, k); },
          [&](std::size_t k) { return in.weights[row * K + k]; }, detail::penalty_of(in, row));
      if constexpr (Part == MomentPart::weigh) scalars[row] = sum;
      if (out.scalar_rewards != nullptr) out.scalar_rewards[row] = static_cast<float>(sum);
      return sum;
    }
  }

  /// R had the row drawn `action`.
  MAESTRO_HD double other_scalar(const Scratch& scratch, const GroupRun& run, std::size_t i, std::size_t action) const {
    const std::size_t row = run.begin + i;
    const auto weight = [&](std::size_t k) {
      return detail::to_double(in.base[row * K + k]) + (k == action ? detail::to_double(in.emphasis) : 0.0);
    };
    return weighted_sum(
        K, [&](std::size_t k) { return value(scratch, run, i, k); }, weight, detail::penalty_of(in, row));
  }

  template <Team T>
  MAESTRO_HD void find_advantages(const T& team, const GroupRun& run, const Scratch& scratch) const {
    if constexpr (Formula::group != MomentUse::none) {
      group_moments(
          team, in.groups, run, 1, [&](std::size_t i, std::size_t) { return scratch.scalars[i]; },
          [&](std::size_t g, std::size_t, const Moments& moments) { scratch.moments[g] = moments; });
      team.sync();
    }
    Moments of_batch;
    if constexpr (Formula::batch != MomentUse::none) of_batch = *batch;
    for_each(team, run.rows(),
             [&](std::size_t i) { out.advantages[run.begin + i] = advantage(run, scratch, of_batch, i); });
    if (out.counterfactuals == nullptr) return;
    for_each(team, run.rows() * K, [&](std::size_t e) {
      out.counterfactuals[run.begin * K + e] = counterfactual(run, scratch, of_batch, e / K, e % K);
    });
  }

  MAESTRO_HD Moments of_group(const GroupRun& run, const Scratch& scratch, std::size_t i) const {
    if constexpr (Formula::group == MomentUse::none) {
      return {};
    } else {
      return scratch.moments[group_in_run(in.groups, run, i)];
    }
  }

  MAESTRO_HD float advantage(const GroupRun& run, const Scratch& scratch, const Moments& of_batch,
                             std::size_t i) const {
    const Moments own = of_group(run, scratch, i);
    const AdvantageLine line = formula(figures_of(own, formula.ddof), figures_of(of_batch, formula.ddof));
    return present_or_zero(static_cast<float>(line(scratch.scalars[i])));
  }

  /// R_i alone changes; the group's moments are run again where it is small, else replace_one follows the change.
  MAESTRO_HD float counterfactual(const GroupRun& run, const Scratch& scratch, const Moments& of_batch, std::size_t i,
                                  std::size_t action) const {
    const double before = scratch.scalars[i];
    if (before != before || detail::drew(in, run.begin + i, action)) return advantage(run, scratch, of_batch, i);
    const double after = other_scalar(scratch, run, i, action);
    Moments own;
    if constexpr (Formula::group != MomentUse::none) {
      const std::size_t g = group_in_run(in.groups, run, i);
      const std::size_t first = in.groups.begin(run.first + g) - run.begin;
      const std::size_t size = in.groups.size(run.first + g);
      if (size <= max_recomputed) {
        own = moments_of(size, [&](std::size_t j) { return first + j == i ? after : scratch.scalars[first + j]; });
      } else {
        own = replace_one(scratch.moments[g], before, after);
      }
    }
    Moments changed;
    if constexpr (Formula::batch != MomentUse::none) changed = replace_one(of_batch, before, after);
    return static_cast<float>(formula(figures_of(own, formula.ddof), figures_of(changed, formula.ddof))(after));
  }
};

/// *total = the moments of all partial ones together, by one team.
struct MergeMoments {
  static constexpr unsigned threads = 256;

  const Moments* partial = nullptr;  ///< (count)
  std::size_t count = 0;
  Moments* total = nullptr;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    const std::size_t share = (count + team.size() - 1) / team.size();
    Moments own;
    for (std::size_t i = team.rank() * share; i < (team.rank() + 1) * share && i < count; ++i) {
      own = merge(own, partial[i]);
    }
    const Moments all = team.reduce(own, [](const Moments& a, const Moments& b) { return merge(a, b); });
    if (team.rank() == 0) *total = all;
  }
};

}  // namespace maestro::gpu
