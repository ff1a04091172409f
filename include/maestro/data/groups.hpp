#pragma once

/// @file
/// A partition of B rows into consecutive groups: the responses of one prompt.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// Consecutive groups [first, last) of a batch: the unit of a micro-batch.
struct GroupRange {
  std::size_t first = 0;
  std::size_t last = 0;
};

namespace detail {

[[noreturn]] inline void throw_group_returns(std::size_t row, std::int64_t id) {
  throw BadArgument("groups: row " + std::to_string(row) + " returns to group " + std::to_string(id) +
                    "; sort the rows so that each group is consecutive");
}

}  // namespace detail

/// Ragged partition of rows 0 .. B-1 into N consecutive groups, possibly empty ones.
class Groups {
 public:
  Groups() = default;

  /// N groups of `size` rows each.
  static Groups uniform(std::size_t count, std::size_t size) {
    Groups groups;
    groups.offsets_.reserve(count + 1);
    for (std::size_t g = 1; g <= count; ++g) groups.offsets_.push_back(g * size);
    return groups;
  }
  /// Group g has sizes[g] rows.
  static Groups from_sizes(std::span<const std::size_t> sizes) {
    Groups groups;
    groups.offsets_.reserve(sizes.size() + 1);
    for (const std::size_t size : sizes) groups.offsets_.push_back(groups.offsets_.back() + size);
    return groups;
  }
  /// Row i belongs to the group named ids[i]; equal ids must be neighbors.
  /// @throws BadArgument naming the row where an id returns after another one.
  static Groups from_ids(std::span<const std::int64_t> ids) {
    Groups groups;
    std::vector<std::int64_t> seen;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (i > 0 && ids[i] == ids[i - 1]) continue;
      for (const std::int64_t id : seen) {
        if (id == ids[i]) detail::throw_group_returns(i, id);
      }
      seen.push_back(ids[i]);
      if (i > 0) groups.offsets_.push_back(i);
    }
    if (!ids.empty()) groups.offsets_.push_back(ids.size());
    return groups;
  }

  /// Number of groups, N.
  std::size_t count() const { return offsets_.size() - 1; }
  /// Number of rows, B.
  std::size_t rows() const { return offsets_.back(); }
  /// First row of group g.
  std::size_t begin(std::size_t g) const { return offsets_[g]; }
  /// One past the last row of group g.
  std::size_t end(std::size_t g) const { return offsets_[g + 1]; }
  std::size_t size(std::size_t g) const { return offsets_[g + 1] - offsets_[g]; }
  /// The N + 1 row offsets.
  std::span<const std::size_t> offsets() const { return offsets_; }
  /// The group that holds row i. O(log N).
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

/// The place of a response among all responses to its data row in a batch: what keys its random streams. A data row
/// that comes twice (a batch over the end of an epoch) goes on counting, so that no two responses share their draws.
/// @param row_of  row_of(g): the data row of group g.
/// O(N). @throws BadArgument at the random streams' limit.
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
