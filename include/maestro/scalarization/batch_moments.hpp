#pragma once

/// @file
/// Moments over the whole batch, through the communicator. Neutral.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro {

namespace detail {

/// Sum and number of the differences that are not missing.
struct BatchSum {
  double sum = 0.0;
  double count = 0.0;
};

/// sum of term(i), i in [0, count), over the i that are not missing (NaN). Blocks of fixed size and lanes of fixed
/// number, added up in order: the same bits for any number of threads. O(count).
template <class Term>
BatchSum batch_sum(std::size_t count, const Term& term) {
  constexpr std::size_t block_size = 4096;
  constexpr std::size_t lanes = 8;
  std::vector<BatchSum> blocks((count + block_size - 1) / block_size);
  parallel_for(blocks.size(), block_size, [&](std::size_t b) {
    double sums[lanes] = {};
    double counts[lanes] = {};
    const auto add = [&](std::size_t lane, std::size_t i) {
      const double value = term(i);
      sums[lane] += present_or_zero(value);
      counts[lane] += value == value ? 1.0 : 0.0;
    };
    const std::size_t end = std::min(count, (b + 1) * block_size);
    std::size_t i = b * block_size;
    for (; i + lanes <= end; i += lanes) {
      for (std::size_t lane = 0; lane < lanes; ++lane) add(lane, i + lane);
    }
    for (std::size_t lane = 0; i + lane < end; ++lane) add(lane, i + lane);
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      blocks[b].sum += sums[lane];
      blocks[b].count += counts[lane];
    }
  });
  BatchSum total;
  for (const BatchSum& block : blocks) {
    total.sum += block.sum;
    total.count += block.count;
  }
  return total;
}

}  // namespace detail

/// Moments of get(0) .. get(count - 1) of all ranks together; NaN is skipped.
/// Values are summed relative to the batch's first value, so equal values give exactly 0 as squares on any number of
/// ranks. Two passes, three collectives, in parallel; deterministic for a fixed number of
/// ranks. `get` is called from several threads. O(count + ranks).
template <class Get, Communicator Comm>
Moments batch_moments(std::size_t count, const Get& get, Comm& comm) {
  const std::size_t ranks = comm.size();
  std::vector<double> firsts(2 * ranks, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = get(i);
    if (value != value) continue;
    firsts[comm.rank()] = value;
    firsts[ranks + comm.rank()] = 1.0;
    break;
  }
  comm.all_reduce_sum(std::span<double>(firsts));
  double anchor = 0.0;
  for (std::size_t r = ranks; r-- > 0;) {
    if (firsts[ranks + r] > 0.0) anchor = firsts[r];
  }

  const detail::BatchSum own = detail::batch_sum(count, [&](std::size_t i) { return get(i) - anchor; });
  double sums[2] = {own.sum, own.count};
  comm.all_reduce_sum(std::span<double>(sums, 2));
  Moments result;
  if (!(sums[1] > 0.0)) return result;
  result.count = static_cast<std::size_t>(sums[1]);
  result.mean = anchor + sums[0] / sums[1];

  const auto square = [&](std::size_t i) {
    const double std_dev = get(i) - result.mean;
    return std_dev * std_dev;
  };
  double squares = detail::batch_sum(count, square).sum;
  comm.all_reduce_sum(std::span<double>(&squares, 1));
  result.squares = squares;
  return result;
}

}  // namespace maestro
