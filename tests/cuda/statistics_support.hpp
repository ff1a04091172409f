#pragma once

// Group statistics by their definitions, and on an executor.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/memory.hpp"
#include "cuda/rewards.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/statistics/group_statistics.hpp"
#include "maestro/scalarization/formulas.hpp"

namespace test {

using namespace maestro;

/// All that group_statistics() writes.
struct Statistics {
  std::vector<std::int32_t> count;
  std::vector<float> mean;
  std::vector<float> deviation;
  std::vector<float> least;
  std::vector<float> largest;
  std::vector<float> covariance;
  std::vector<double> ranks;

  Statistics(std::size_t groups, std::size_t rows, std::size_t rewards)
      : count(groups * rewards, -99),
        mean(groups * rewards, -99.0f),
        deviation(mean),
        least(mean),
        largest(mean),
        covariance(groups * rewards * rewards, -99.0f),
        ranks(rows * rewards, -99.0) {}
  gpu::GroupStatistics all() {
    return {count.data(), mean.data(), deviation.data(), least.data(), largest.data(), covariance.data(), ranks.data()};
  }
  gpu::GroupStatistics all_but_ranks() {
    gpu::GroupStatistics result = all();
    result.ranks = nullptr;
    return result;
  }
  bool same_as(const Statistics& other) const {
    return count == other.count && same_bits(mean, other.mean) && same_bits(deviation, other.deviation) &&
           same_bits(least, other.least) && same_bits(largest, other.largest) &&
           same_bits(covariance, other.covariance) && same_bits(ranks, other.ranks);
  }
};

/// The definitions, by the CPU's functions. A float holds what the double rounds to.
inline Statistics expected(const Matrix<float>& rewards, const Groups& groups, int ddof, bool ranks = true) {
  const std::size_t count = rewards.cols();
  Statistics result(groups.count(), rewards.rows(), count);
  for (std::size_t g = 0; g < groups.count(); ++g) {
    const std::size_t begin = groups.begin(g);
    const std::size_t size = groups.size(g);
    std::vector<double> means(count);
    for (std::size_t k = 0; k < count; ++k) {
      const auto get = [&](std::size_t j) { return rewards(begin + j, k); };
      const Moments moments = moments_of(size, get);
      const std::size_t to = g * count + k;
      means[k] = moments.mean;
      result.count[to] = static_cast<std::int32_t>(moments.count);
      result.mean[to] = moments.count > 0 ? static_cast<float>(moments.mean) : NAN;
      result.deviation[to] = static_cast<float>(moments.deviation(ddof));
      result.least[to] = result.largest[to] = NAN;
      for (std::size_t j = 0; j < size; ++j) {
        if (!(result.least[to] <= get(j)) && get(j) == get(j)) result.least[to] = get(j);
        if (!(result.largest[to] >= get(j)) && get(j) == get(j)) result.largest[to] = get(j);
        if (!ranks) continue;
        result.ranks[(begin + j) * count + k] =
            get(j) == get(j) ? unit_rank(mid_rank(size, j, get), static_cast<double>(moments.count)) : double(NAN);
      }
    }
    double degrees = -ddof;
    for (std::size_t j = 0; j < size; ++j) {
      bool any = false;
      for (const float reward : rewards.row(begin + j)) any = any || reward == reward;
      degrees += any ? 1.0 : 0.0;
    }
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t l = 0; l < count; ++l) {
        double sum = 0.0;
        for (std::size_t j = 0; j < size; ++j) {
          sum = multiply_add(present_or_zero(double{rewards(begin + j, k)} - means[k]),
                             present_or_zero(double{rewards(begin + j, l)} - means[l]), sum);
        }
        result.covariance[(g * count + k) * count + l] = static_cast<float>(degrees > 0.0 ? sum / degrees : 0.0);
      }
    }
  }
  return result;
}

/// All of them where the executor's memory is not the host's. Throws what the record holds.
template <std::size_t K, class E>
Statistics statistics_on(E& executor, const Matrix<float>& rewards, const Partition& partition, int ddof,
                         bool ranks = true) {
  Statistics result(partition.groups.count(), rewards.rows(), K);
  Memory<E, float> from(executor, {rewards.flat().begin(), rewards.flat().end()});
  Memory<E, std::int64_t> offsets(executor, partition.offsets);
  Memory<E, std::int32_t> count(executor, result.count);
  Memory<E, float> mean(executor, result.mean);
  Memory<E, float> deviation(executor, result.deviation);
  Memory<E, float> least(executor, result.least);
  Memory<E, float> largest(executor, result.largest);
  Memory<E, float> covariance(executor, result.covariance);
  Memory<E, double> of_ranks(executor, result.ranks);
  gpu::FaultRecord<E> record(executor);
  gpu::group_statistics<K>(executor, from.data(), partition.on(offsets.data()), ddof,
                           {count.data(), mean.data(), deviation.data(), least.data(), largest.data(),
                            covariance.data(), ranks ? of_ranks.data() : nullptr},
                           record.data());
  record.check(executor);
  result.count = count.read();
  result.mean = mean.read();
  result.deviation = deviation.read();
  result.least = least.read();
  result.largest = largest.read();
  result.covariance = covariance.read();
  result.ranks = of_ranks.read();
  return result;
}

}  // namespace test
