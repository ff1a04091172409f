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

/// Gives the parts of all ranks merged, rank 0 first; the same bits on every rank. One collective.
template <class T, class Merge, Communicator Comm>
T merge_ranks(const T& own, const Merge& merge, Comm& comm) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (comm.size() == 1) return own;
  T result{};
  for (const std::vector<std::byte>& bytes : comm.all_gather(std::as_bytes(std::span<const T>(&own, 1)))) {
    T part;
    std::memcpy(&part, bytes.data(), sizeof(T));
    result = merge(result, part);
  }
  return result;
}

}  // namespace maestro::detail
