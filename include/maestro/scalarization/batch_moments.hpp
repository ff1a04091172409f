#pragma once

/// @file
/// Moments over the whole batch, through the communicator. Neutral.

#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// Moments of get(0) .. get(count - 1) of all ranks together; NaN is skipped.
/// Values are summed relative to the batch's first value, so equal values give exactly 0 as squares on any number of
/// ranks. Two passes, three collectives; deterministic for a fixed number of ranks. O(count + ranks).
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

  double sums[2] = {0.0, 0.0};
  for (std::size_t i = 0; i < count; ++i) {
    const double difference = get(i) - anchor;
    if (difference != difference) continue;
    sums[0] += difference;
    sums[1] += 1.0;
  }
  comm.all_reduce_sum(std::span<double>(sums, 2));
  Moments result;
  if (!(sums[1] > 0.0)) return result;
  result.count = static_cast<std::size_t>(sums[1]);
  result.mean = anchor + sums[0] / sums[1];

  double squares = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    const double deviation = get(i) - result.mean;
    if (deviation == deviation) squares += deviation * deviation;
  }
  comm.all_reduce_sum(std::span<double>(&squares, 1));
  result.squares = squares;
  return result;
}

}  // namespace maestro
