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
#include "maestro/scalarization/advantage_formulas.hpp"

namespace test {

using namespace maestro;

/// All that group_statistics() writes.
struct Statistics {
  std::vector<std::int32_t> count;
  std::vector<float> mean;
  std::vector<float> std_dev;
  std::vector<float> least;
  std::vector<float> largest;
  std::vector<float> covariance;
  std::vector<double> ranks;

  Statistics(std::size_t groups, std::size_t rows, std::size_t rewards)
      : count(groups * rewards, -99),
        mean(groups * rewards, -99.0f),
        std_dev(mean),
        least(mean),
        largest(mean),
        covariance(groups * rewards * rewards, -99.0f),
        ranks(rows * rewards, -99.0) {}
  gpu::GroupStatistics all() {
    return {count.data(), mean.data(), std_dev.data(), least.data(), largest.data(), covariance.data(), ranks.data()};
  }
  gpu::GroupStatistics all_but_ranks() {
    gpu::GroupStatistics result = all();
    result.ranks = nullptr;
    return result;
  }
  bool same_as(const Statistics& other) const {
    return count == other.count && same_bits(mean, other.mean) && same_bits(std_dev, other.std_dev) &&
           same_bits(least, other.least) && same_bits(largest, other.largest) &&
           same_bits(covariance, other.covariance) && same_bits(ranks, other.ranks);
  }
};

/// The definitions, by the CPU's functions. A float holds what the double rounds to. Compiled by the host's compiler,
/// since nvcc does not take lambdas of the host in functions that are the device's too.
Statistics expected(const Matrix<float>& rewards, const Groups& groups, int ddof, bool ranks = true);

/// All of them where the executor's memory is not the host's. Throws what the record holds.
template <std::size_t K, class E>
Statistics statistics_on(E& executor, const Matrix<float>& rewards, const Partition& partition, int ddof,
                         bool ranks = true) {
  Statistics result(partition.groups.count(), rewards.rows(), K);
  Memory<E, float> from(executor, {rewards.flat().begin(), rewards.flat().end()});
  Memory<E, std::int64_t> offsets(executor, partition.offsets);
  Memory<E, std::int32_t> count(executor, result.count);
  Memory<E, float> mean(executor, result.mean);
  Memory<E, float> std_dev(executor, result.std_dev);
  Memory<E, float> least(executor, result.least);
  Memory<E, float> largest(executor, result.largest);
  Memory<E, float> covariance(executor, result.covariance);
  Memory<E, double> of_ranks(executor, result.ranks);
  gpu::FaultRecord<E> record(executor);
  gpu::group_statistics<K>(executor, from.data(), partition.on(offsets.data()), ddof,
                           {count.data(), mean.data(), std_dev.data(), least.data(), largest.data(), covariance.data(),
                            ranks ? of_ranks.data() : nullptr},
                           record.data());
  record.check(executor);
  result.count = count.read();
  result.mean = mean.read();
  result.std_dev = std_dev.read();
  result.least = least.read();
  result.largest = largest.read();
  result.covariance = covariance.read();
  result.ranks = of_ranks.read();
  return result;
}

}  // namespace test
