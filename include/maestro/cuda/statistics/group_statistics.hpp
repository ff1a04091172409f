#pragma once

/// @file
/// Statistics of each reward in each group, in one pass over the rewards. This header compiles without nvcc and without
/// the CUDA toolkit.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/group_walk.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro::gpu {

/// GroupStatistics points to what group_statistics() overwrites: arrays in the executor's memory, row-major and packed.
/// A statistic whose pointer is null is not computed.
struct GroupStatistics {
  std::int32_t* count = nullptr;  ///< (N x K) rewards that are not missing
  float* mean = nullptr;          ///< (N x K) NaN if all are missing
  float* std_dev = nullptr;       ///< (N x K) 0 if there are no more than ddof rewards
  float* least = nullptr;         ///< (N x K) NaN if all are missing
  float* largest = nullptr;       ///< (N x K) NaN if all are missing
  float* covariance = nullptr;    ///< (N x K x K) symmetric
  double* ranks = nullptr;        ///< (B x K) unit ranks in [0, 1]; NaN if the reward is missing
};

/// The largest group whose ranks group_statistics() computes, at a cost of O(G) for each reward. sorted_ranks()
/// computes those of larger groups.
inline constexpr std::size_t max_ranked_rows = 4096;

namespace detail {

/// GroupStatisticsBody is a kernel body: a team works on `per_team` consecutive groups, and copies as many of them as
/// fit into its scratch at a time.
/// @tparam Covariance  whether the covariance is computed; the compiler must know it, since the code for it takes half
///   as many registers again.
template <std::size_t K, bool Covariance>
struct GroupStatisticsBody {
  static constexpr unsigned threads = 256;
  static constexpr std::size_t group_bytes = K * (sizeof(double) + sizeof(std::int32_t)) + sizeof(double);

  const float* rewards;
  GroupLayout groups;
  int ddof;
  GroupStatistics out;
  FaultWord* record;
  std::size_t per_team;
  std::size_t kept_rows;
  std::size_t kept_groups;

  std::size_t shared_bytes() const {
    return kept_groups * group_bytes + (place(kept_rows * K) + 1) * sizeof(float) + alignof(double);
  }

  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t index) const {
    const std::size_t first = index * per_team;
    const std::size_t last = groups.groups - first < per_team ? groups.groups : first + per_team;
    for_each_run(groups, first, last, kept_rows, kept_groups, [&](const GroupRun& run) {
      const Scratch scratch(team.shared(), kept_groups);
      const float* from = rewards + run.begin * K;
      const bool kept = run.rows() <= kept_rows;
      if (!kept && refused(run.first)) {
        if (team.rank() == 0) report_fault(record, Fault::group_too_large, run.first);
        return;
      }
      for_each(team, run.rows() * K, [&](std::size_t i) {
        const float value = from[i];
        if (kept) scratch.values[place(i)] = value;
        if (std::isinf(value)) report_fault(record, Fault::reward_infinite, run.begin + i / K, i % K);
      });
      team.sync();
      if (kept) {
        const float* values = scratch.values;
        work(team, run, scratch, [values](std::size_t i) { return values[place(i)]; });
      } else {
        work(team, run, scratch, [from](std::size_t i) { return from[i]; });
      }
      team.sync();  // the scratch is the next run's
    });
  }

 private:
  /// Scratch is the team's scratch memory, laid out for one run.
  struct Scratch {
    MAESTRO_HD Scratch(unsigned char* memory, std::size_t groups)
        : means(reinterpret_cast<double*>(memory)),
          degrees(means + groups * K),
          counts(reinterpret_cast<std::int32_t*>(degrees + groups)),
          values(reinterpret_cast<float*>(counts + groups * K)) {}

    double* means;         // (groups x K)
    double* degrees;       // (groups) of freedom of the covariance
    std::int32_t* counts;  // (groups x K)
    float* values;         // (rows x K), at place(i)
  };

  /// Gives the place of value i in the scratch. The members read the same reward of different groups at once; an unused
  /// element after every 32 values keeps groups of 32 values from one bank of shared memory.
  MAESTRO_HD static std::size_t place(std::size_t i) { return i + i / 32; }

  /// Tells whether the group is larger than the layout admits; its outputs are then left unwritten.
  MAESTRO_HD bool refused(std::size_t g) const { return groups.size(g) > groups.largest; }
  /// Tells whether one member computes the group's statistics.
  MAESTRO_HD bool by_lane(std::size_t g) const { return groups.size(g) <= one_member_rows && !refused(g); }

  /// Computes the statistics of a run.
  /// @param value  value(i) gives the i-th of the run's rewards (rows x K).
  template <Team T, class Value>
  MAESTRO_HD void work(const T& team, const GroupRun& run, const Scratch& scratch, const Value& value) const {
    for_each(team, run.groups() * K, [&](std::size_t q) {
      if (by_lane(run.first + q / K)) moments_by_lane(run, q, scratch, value);
    });
    for_each(team, run.groups(), [&](std::size_t q) {
      if (refused(run.first + q)) report_fault(record, Fault::group_too_large, run.first + q);
    });
    if (groups.largest > one_member_rows) {
      for (std::size_t g = run.first; g < run.last; ++g) {
        if (!refused(g) && !by_lane(g)) moments_by_team(team, run, g, scratch, value);
      }
    }
    if constexpr (Covariance) covariances(team, run, scratch, value);
    if (out.ranks == nullptr) return;
    team.sync();
    for_each(team, run.rows() * K, [&](std::size_t i) { rank(run, i, scratch, value); });
  }

  /// Gives a function get(j): reward k of row j of group g.
  template <class Value>
  MAESTRO_HD auto column(const GroupRun& run, std::size_t g, std::size_t k, const Value& value) const {
    const std::size_t at = (groups.begin(g) - run.begin) * K + k;
    return [at, &value](std::size_t j) { return value(at + j * K); };
  }

  template <class Value>
  MAESTRO_HD void moments_by_lane(const GroupRun& run, std::size_t q, const Scratch& scratch,
                                  const Value& value) const {
    const std::size_t g = run.first + q / K;
    const std::size_t size = groups.size(g);
    const auto get = column(run, g, q % K, value);
    const Moments moments = moments_of(size, get);
    float least = INFINITY;
    float largest = -INFINITY;
    if (out.least != nullptr || out.largest != nullptr) {
      for (std::size_t j = 0; j < size; ++j) {
        least = get(j) < least ? get(j) : least;
        largest = get(j) > largest ? get(j) : largest;
      }
    }
    write(run, q, moments, least, largest, scratch);
  }

  template <Team T, class Value>
  MAESTRO_HD void moments_by_team(const T& team, const GroupRun& run, std::size_t g, const Scratch& scratch,
                                  const Value& value) const {
    const std::size_t size = groups.size(g);
    for (std::size_t k = 0; k < K; ++k) {
      const auto get = column(run, g, k, value);
      const Moments moments = team_moments(team, size, get);
      float least = INFINITY;
      float largest = -INFINITY;
      if (out.least != nullptr || out.largest != nullptr) {
        for_each(team, size, [&](std::size_t j) {
          least = get(j) < least ? get(j) : least;
          largest = get(j) > largest ? get(j) : largest;
        });
        least = team.reduce(least, Smaller{});
        largest = team.reduce(largest, Larger{});
      }
      if (team.rank() == 0) write(run, (g - run.first) * K + k, moments, least, largest, scratch);
    }
  }

  MAESTRO_HD void write(const GroupRun& run, std::size_t q, const Moments& moments, float least, float largest,
                        const Scratch& scratch) const {
    const std::size_t to = run.first * K + q;
    const bool none = moments.count == 0;
    scratch.means[q] = moments.mean;
    scratch.counts[q] = static_cast<std::int32_t>(moments.count);
    if (out.count != nullptr) out.count[to] = scratch.counts[q];
    if (out.mean != nullptr) out.mean[to] = none ? NAN : static_cast<float>(moments.mean);
    if (out.std_dev != nullptr) out.std_dev[to] = static_cast<float>(moments.std_dev(ddof));
    if (out.least != nullptr) out.least[to] = none ? NAN : least;
    if (out.largest != nullptr) out.largest[to] = none ? NAN : largest;
  }

  template <Team T, class Value>
  MAESTRO_HD void covariances(const T& team, const GroupRun& run, const Scratch& scratch, const Value& value) const {
    for_each(team, run.groups(), [&](std::size_t q) {
      const std::size_t g = run.first + q;
      if (!by_lane(g)) return;
      double present = 0.0;
      for (std::size_t j = 0; j < groups.size(g); ++j) present += any_present(run, g, j, value) ? 1.0 : 0.0;
      scratch.degrees[q] = present - ddof;
    });
    team.sync();  // means and degrees are there
    // Every pair once: k with the rewards up to K / 2 places after it, modulo K. If K is even, the pairs at a distance
    // of K / 2 occur twice; the second is left out below.
    constexpr std::size_t pairs = K * (K / 2 + 1);
    for_each(team, run.groups() * pairs, [&](std::size_t q) {
      const std::size_t g = run.first + q / pairs;
      if (!by_lane(g)) return;
      const std::size_t k = q % K;
      const std::size_t l = (k + q % pairs / K) % K;
      if (2 * (q % pairs / K) == K && l < k) return;
      double sum = 0.0;
      for (std::size_t j = 0; j < groups.size(g); ++j) sum = add_product(run, g, j, k, l, scratch, value, sum);
      write_covariance(g, k, l, sum, scratch.degrees[q / pairs]);
    });
    if (groups.largest <= one_member_rows) return;
    for (std::size_t g = run.first; g < run.last; ++g) {
      if (!refused(g) && !by_lane(g)) covariance_by_team(team, run, g, scratch, value);
    }
  }

  template <Team T, class Value>
  MAESTRO_HD void covariance_by_team(const T& team, const GroupRun& run, std::size_t g, const Scratch& scratch,
                                     const Value& value) const {
    const std::size_t size = groups.size(g);
    double present = 0.0;
    for_each(team, size, [&](std::size_t j) { present += any_present(run, g, j, value) ? 1.0 : 0.0; });
    const double degrees = team.reduce(present, Add{}) - ddof;
    for (std::size_t k = 0; k < K; ++k) {
      for (std::size_t l = k; l < K; ++l) {
        double sum = 0.0;
        for_each(team, size, [&](std::size_t j) { sum = add_product(run, g, j, k, l, scratch, value, sum); });
        sum = team.reduce(sum, Add{});
        if (team.rank() == 0) write_covariance(g, k, l, sum, degrees);
      }
    }
  }

  template <class Value>
  MAESTRO_HD bool any_present(const GroupRun& run, std::size_t g, std::size_t j, const Value& value) const {
    bool any = false;
    for (std::size_t k = 0; k < K; ++k) {
      const float reward = column(run, g, k, value)(j);
      any = any || reward == reward;
    }
    return any;
  }
  /// Gives sum + d_k d_l for row j of group g, where d is the deviation of a reward from its mean, 0 if it is missing.
  template <class Value>
  MAESTRO_HD double add_product(const GroupRun& run, std::size_t g, std::size_t j, std::size_t k, std::size_t l,
                                const Scratch& scratch, const Value& value, double sum) const {
    const double* mean = scratch.means + (g - run.first) * K;
    const double a = present_or_zero(static_cast<double>(column(run, g, k, value)(j)) - mean[k]);
    const double b = present_or_zero(static_cast<double>(column(run, g, l, value)(j)) - mean[l]);
    return multiply_add(a, b, sum);
  }
  MAESTRO_HD void write_covariance(std::size_t g, std::size_t k, std::size_t l, double sum, double degrees) const {
    const auto covariance = static_cast<float>(degrees > 0.0 ? sum / degrees : 0.0);
    out.covariance[(g * K + k) * K + l] = covariance;
    out.covariance[(g * K + l) * K + k] = covariance;
  }

  template <class Value>
  MAESTRO_HD void rank(const GroupRun& run, std::size_t i, const Scratch& scratch, const Value& value) const {
    const std::size_t row = run.begin + i / K;
    const std::size_t k = i % K;
    const std::size_t g = run.first + group_in_run(groups, run, i / K);
    if (refused(g)) return;
    const float own = value(i);
    const double valid = scratch.counts[(g - run.first) * K + k];
    const auto get = column(run, g, k, value);
    const double rank = unit_rank(mid_rank(groups.size(g), row - groups.begin(g), get), valid);
    out.ranks[run.begin * K + i] = own == own ? rank : static_cast<double>(NAN);
  }
};

template <std::size_t K, bool Covariance, Executor E>
void launch_statistics(E& executor, const float* rewards, const GroupLayout& groups, int ddof,
                       const GroupStatistics& out, FaultWord* record) {
  using Body = GroupStatisticsBody<K, Covariance>;
  if (groups.groups == 0) return;
  const std::size_t limit = executor.shared_limit();
  const std::size_t kept_groups = std::clamp<std::size_t>(limit / 4 / Body::group_bytes, 1, 128);
  const std::size_t kept_rows = std::min<std::size_t>(K <= 8 ? 512 : 256, limit / 2 / (K * sizeof(float)));
  const std::size_t per_team = groups_per_team(groups, kept_rows, kept_groups);
  executor.launch(teams_for(groups, per_team),
                  Body{rewards, groups, ddof, out, record, per_team, kept_rows, kept_groups});
}

}  // namespace detail

/// Computes the statistics that `out` has pointers for: count, mean, standard deviation, minimum and maximum of each
/// reward in each group, the covariance of each group's rewards, and the unit rank of each reward in its group. With
/// n_gk the count of reward k in group g, and n_g the number of rows of the group with any reward:
///   std_dev_gk = sqrt(sum (r - mean_gk)^2 / (n_gk - ddof)),
///   C_gkl = sum d_k d_l / (n_g - ddof), with d = r - mean, 0 if the reward is missing; C = 0 if n_g <= ddof,
///   rank = mid-rank / (n_gk - 1) in [0, 1]; ties share their mean rank, a single reward has 0.5.
/// @param rewards  (B x K) packed, row-major, NaN if missing; no output may alias it.
/// @param groups   may have empty groups; of these mean, least and largest are NaN, all else is 0.
/// @param ddof     0 or 1.
/// @param record   where infinite rewards and too large groups are reported; the outputs are then undefined.
/// Sums are made in double relative to the first value, so the standard deviation of equal rewards is exactly 0.
/// Results are identical from run to run; for groups of up to 64 rows they have the bits of moments_of() on a CPU with
/// FMA. The rewards are read once. The cost is O(B K), and O(B K^2) for covariances, O(B K G) for ranks. A group of
/// more than 512 rows (256 if K > 8) does not fit into a team's scratch; one team reads it again from the cache, so
/// that a batch of few such groups leaves a device mostly idle. The call is one launch; it neither waits nor allocates.
/// @throws BadArgument for another ddof, and for ranks if groups.largest is above max_ranked_rows.
template <std::size_t K, Executor E>
void group_statistics(E& executor, const float* rewards, const GroupLayout& groups, int ddof,
                      const GroupStatistics& out, FaultWord* record) {
  static_assert(K >= 1 && K <= 256, "maestro: 1 to 256 rewards");
  require(ddof == 0 || ddof == 1, "group statistics: ddof must be 0 or 1");
  require(out.ranks == nullptr || groups.largest <= max_ranked_rows,
          "group statistics: a group may have more than 4096 rows; use sorted_ranks() for the ranks");
  if (out.covariance != nullptr) {
    detail::launch_statistics<K, true>(executor, rewards, groups, ddof, out, record);
  } else {
    detail::launch_statistics<K, false>(executor, rewards, groups, ddof, out, record);
  }
}

}  // namespace maestro::gpu
