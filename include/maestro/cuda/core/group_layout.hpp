#pragma once

/// @file
/// A partition of rows into consecutive groups, as kernels read it. This header compiles without nvcc and without the
/// CUDA toolkit.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"

namespace maestro::gpu {

/// GroupLayout describes N consecutive groups of B rows in all, of one size (uniform) or of several (ragged). It is a
/// view: the offsets belong to the caller.
struct GroupLayout {
  const std::int64_t* offsets =
      nullptr;              ///< (N + 1) in the executor's memory, from 0 to B, not decreasing; null for uniform groups
  std::size_t groups = 0;   ///< N
  std::size_t rows = 0;     ///< B
  std::size_t largest = 0;  ///< rows of the largest group, or a bound on it

  /// Makes `count` groups of `size` rows each.
  static GroupLayout uniform(std::size_t count, std::size_t size) { return {nullptr, count, count * size, size}; }
  /// Makes groups of any sizes.
  /// @param offsets  (N + 1) in the executor's memory: group g has the rows [offsets[g], offsets[g + 1]).
  /// @param largest  rows of the largest group, or a bound on it; it decides how much scratch is kept. A larger group
  ///   is refused as Fault::group_too_large.
  static GroupLayout ragged(const std::int64_t* offsets, std::size_t count, std::size_t rows, std::size_t largest) {
    return {offsets, count, rows, std::min(largest, rows)};
  }

  /// Gives the first row of group g, or B for g = N.
  MAESTRO_HD std::size_t begin(std::size_t g) const {
    return offsets == nullptr ? g * largest : static_cast<std::size_t>(offsets[g]);
  }
  /// Gives the row after the last one of group g.
  MAESTRO_HD std::size_t end(std::size_t g) const { return begin(g + 1); }
  MAESTRO_HD std::size_t size(std::size_t g) const { return end(g) - begin(g); }
  /// Gives the group of a row in [0, B). O(log N).
  MAESTRO_HD std::size_t group_of(std::size_t row) const {
    if (offsets == nullptr) return row / largest;
    std::size_t low = 0;
    std::size_t high = groups;
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      if (begin(middle) <= row) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

}  // namespace maestro::gpu
