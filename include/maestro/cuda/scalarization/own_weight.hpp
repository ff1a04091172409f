#pragma once

/// @file
/// Kernel body of the own-weight baseline. Neutral.

#include <cmath>
#include <cstddef>

#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/cuda/scalarization/reward_batch.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro::gpu {

/// A_i = w_i'(r_i - mean r) / sqrt(w_i' C w_i + epsilon), minus the group's mean A where `centered`: what
/// scalarization/own_weight.hpp computes, in one pass. Column k < K is a reward, column K the penalty, where there is
/// one: a reward of weight -1.
template <std::size_t K>
struct ScalarizeByOwnWeight {
  static constexpr unsigned threads = 256;

  RewardBatch<K> in;
  AdvantageBatch out;
  double epsilon = 1e-8;
  int ddof = 1;
  bool centered = true;
  Normalizers normalizers;
  GroupTiling tiling;
  FaultWord* record = nullptr;
  double* workspace = nullptr;  ///< for groups that do not fit into the scratch: (B per_row + N per_group)

  /// Doubles of scratch a row: deviations of all columns, scalar reward, advantage before centering.
  static constexpr std::size_t per_row = K + 3;
  /// And a group: covariances, means of the columns, count and mean of the advantages, figures of the normalizers.
  static constexpr std::size_t per_group = (K + 1) * (K + 2) / 2 + (K + 1) + 2 + 2 * K;
  std::size_t shared_bytes() const {
    return sizeof(double) * (tiling.max_rows * per_row + tiling.groups_per_team * per_group);
  }

  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    for_each_run_of(team, tiling, index, record, [&](const GroupRun& run) {
      const Scratch scratch = scratch_of(team, run);
      fill_std_devs(team, run, scratch);
      fill_covariances(team, run, scratch);
      find_advantages(team, run, scratch);
      if (out.counterfactuals != nullptr) {
        for_each(team, run.rows(), [&](std::size_t i) { find_counterfactuals(run, scratch, i); });
      }
    });
  }

 private:
  static constexpr std::size_t max_columns = K + 1;

  struct Scratch {
    double* std_devs;     // (rows x K) values, then their deviations
    double* penalties;    // (rows) deviations of the penalty
    double* scalars;      // (rows)
    double* advantages;   // (rows) NaN where a row is left out
    double* covariances;  // (groups x pairs)
    double* means;        // (groups x columns)
    double* centers;      // (groups x 2) count and mean of the advantages
    double* figures;      // (groups x K x 2)
  };
  /// What a row's weights make of its group.
  struct Projection {
    double along = 0.0;               // w.d
    double variance = 0.0;            // w' C w
    double spread[max_columns] = {};  // C w
  };

  static constexpr std::size_t pairs = max_columns * (max_columns + 1) / 2;
  /// Place of the pair (k, l), k <= l.
  MAESTRO_HD static constexpr std::size_t pair(std::size_t k, std::size_t l) {
    return k <= l ? k * max_columns - k * (k + 1) / 2 + l : pair(l, k);
  }
  MAESTRO_HD std::size_t columns() const { return in.penalty == nullptr ? K : K + 1; }

  template <Team T>
  MAESTRO_HD Scratch scratch_of(const T& team, const GroupRun& run) const {
    double* memory = run.rows() <= tiling.max_rows ? reinterpret_cast<double*>(team.shared())
                                                   : workspace + run.begin * per_row + run.first * per_group;
    const auto take = [&](std::size_t count) {
      double* const taken = memory;
      memory += count;
      return taken;
    };
    Scratch scratch{};
    scratch.std_devs = take(run.rows() * K);
    scratch.penalties = take(run.rows());
    scratch.scalars = take(run.rows());
    scratch.advantages = take(run.rows());
    scratch.covariances = take(run.groups() * pairs);
    scratch.means = take(run.groups() * max_columns);
    scratch.centers = take(run.groups() * 2);
    scratch.figures = take(run.groups() * K * 2);
    return scratch;
  }

  MAESTRO_HD static double& std_dev(const Scratch& scratch, std::size_t i, std::size_t column) {
    return column < K ? scratch.std_devs[i * K + column] : scratch.penalties[i];
  }
  MAESTRO_HD double weight(const float* weights, std::size_t row, std::size_t column) const {
    return column < K ? detail::to_double(weights[row * K + column]) : -1.0;
  }
  MAESTRO_HD std::size_t group_of(const GroupRun& run, std::size_t i) const { return group_in_run(in.groups, run, i); }

  /// Scalar rewards; then every value minus its group's mean, 0 where it is missing or its row left out.
  template <Team T>
  MAESTRO_HD void fill_std_devs(const T& team, const GroupRun& run, const Scratch& scratch) const {
    detail::stage_values(team, in, normalizers, run, scratch.std_devs, scratch.figures);
    for_each(team, run.rows(), [&](std::size_t i) {
      const std::size_t row = run.begin + i;
      detail::check_row(in, out.counterfactuals != nullptr, row, record);
      const double sum = weighted_sum(
          K, [&](std::size_t k) { return scratch.std_devs[i * K + k]; },
          [&](std::size_t k) { return in.weights[row * K + k]; }, detail::penalty_of(in, row));
      scratch.scalars[i] = sum;
      scratch.penalties[i] = sum == sum ? detail::penalty_of(in, row) : sum;
      if (out.scalar_rewards != nullptr) out.scalar_rewards[row] = static_cast<float>(sum);
    });
    team.sync();
    group_moments(
        team, in.groups, run, columns(), [&](std::size_t i, std::size_t c) { return std_dev(scratch, i, c); },
        [&](std::size_t g, std::size_t c, const Moments& moments) {
          scratch.means[g * max_columns + c] = moments.mean;
        });
    team.sync();
    for_each(team, run.rows() * columns(), [&](std::size_t e) {
      const std::size_t i = e / columns();
      const std::size_t c = e % columns();
      double& value = std_dev(scratch, i, c);
      value = present_or_zero(value - scratch.means[group_of(run, i) * max_columns + c]);
    });
    team.sync();
  }

  template <Team T>
  MAESTRO_HD void fill_covariances(const T& team, const GroupRun& run, const Scratch& scratch) const {
    const std::size_t used = columns();
    const auto product_sum = [&](std::size_t g, std::size_t k, std::size_t l, std::size_t from, std::size_t step) {
      const std::size_t first = in.groups.begin(g) - run.begin;
      double sum = 0.0;
      for (std::size_t j = from; j < in.groups.size(g); j += step) {
        sum = multiply_add(std_dev(scratch, first + j, k), std_dev(scratch, first + j, l), sum);
      }
      return sum;
    };
    const auto present = [&](std::size_t g, std::size_t from, std::size_t step) {
      const std::size_t first = in.groups.begin(g) - run.begin;
      double count = 0.0;
      for (std::size_t j = from; j < in.groups.size(g); j += step) {
        count += scratch.scalars[first + j] == scratch.scalars[first + j] ? 1.0 : 0.0;
      }
      return count;
    };
    const auto store = [&](std::size_t g, std::size_t k, std::size_t l, double sum, double count) {
      const double degrees = count - static_cast<double>(ddof);
      scratch.covariances[(g - run.first) * pairs + pair(k, l)] =
          (degrees > 0.0 ? sum : 0.0) / (degrees > 0.0 ? degrees : 1.0);
    };
    if (run.rows() <= one_member_rows * run.groups()) {
      for_each(team, run.groups() * used * used, [&](std::size_t q) {
        const std::size_t g = run.first + q / (used * used);
        const std::size_t k = q / used % used;
        const std::size_t l = q % used;
        if (k <= l) store(g, k, l, product_sum(g, k, l, 0, 1), present(g, 0, 1));
      });
    } else {
      for (std::size_t g = run.first; g < run.first + run.groups(); ++g) {
        const double count = team.reduce(present(g, team.rank(), team.size()), Add{});
        for (std::size_t k = 0; k < used; ++k) {
          for (std::size_t l = k; l < used; ++l) {
            const double sum = team.reduce(product_sum(g, k, l, team.rank(), team.size()), Add{});
            if (team.rank() == 0) store(g, k, l, sum, count);
          }
        }
      }
    }
    team.sync();
  }

  MAESTRO_HD Projection project(const GroupRun& run, const Scratch& scratch, const float* weights,
                                std::size_t i) const {
    const double* c = scratch.covariances + group_of(run, i) * pairs;
    const std::size_t row = run.begin + i;
    Projection result;
    for (std::size_t k = 0; k < columns(); ++k) {
      double spread = 0.0;
      for (std::size_t l = 0; l < columns(); ++l) {
        spread = multiply_add(c[pair(k, l)], weight(weights, row, l), spread);
      }
      result.spread[k] = spread;
      const double own = weight(weights, row, k);
      result.along = multiply_add(own, std_dev(scratch, i, k), result.along);
      result.variance = multiply_add(own, spread, result.variance);
    }
    return result;
  }
  MAESTRO_HD double evaluate(double along, double variance) const {
    return own_weight_advantage(along, variance, std::sqrt((variance > 0.0 ? variance : 0.0) + epsilon));
  }

  template <Team T>
  MAESTRO_HD void find_advantages(const T& team, const GroupRun& run, const Scratch& scratch) const {
    for_each(team, run.rows(), [&](std::size_t i) {
      const Projection own = project(run, scratch, in.weights, i);
      const double scalar = scratch.scalars[i];
      scratch.advantages[i] = scalar == scalar ? evaluate(own.along, own.variance) : scalar;
    });
    team.sync();
    if (centered) {
      group_moments(
          team, in.groups, run, 1, [&](std::size_t i, std::size_t) { return scratch.advantages[i]; },
          [&](std::size_t g, std::size_t, const Moments& moments) {
            double* to = scratch.centers + g * 2;
            to[0] = static_cast<double>(moments.count);
            to[1] = moments.mean;
          });
    } else {
      for_each(team, run.groups() * 2, [&](std::size_t e) { scratch.centers[e] = 0.0; });
    }
    team.sync();
    for_each(team, run.rows(), [&](std::size_t i) {
      const double mean = scratch.centers[group_of(run, i) * 2 + 1];
      out.advantages[run.begin + i] = present_or_zero(static_cast<float>(scratch.advantages[i] - mean));
    });
  }

  /// Under another action one weight is larger by the emphasis e: w.d grows by e d_a, w' C w by 2 e (C w)_a + e^2 C_aa.
  MAESTRO_HD void find_counterfactuals(const GroupRun& run, const Scratch& scratch, std::size_t i) const {
    const std::size_t row = run.begin + i;
    const std::size_t g = group_of(run, i);
    const double before = scratch.advantages[i];
    const double* center = scratch.centers + g * 2;
    const float taken = present_or_zero(static_cast<float>(before - center[1]));
    const Projection base = project(run, scratch, in.base, i);
    const double e = detail::to_double(in.emphasis);
    for (std::size_t a = 0; a < K; ++a) {
      const double along = multiply_add(e, std_dev(scratch, i, a), base.along);
      const double own = scratch.covariances[g * pairs + pair(a, a)];
      const double variance = multiply_add(e * e, own, multiply_add(2.0 * e, base.spread[a], base.variance));
      double after = evaluate(along, variance);
      after -= replace_one(center[0], center[1], before, after);
      const bool same = before != before || detail::drew(in, row, a);
      out.counterfactuals[row * K + a] = same ? taken : static_cast<float>(after);
    }
  }
};

}  // namespace maestro::gpu
