#pragma once

/// @file
/// A partition of B rows into consecutive groups. A group holds the responses to one prompt.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// GroupRange is a range [first, last) of consecutive groups of a batch: the unit of a micro-batch.
struct GroupRange {
  std::size_t first = 0;
  std::size_t last = 0;
};

/// Groups is a partition of rows 0 .. B-1 into N consecutive groups. A group may have any size, 0 included.
class Groups {
 public:
  Groups() = default;

  /// Makes N groups of `size` rows each.
  static Groups uniform(std::size_t count, std::size_t size) {
    Groups groups;
    groups.offsets_.reserve(count + 1);
    for (std::size_t g = 1; g <= count; ++g) groups.offsets_.push_back(g * size);
    return groups;
  }
  /// Makes groups of which group g has sizes[g] rows.
  static Groups from_sizes(std::span<const std::size_t> sizes) {
    Groups groups;
    groups.offsets_.reserve(sizes.size() + 1);
    for (const std::size_t size : sizes) groups.offsets_.push_back(groups.offsets_.back() + size);
    return groups;
  }

  /// Gives the number of groups, N.
  std::size_t count() const { return offsets_.size() - 1; }
  /// Gives the number of rows, B.
  std::size_t rows() const { return offsets_.back(); }
  /// Gives the first row of group g.
  std::size_t begin(std::size_t g) const { return offsets_[g]; }
  /// Gives one past the last row of group g.
  std::size_t end(std::size_t g) const { return offsets_[g + 1]; }
  std::size_t size(std::size_t g) const { return offsets_[g + 1] - offsets_[g]; }
  /// Gives the N + 1 row offsets.
  std::span<const std::size_t> offsets() const { return offsets_; }
  /// Gives the group that holds row i. O(log N).
  std::size_t group_of(std::size_t row) const {
    std::size_t low = 0;
    std::size_t high = count();
    while (high - low > 1) {
      const std::size_t middle = (low + high) / 2;
      (offsets_[middle] <= row ? low : high) = middle;
    }
    return low;
  }

  friend bool operator==(const Groups&, const Groups&) = default;

 private:
  std::vector<std::size_t> offsets_{0};
};

/// Gives a response's number among all responses to its data row in a batch. This number is part of the key of the
/// response's random streams. If a batch has a data row twice (at the end of an epoch), the numbers continue, so that
/// no two responses share their draws.
/// @param row_of  row_of(g) gives the data row of group g.
/// @throws BadArgument at the random streams' limit.
/// O(N).
template <class RowOf>
std::size_t response_number(const Groups& groups, std::size_t group, std::size_t member, const RowOf& row_of) {
  std::size_t number = member;
  for (std::size_t g = 0; g < group; ++g) {
    if (row_of(g) == row_of(group)) number += groups.size(g);
  }
  if (number >= (std::size_t{1} << 24)) {
    throw BadArgument("groups: data row " + std::to_string(row_of(group)) +
                      " has more than 2^24 responses in one step, the random streams' limit");
  }
  return number;
}

}  // namespace maestro
