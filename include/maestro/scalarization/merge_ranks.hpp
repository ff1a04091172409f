#pragma once

/// @file
/// A figure that every rank has a part of, merged in the order of the ranks. Neutral.

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "maestro/core/communicator.hpp"

namespace maestro::detail {

/// The parts of all ranks merged, rank 0 first; the same bits on every rank. One collective: the bytes of all parts,
/// each as a double, which sums with zeros leave as they are.
template <class T, class Merge, Communicator Comm>
T merge_ranks(const T& own, const Merge& merge, Comm& comm) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::size_t ranks = comm.size();
  if (ranks == 1) return own;
  unsigned char bytes[sizeof(T)];
  std::memcpy(bytes, &own, sizeof(T));
  std::vector<double> all(ranks * sizeof(T), 0.0);
  for (std::size_t b = 0; b < sizeof(T); ++b) all[comm.rank() * sizeof(T) + b] = bytes[b];
  comm.all_reduce_sum(std::span<double>(all));
  T result{};
  for (std::size_t r = 0; r < ranks; ++r) {
    for (std::size_t b = 0; b < sizeof(T); ++b) bytes[b] = static_cast<unsigned char>(all[r * sizeof(T) + b]);
    T part;
    std::memcpy(&part, bytes, sizeof(T));
    result = merge(result, part);
  }
  return result;
}

}  // namespace maestro::detail
