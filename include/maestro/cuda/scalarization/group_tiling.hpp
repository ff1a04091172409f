#pragma once

/// @file
/// The assignment of groups to teams in a scalarization, and the moments of the groups of a run. This header compiles
/// without nvcc and without the CUDA toolkit.

#include <algorithm>
#include <cstddef>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/group_walk.hpp"
#include "maestro/cuda/core/team.hpp"

namespace maestro::gpu {

/// GroupTiling says which groups of a batch each team works on: team t has `groups_per_team` groups from group
/// t groups_per_team on.
struct GroupTiling {
  GroupLayout layout;
  std::size_t groups_per_team = 1;
  std::size_t max_rows = 0;  ///< largest number of rows of a run; a group of more rows is a run of its own

  std::size_t teams() const { return teams_for(layout, groups_per_team); }
};

/// Gives each team about 256 rows. A group of up to 1024 rows is worked on in the scratch if it fits there.
/// @param per_row    doubles of scratch for each row.
/// @param per_group  doubles of scratch for each group.
/// @param limit      bytes of scratch that a team may have.
inline GroupTiling tile_groups(const GroupLayout& layout, std::size_t per_row, std::size_t per_group,
                               std::size_t limit) {
  constexpr std::size_t usual = 256;
  constexpr std::size_t most = 1024;
  const std::size_t max_groups = std::clamp<std::size_t>(limit / 4 / (sizeof(double) * per_group), 1, usual);
  GroupTiling tiling{layout, groups_per_team(layout, usual, max_groups), 0};
  const std::size_t for_groups = sizeof(double) * per_group * tiling.groups_per_team;
  const std::size_t for_rows = limit > for_groups ? limit - for_groups : 0;
  const std::size_t wanted = std::clamp(layout.largest, usual, most);
  tiling.max_rows = std::min(wanted, for_rows / (sizeof(double) * std::max<std::size_t>(per_row, 1)));
  return tiling;
}

/// Calls f(run) for the runs of team `index` that have rows, with a barrier after each. A group larger than the
/// layout's `largest` is reported; its run is left out if it does not fit into the scratch.
template <Team T, class F>
MAESTRO_HD void for_each_run_of(const T& team, const GroupTiling& tiling, std::size_t index, FaultWord* record,
                                const F& f) {
  const GroupLayout& layout = tiling.layout;
  const std::size_t first = index * tiling.groups_per_team;
  const std::size_t end = first + tiling.groups_per_team;
  const std::size_t last = end < layout.groups ? end : layout.groups;
  for_each_run(layout, first, last, tiling.max_rows, tiling.groups_per_team, [&](const GroupRun& run) {
    for_each(team, run.groups(), [&](std::size_t g) {
      if (layout.size(run.first + g) > layout.largest) report_fault(record, Fault::group_too_large, run.first + g);
    });
    if (run.rows() > tiling.max_rows && run.rows() > layout.largest) return;
    if (run.rows() > 0) f(run);
    team.sync();
  });
}

/// Computes the moments of every column of every group of a run, and calls store(g, column, moments) for each on one
/// member; g counts from the run's first group. One member computes those of a small group, with the bits of
/// moments_of(); the team computes those of a large one. There is no barrier at the end.
/// @param get  get(i, column) gives a value of the run's row i, NaN if it is missing.
template <Team T, class Get, class Store>
MAESTRO_HD void group_moments(const T& team, const GroupLayout& layout, const GroupRun& run, std::size_t columns,
                              const Get& get, const Store& store) {
  const auto values_of = [&](std::size_t g, std::size_t column) {
    const std::size_t first = layout.begin(run.first + g) - run.begin;
    return [&get, first, column](std::size_t j) { return get(first + j, column); };
  };
  if (run.rows() <= one_member_rows * run.groups()) {
    for_each(team, run.groups() * columns, [&](std::size_t q) {
      const std::size_t g = q / columns;
      store(g, q % columns, moments_of(layout.size(run.first + g), values_of(g, q % columns)));
    });
    return;
  }
  for (std::size_t g = 0; g < run.groups(); ++g) {
    for (std::size_t column = 0; column < columns; ++column) {
      const Moments moments = team_moments(team, layout.size(run.first + g), values_of(g, column));
      if (team.rank() == 0) store(g, column, moments);
    }
  }
}

}  // namespace maestro::gpu
