#pragma once

/// @file
/// Kernel bodies that compute the advantages by any estimator. This header compiles without nvcc and without the CUDA
/// toolkit.

#include <cmath>
#include <cstddef>
#include <new>

#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/cuda/scalarization/reward_batch.hpp"
#include "maestro/cuda/scalarization/team_group.hpp"
#include "maestro/scalarization/estimator.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/options.hpp"
#include "maestro/scalarization/row.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro::gpu {

/// EstimatePart says which part of the work a launch does.
enum class EstimatePart {
  collect,  ///< the teams' parts of the statistics of the batch
  finish,   ///< scalar rewards, advantages, counterfactuals
};

/// Estimate is a kernel body: each team normalizes the rewards of its own groups, makes the scalar rewards, and
/// computes the groups' statistics, the advantages and the counterfactuals. The estimators are those of the host and
/// see the same rows. One thread computes the statistics of a group of up to 64 rows, in the host's order.
template <std::size_t K, AdvantageEstimator E, EstimatePart Part>
struct Estimate {
  static constexpr unsigned threads = 256;
  using Rows = DeviceRows<K>;
  using Statistics = StatisticsOf<E, SerialGroup<Rows>>;
  using Batch = BatchFigures<E>;

  RewardBatch<K> in;
  AdvantageBatch out;
  E estimator;
  AdvantagesOptions options;
  GroupTiling tiling;
  FaultWord* record = nullptr;
  double* workspace = nullptr;   ///< (B per_row + N per_group), for groups that do not fit into the scratch; else null
  int round = 0;                 ///< of the part collect
  Batch* parts = nullptr;        ///< (teams) written by the part collect
  const Batch* batch = nullptr;  ///< (1) the statistics of the batch after the rounds before

  /// Gives the doubles of scratch for a row: the scalar reward, and the normalized rewards if there is a normalizer.
  static std::size_t per_row(const Normalizer& normalizer) {
    return 1 + (normalizer.kind != NormalizerKind::none ? K : 0);
  }
  /// The doubles of scratch for a group: the number of rows that are not left out, the estimator's statistics, and the
  /// mean and standard deviation of each reward for z-scores.
  static constexpr std::size_t doubles_of_statistics = (sizeof(Statistics) + sizeof(double) - 1) / sizeof(double);
  static constexpr std::size_t per_group = 1 + doubles_of_statistics + 2 * K;
  static_assert(alignof(Statistics) <= alignof(double), "maestro: statistics are made of doubles and integers");
  std::size_t shared_bytes() const {
    return sizeof(double) * (tiling.max_rows * per_row(options.normalizer) + tiling.groups_per_team * per_group);
  }

  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    Batch part{};
    for_each_run_of(team, tiling, index, record, [&](const GroupRun& run) {
      const Scratch scratch = scratch_of(team, run);
      if (scratch.values != nullptr) {
        detail::stage_values(team, in, options.normalizer, run, scratch.values, scratch.figures);
      }
      for_each(team, run.rows(), [&](std::size_t i) { scratch.totals[i] = total(scratch, run, i); });
      team.sync();
      count_present(team, run, scratch);
      if constexpr (Part == EstimatePart::collect) {
        collect(team, run, scratch, part);
      } else {
        find_statistics(team, run, scratch);
        find_advantages(team, run, scratch);
      }
    });
    if constexpr (Part == EstimatePart::collect) {
      const auto merge = [](const Batch& a, const Batch& b) { return merge_batches<E>(a, b); };
      const Batch all = team.reduce(part, merge);
      if (team.rank() == 0) parts[index] = all;
    }
  }

 private:
  struct Scratch {
    double* totals;          // (rows)
    double* values;          // (rows x K) normalized rewards; null if the rewards are used as they are
    double* present;         // (groups) rows that are not left out
    Statistics* statistics;  // (groups)
    double* figures;         // (groups x K x 2)
  };

  template <Team T>
  MAESTRO_HD Scratch scratch_of(const T& team, const GroupRun& run) const {
    const bool normalized = options.normalizer.kind != NormalizerKind::none;
    const std::size_t of_row = 1 + (normalized ? K : 0);
    double* memory = run.rows() <= tiling.max_rows ? reinterpret_cast<double*>(team.shared())
                                                   : workspace + run.begin * of_row + run.first * per_group;
    const auto take = [&](std::size_t count) {
      double* const taken = memory;
      memory += count;
      return taken;
    };
    Scratch scratch{};
    scratch.totals = take(run.rows());
    scratch.values = normalized ? take(run.rows() * K) : nullptr;
    scratch.present = take(run.groups());
    scratch.statistics = reinterpret_cast<Statistics*>(take(run.groups() * doubles_of_statistics));
    scratch.figures = take(run.groups() * K * 2);
    return scratch;
  }

  /// Gives the rows of the run's group g.
  MAESTRO_HD Rows rows_of(const GroupRun& run, const Scratch& scratch, std::size_t g) const {
    const std::size_t begin = in.groups.begin(run.first + g);
    const std::size_t first = begin - run.begin;
    return {in.rewards + begin * K,
            scratch.values == nullptr ? nullptr : scratch.values + first * K,
            in.weights + begin * K,
            scratch.totals + first,
            in.penalty == nullptr ? nullptr : in.penalty + begin,
            in.lengths == nullptr ? nullptr : in.lengths + begin,
            in.groups.size(run.first + g),
            static_cast<std::size_t>(scratch.present[g])};
  }

  /// Gives R of the run's row i, NaN if the row is left out because every reward is missing.
  MAESTRO_HD double total(const Scratch& scratch, const GroupRun& run, std::size_t i) const {
    const std::size_t row = run.begin + i;
    detail::check_row(in, out.counterfactuals != nullptr, row, record);
    scratch.totals[i] = 0.0;  // not NaN, so that the row counts as present below
    const Rows rows{in.rewards + row * K,
                    scratch.values == nullptr ? nullptr : scratch.values + i * K,
                    in.weights + row * K,
                    scratch.totals + i,
                    in.penalty == nullptr ? nullptr : in.penalty + row,
                    nullptr,
                    1,
                    1};
    const double sum = total_of(rows.row(0), row);
    if (Part == EstimatePart::finish && out.scalar_rewards != nullptr) {
      out.scalar_rewards[row] = static_cast<float>(sum);
    }
    return sum;
  }
  /// Gives R of a row, which is row `row` of the batch.
  template <class R>
  MAESTRO_HD double total_of(const R& r, std::size_t row) const {
    if (!has_reward(r)) return options.missing_rows == MissingRows::zero ? -r.penalty() : static_cast<double>(NAN);
    const double sum = scalarize(options.scalarizer, r);
    if (sum - sum != 0.0 && options.scalarizer.kind != ScalarizerKind::sum) {
      report_fault(record, Fault::scalar_undefined, row, static_cast<std::size_t>(options.scalarizer.kind));
    }
    return sum;
  }

  template <Team T>
  MAESTRO_HD void count_present(const T& team, const GroupRun& run, const Scratch& scratch) const {
    const auto one = [&](std::size_t i) { return scratch.totals[i] == scratch.totals[i] ? 1.0 : 0.0; };
    if (small(run)) {
      for_each(team, run.groups(), [&](std::size_t g) {
        const std::size_t first = in.groups.begin(run.first + g) - run.begin;
        double count = 0.0;
        for (std::size_t j = 0; j < in.groups.size(run.first + g); ++j) count += one(first + j);
        scratch.present[g] = count;
      });
    } else {
      for (std::size_t g = 0; g < run.groups(); ++g) {
        const std::size_t first = in.groups.begin(run.first + g) - run.begin;
        double own = 0.0;
        for (std::size_t j = team.rank(); j < in.groups.size(run.first + g); j += team.size()) own += one(first + j);
        const double count = team.reduce(own, Add{});
        if (team.rank() == 0) scratch.present[g] = count;
      }
    }
    team.sync();
  }

  /// Tells whether one thread computes the statistics of each group of the run.
  MAESTRO_HD static bool small(const GroupRun& run) { return run.rows() <= one_member_rows * run.groups(); }

  template <Team T>
  MAESTRO_HD void collect(const T& team, const GroupRun& run, const Scratch& scratch, Batch& part) const {
    if constexpr (reads_batch<E>) {
      if (small(run)) {
        for_each(team, run.groups(), [&](std::size_t g) {
          const Rows rows = rows_of(run, scratch, g);
          if (rows.size == 0) return;
          part = merge_batches<E>(part, estimator.collect(round, SerialGroup<Rows>(rows), *batch));
        });
        return;
      }
      for (std::size_t g = 0; g < run.groups(); ++g) {
        const Rows rows = rows_of(run, scratch, g);
        if (rows.size == 0) continue;
        const Batch of_group = estimator.collect(round, TeamGroup<K, T>(team, rows), *batch);
        if (team.rank() == 0) part = merge_batches<E>(part, of_group);
      }
    }
  }

  template <Team T>
  MAESTRO_HD void find_statistics(const T& team, const GroupRun& run, const Scratch& scratch) const {
    if (small(run)) {
      for_each(team, run.groups(), [&](std::size_t g) {
        const Rows rows = rows_of(run, scratch, g);
        new (scratch.statistics + g) Statistics(statistics_of(estimator, SerialGroup<Rows>(rows), known()));
      });
    } else {
      for (std::size_t g = 0; g < run.groups(); ++g) {
        const Rows rows = rows_of(run, scratch, g);
        const Statistics statistics = statistics_of(estimator, TeamGroup<K, T>(team, rows), known());
        if (team.rank() == 0) new (scratch.statistics + g) Statistics(statistics);
      }
    }
    team.sync();
  }
  MAESTRO_HD decltype(auto) known() const {
    if constexpr (reads_batch<E>) {
      return static_cast<const Batch&>(*batch);
    } else {
      return Batch{};
    }
  }

  template <Team T>
  MAESTRO_HD void find_advantages(const T& team, const GroupRun& run, const Scratch& scratch) const {
    for_each(team, run.rows(), [&](std::size_t i) {
      const std::size_t g = group_in_run(in.groups, run, i);
      const Rows rows = rows_of(run, scratch, g);
      const Row<Rows> row = rows.row(run.begin + i - in.groups.begin(run.first + g));
      const double advantage = row.present() ? advantage_of(estimator, scratch.statistics[g], row) : 0.0;
      const float result = present_or_zero(static_cast<float>(advantage));
      out.advantages[run.begin + i] = result;
      if (out.counterfactuals != nullptr) find_counterfactuals(rows, scratch.statistics[g], row, run.begin + i, result);
    });
  }

  /// Writes the K counterfactuals of the row that is row `place` of the batch.
  MAESTRO_HD void find_counterfactuals(const Rows& rows, const Statistics& statistics, const Row<Rows>& own,
                                       std::size_t place, float advantage) const {
    float* to = out.counterfactuals + place * K;
    const float* base = in.base + place * K;
    const double emphasis = detail::to_double(in.emphasis);
    if constexpr (requires { estimator.probe(statistics, own, own); }) {
      const Row<Rows> base_row(rows, own.index(), base, own.total());
      const auto probe = estimator.probe(statistics, own, base_row);
      for (std::size_t k = 0; k < K; ++k) {
        const bool same = !own.present() || detail::drew(in, place, k);
        to[k] = same ? advantage : static_cast<float>(estimator.advantage_if(statistics, probe, own, k, emphasis));
      }
    } else {
      for (std::size_t k = 0; k < K; ++k) {
        to[k] = advantage;
        if (!own.present() || detail::drew(in, place, k)) continue;
        const Row<Rows> unweighted(rows, own.index(), base, k, emphasis);
        const Row<Rows> other = unweighted.with_total(total_of(unweighted, place));
        if constexpr (ignores_weights<E> && !reads_batch<E>) {
          to[k] = static_cast<float>(advantage_of(estimator, statistics, other));
        } else {
          const auto changed =
              replaced_statistics(estimator, SerialGroup<Rows>(rows).with(other), statistics, own, other);
          to[k] = static_cast<float>(advantage_of(estimator, changed, other));
        }
      }
    }
  }
};

/// MergeParts merges the parts of all teams, in order, and then merges them into *total, which it overwrites in round
/// 0. It is a body for one team.
template <AdvantageEstimator E>
struct MergeParts {
  static constexpr unsigned threads = 256;
  using Batch = BatchFigures<E>;

  const Batch* parts = nullptr;  ///< (count)
  std::size_t count = 0;
  int round = 0;
  Batch* total = nullptr;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    const std::size_t share = (count + team.size() - 1) / team.size();
    Batch own{};
    for (std::size_t i = team.rank() * share; i < (team.rank() + 1) * share && i < count; ++i) {
      own = merge_batches<E>(own, parts[i]);
    }
    const auto merge = [](const Batch& a, const Batch& b) { return merge_batches<E>(a, b); };
    const Batch all = team.reduce(own, merge);
    if (team.rank() == 0) *total = round == 0 ? all : merge_batches<E>(*total, all);
  }
};

}  // namespace maestro::gpu
