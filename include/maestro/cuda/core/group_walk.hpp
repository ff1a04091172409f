#pragma once

/// @file
/// A team walks over its groups in runs: as many whole groups at a time as its scratch has room for. This header
/// compiles without nvcc and without the CUDA toolkit.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/group_layout.hpp"

namespace maestro::gpu {

/// A group of at most this many rows is summed by one member of the team, in the order of moments_of(). That takes less
/// time than the barriers of a sum by the whole team.
inline constexpr std::size_t one_member_rows = 64;

/// GroupRun is consecutive whole groups [first, last) and their rows [begin, end).
struct GroupRun {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t begin = 0;
  std::size_t end = 0;

  MAESTRO_HD std::size_t groups() const { return last - first; }
  MAESTRO_HD std::size_t rows() const { return end - begin; }
};

/// Gives the longest run that begins with group `first`, ends before group `last`, and has at most `max_rows` rows and
/// `max_groups` groups. A group of more than `max_rows` rows is a run of its own. O(log max_groups).
MAESTRO_HD inline GroupRun run_from(const GroupLayout& layout, std::size_t first, std::size_t last,
                                    std::size_t max_rows, std::size_t max_groups) {
  const std::size_t begin = layout.begin(first);
  std::size_t fits = first + 1;
  std::size_t high = last - first < max_groups ? last : first + max_groups;
  while (fits < high) {
    const std::size_t middle = high - (high - fits) / 2;
    if (layout.begin(middle) - begin <= max_rows) {
      fits = middle;
    } else {
      high = middle - 1;
    }
  }
  return {first, fits, begin, layout.begin(fits)};
}

/// Cuts the groups [first, last) into runs (see run_from) and calls f(run) for each, in order. Every member of a team
/// gets the same runs, so f may contain barriers.
template <class F>
MAESTRO_HD void for_each_run(const GroupLayout& layout, std::size_t first, std::size_t last, std::size_t max_rows,
                             std::size_t max_groups, const F& f) {
  while (first < last) {
    const GroupRun run = run_from(layout, first, last, max_rows, max_groups);
    f(run);
    first = run.last;
  }
}

/// Gives the group of row i of a run; group and row are counted from the run's first. O(log of the run's groups).
MAESTRO_HD inline std::size_t group_in_run(const GroupLayout& layout, const GroupRun& run, std::size_t i) {
  if (run.groups() == 1) return 0;
  // Runs of several groups are short, so 32 bits are enough.
  if (layout.offsets == nullptr) return static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(layout.largest);
  std::size_t low = run.first;
  std::size_t high = run.last;
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    if (layout.begin(middle) <= run.begin + i) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low - run.first;
}

/// Gives the number of consecutive groups for a team, in [1, max_groups], so that the team has about `rows` rows if its
/// groups are of average size. The host calls it; it knows B and N, but not the offsets.
inline std::size_t groups_per_team(const GroupLayout& layout, std::size_t rows, std::size_t max_groups) {
  if (layout.rows == 0) return max_groups;
  return std::clamp<std::size_t>(rows * layout.groups / layout.rows, 1, max_groups);
}

/// Gives the number of teams needed for all groups, `per_team` each.
inline std::size_t teams_for(const GroupLayout& layout, std::size_t per_team) {
  return layout.groups / per_team + (layout.groups % per_team != 0 ? 1 : 0);
}

}  // namespace maestro::gpu
