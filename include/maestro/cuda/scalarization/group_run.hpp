#pragma once

/// @file
/// The walk of a team over its groups: runs of whole groups that fit into the team's scratch. Neutral.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// Some consecutive groups and their rows.
struct GroupRun {
  std::size_t first_group = 0;
  std::size_t groups = 0;
  std::size_t first_row = 0;
  std::size_t rows = 0;
};

/// How the groups of a batch are dealt out to teams.
struct GroupTiling {
  GroupLayout layout;
  std::size_t groups_per_team = 1;
  std::size_t most_rows = 0;  ///< rows of a run; a group of more is a run of its own

  std::size_t teams() const { return (layout.groups + groups_per_team - 1) / groups_per_team; }
};

/// About 256 rows a team. A group of up to 1024 rows is one run where the scratch allows it.
/// @param per_row, per_group  doubles of scratch
/// @param limit               bytes that a team may share
inline GroupTiling tile_groups(const GroupLayout& layout, std::size_t per_row, std::size_t per_group,
                               std::size_t limit) {
  constexpr std::size_t usual = 256;
  constexpr std::size_t most = 1024;
  const std::size_t mean = (layout.rows + layout.groups - 1) / std::max<std::size_t>(layout.groups, 1);
  GroupTiling tiling{layout, std::max<std::size_t>(usual / std::max<std::size_t>(mean, 1), 1), 0};
  const std::size_t for_groups = sizeof(double) * per_group * tiling.groups_per_team;
  const std::size_t for_rows = limit > for_groups ? limit - for_groups : 0;
  const std::size_t wanted = std::clamp(layout.largest, usual, most);
  tiling.most_rows = std::min(wanted, for_rows / (sizeof(double) * std::max<std::size_t>(per_row, 1)));
  return tiling;
}

/// Calls f(run) for the runs of team `index`. Every member makes the same calls, with a barrier after each.
/// A group larger than the layout's bound is reported and left out.
template <Team T, class F>
MAESTRO_HD void for_each_run(const T& team, const GroupTiling& tiling, std::size_t index, FaultWord* record,
                             const F& f) {
  const GroupLayout& layout = tiling.layout;
  std::size_t first = index * tiling.groups_per_team;
  const std::size_t end = first + tiling.groups_per_team;
  const std::size_t last = end < layout.groups ? end : layout.groups;
  while (first < last) {
    const std::size_t first_row = layout.begin(first);
    std::size_t fits = first;  // groups [first, fits) fit; those up to `fails` do not
    std::size_t fails = last + 1;
    while (fails - fits > 1) {
      const std::size_t middle = (fits + fails) / 2;
      if (layout.begin(middle) - first_row <= tiling.most_rows) {
        fits = middle;
      } else {
        fails = middle;
      }
    }
    if (fits == first) ++fits;
    const GroupRun run{first, fits - first, first_row, layout.begin(fits) - first_row};
    first = fits;
    if (run.rows > tiling.most_rows && run.rows > layout.largest) {
      if (team.rank() == 0) report_fault(record, Fault::group_too_large, run.first_group);
      continue;
    }
    if (run.rows > 0) f(run);
    team.sync();
  }
}

/// Which of the run's groups its row i belongs to. Runs of several groups are short, so 32 bits do.
MAESTRO_HD inline std::size_t group_in_run(const GroupLayout& layout, const GroupRun& run, std::size_t i) {
  if (run.groups == 1) return 0;
  if (layout.offsets == nullptr) return static_cast<std::uint32_t>(i) / static_cast<std::uint32_t>(layout.largest);
  std::size_t low = run.first_group;
  std::size_t high = run.first_group + run.groups;
  while (high - low > 1) {
    const std::size_t middle = (low + high) / 2;
    if (layout.begin(middle) <= run.first_row + i) {
      low = middle;
    } else {
      high = middle;
    }
  }
  return low - run.first_group;
}

/// store(g, column, moments) of every group g of a run, counted from its first, and every column, each on one member;
/// no barrier afterwards. Small groups are one member's work each, with the bits of moments_of; large ones the team's.
/// @param get  get(i, column): a value of the run's row i, NaN where it is missing
template <Team T, class Get, class Store>
MAESTRO_HD void group_moments(const T& team, const GroupLayout& layout, const GroupRun& run, std::size_t columns,
                              const Get& get, const Store& store) {
  constexpr std::size_t one_member = 64;  // rows that one member adds up sooner than a team meets
  const auto values_of = [&](std::size_t g, std::size_t column) {
    const std::size_t first = layout.begin(run.first_group + g) - run.first_row;
    return [&get, first, column](std::size_t j) { return get(first + j, column); };
  };
  if (run.rows <= one_member * run.groups) {
    for_each(team, run.groups * columns, [&](std::size_t q) {
      const std::size_t g = q / columns;
      store(g, q % columns, moments_of(layout.size(run.first_group + g), values_of(g, q % columns)));
    });
    return;
  }
  for (std::size_t g = 0; g < run.groups; ++g) {
    for (std::size_t column = 0; column < columns; ++column) {
      const Moments moments = team_moments(team, layout.size(run.first_group + g), values_of(g, column));
      if (team.rank() == 0) store(g, column, moments);
    }
  }
}

}  // namespace maestro::gpu
