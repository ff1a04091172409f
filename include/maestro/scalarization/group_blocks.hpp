#pragma once

/// @file
/// The walk over a batch in blocks of groups of one size, shared among threads. Neutral.

#include <algorithm>
#include <cstddef>
#include <span>

#include "maestro/core/parallel.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// Some consecutive groups. Loops over a block run over its groups innermost, so that they vectorize whatever a group's
/// size, and the sums of each group keep their order: an array "in lanes" has member j of group g at [j * groups + g].
/// A group that is smaller than the block's largest leaves places empty.
struct GroupBlock {
  std::span<const std::size_t> offsets;  ///< (groups + 1) rows of the batch
  std::size_t size = 0;                  ///< rows of the largest group, at least 1

  std::size_t groups() const { return offsets.size() - 1; }
  std::size_t rows() const { return offsets.back() - offsets.front(); }
  /// First row in the batch.
  std::size_t begin() const { return offsets.front(); }
  std::size_t size_of(std::size_t g) const { return offsets[g + 1] - offsets[g]; }
  /// First row of group g, counted from the block's first.
  std::size_t first(std::size_t g) const { return offsets[g] - offsets.front(); }
  /// Entries of an array in lanes.
  std::size_t places() const { return groups() * size; }
  /// Whether no place is empty.
  bool uniform() const { return places() == rows(); }
};

namespace detail {

/// How many of the groups that begin at offsets[0], offsets[1], ... make one block: a multiple of the widest vector and
/// some hundreds of rewards, if they are of one size; at most half of the places empty, if they are not.
inline std::size_t count_block_groups(std::span<const std::size_t> offsets, std::size_t cols) {
  constexpr std::size_t lanes = 8;
  constexpr std::size_t max_places = 8192;
  std::size_t size = std::max<std::size_t>(offsets[1] - offsets[0], 1);
  const std::size_t places = std::clamp<std::size_t>(640 / std::max<std::size_t>(cols, 1), 64, 512);
  const std::size_t groups = std::max<std::size_t>(places / size / lanes, 1) * lanes;
  const std::size_t most = std::min(offsets.size() - 1, groups);
  std::size_t count = 1;
  for (; count < most; ++count) {
    size = std::max(size, offsets[count + 1] - offsets[count]);
    const std::size_t taken = (count + 1) * size;
    if (taken > 2 * (offsets[count + 1] - offsets[0]) || taken > (count < lanes ? max_places : 2 * places)) break;
  }
  return count;
}

/// Calls body(block) for blocks of the groups that begin at offsets[0], offsets[1], ..., in order; blocks without rows
/// are left out.
template <class Body>
void for_each_block_serially(std::span<const std::size_t> offsets, std::size_t cols, const Body& body) {
  while (offsets.size() > 1) {
    const std::size_t count = count_block_groups(offsets, cols);
    GroupBlock block{offsets.first(count + 1), 0};
    for (std::size_t g = 0; g < count; ++g) block.size = std::max(block.size, block.size_of(g));
    if (block.size > 0) body(block);
    offsets = offsets.subspan(count);
  }
}

/// The first group that begins at `row` or later; groups.count() if there is none.
inline std::size_t first_group_from(const Groups& groups, std::size_t row) {
  const auto begins = groups.offsets().first(groups.count());
  return static_cast<std::size_t>(std::lower_bound(begins.begin(), begins.end(), row) - begins.begin());
}

}  // namespace detail

/// Calls body(worker, block) for blocks that cover all rows, in parallel if there is enough work to share. Each
/// thread has a worker of its own; what is in a block does not depend on the threads.
/// @param cols         values per row: sets how many rows fill a block
/// @param cost         about how many element operations one row takes
/// @param make_worker  makes the scratch of one thread, on that thread
template <class MakeWorker, class Body>
void for_each_block(const Groups& groups, std::size_t cols, std::size_t cost, const MakeWorker& make_worker,
                    const Body& body) {
  // No block reaches from one strip of rows into the next.
  const std::size_t strip_rows =
      std::clamp<std::size_t>(parallel_threshold / std::max<std::size_t>(cost, 1), 512, 4096);
  const std::size_t strips = (groups.rows() + strip_rows - 1) / strip_rows;
  const std::size_t thread_limit = std::min(strips, groups.rows() * cost / parallel_threshold + 1);
  const std::size_t threads = std::min(thread_limit, static_cast<std::size_t>(max_threads()));
  const auto work = [&](std::size_t t) {
    auto worker = make_worker();
    for (std::size_t s = t * strips / threads; s < (t + 1) * strips / threads; ++s) {
      const std::size_t first = detail::first_group_from(groups, s * strip_rows);
      const std::size_t last = detail::first_group_from(groups, (s + 1) * strip_rows);
      detail::for_each_block_serially(groups.offsets().subspan(first, last - first + 1), cols,
                                      [&](const GroupBlock& block) { body(worker, block); });
    }
  };
  if (threads == 1) return work(0);
  parallel_for(threads, work);
}

}  // namespace maestro
