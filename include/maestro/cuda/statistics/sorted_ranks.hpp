#pragma once

/// @file
/// What sorting does best: ranks inside groups of any size, and a partition from the rows' group ids. By Thrust:
/// include the folder of CCCL. Where the compiler is not nvcc, set THRUST_DEVICE_SYSTEM to that of the policies.

#include <thrust/copy.h>
#include <thrust/fill.h>
#include <thrust/for_each.h>
#include <thrust/gather.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/transform_reduce.h>
#include <thrust/transform_scan.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro::gpu {

/// Scratch of sorted_ranks(), in the memory of an executor. It only grows.
template <class E>
class RankWorkspace {
 public:
  /// Room for `count` rewards: 20 bytes each.
  void reserve(std::size_t count) {
    keys_.reserve(count);
    items_.reserve(count);
    firsts_.reserve(count);
    lasts_.reserve(count);
  }
  std::uint64_t* keys() { return keys_.data(); }      ///< segment and value, in sorted order
  std::uint32_t* items() { return items_.data(); }    ///< the rewards in that order
  std::uint32_t* firsts() { return firsts_.data(); }  ///< where the run of equal keys begins
  std::uint32_t* lasts() { return lasts_.data(); }    ///< where it ends; from the back to the front

 private:
  typename E::template Buffer<std::uint64_t> keys_;
  typename E::template Buffer<std::uint32_t> items_;
  typename E::template Buffer<std::uint32_t> firsts_;
  typename E::template Buffer<std::uint32_t> lasts_;
};

/// Scratch of offsets_from_ids(), in the memory of an executor. It only grows.
template <class E>
class IdWorkspace {
 public:
  /// Room for `count` groups: 16 bytes each.
  void reserve(std::size_t count) {
    ids_.reserve(count);
    rows_.reserve(count);
  }
  std::int64_t* ids() { return ids_.data(); }    ///< of the groups, sorted
  std::int64_t* rows() { return rows_.data(); }  ///< where the group begins

 private:
  typename E::template Buffer<std::int64_t> ids_;
  typename E::template Buffer<std::int64_t> rows_;
};

namespace detail {

/// A sort key: the segment (group and reward) above, the value's bits below, so that unsigned order is the values'
/// order. Equal values, also 0 and -0, have equal keys; a missing one has all ones, behind every other.
struct RankKey {
  static constexpr std::uint32_t missing = 0xFFFFFFFFu;

  const float* rewards;
  GroupLayout groups;
  std::size_t count;

  MAESTRO_HD static std::uint32_t ordered(float value) {
    constexpr std::uint32_t sign = 0x80000000u;
    if (value != value) return missing;
    const auto bits = __builtin_bit_cast(std::uint32_t, value);
    if ((bits & ~sign) == 0) return sign;
    return (bits & sign) != 0 ? ~bits : bits | sign;
  }
  MAESTRO_HD std::uint64_t operator()(std::uint32_t i) const {
    const std::uint64_t segment = groups.group_of(i / count) * count + i % count;
    return segment << 32 | ordered(rewards[i]);
  }
};

/// j where a run of equal keys begins, else 0: the running maximum is where j's run begins.
struct RunBegin {
  const std::uint64_t* keys;
  MAESTRO_HD std::uint32_t operator()(std::uint32_t j) const { return j > 0 && keys[j] != keys[j - 1] ? j : 0; }
};

/// The same from the back: the running minimum over falling j = n - 1 - back is where j's run ends.
struct RunEnd {
  const std::uint64_t* keys;
  std::uint32_t last;
  MAESTRO_HD std::uint32_t operator()(std::uint32_t back) const {
    const std::uint32_t j = last - back;
    return j < last && keys[j] != keys[j + 1] ? j : last;
  }
};

/// Writes the rank of the j-th in sorted order.
struct WriteRank {
  const float* rewards;
  GroupLayout groups;
  std::size_t count;
  const std::uint64_t* keys;
  const std::uint32_t* items;
  const std::uint32_t* firsts;
  const std::uint32_t* lasts;
  std::uint32_t last;
  double* ranks;

  MAESTRO_HD bool missing(std::size_t j) const { return static_cast<std::uint32_t>(keys[j]) == RankKey::missing; }
  MAESTRO_HD void operator()(std::uint32_t j) const {
    if (missing(j)) {
      ranks[items[j]] = static_cast<double>(NAN);
      return;
    }
    const std::size_t segment = keys[j] >> 32;
    const std::size_t g = segment / count;
    const std::size_t size = groups.size(g);
    const std::size_t begin = groups.begin(g) * count + segment % count * size;
    const std::size_t end = begin + size;
    const std::size_t valid = (missing(end - 1) ? firsts[end - 1] : end) - begin;
    const auto below = static_cast<double>(firsts[j] - begin);
    const auto equal = static_cast<double>(lasts[last - j] - firsts[j] + 1);
    ranks[items[j]] = unit_rank(below + 0.5 * (equal - 1.0), static_cast<double>(valid));
  }
};

/// Whether a group begins at the row.
struct BeginsGroup {
  const std::int64_t* ids;
  MAESTRO_HD bool operator()(std::int64_t row) const { return row == 0 || ids[row] != ids[row - 1]; }
};

/// A row where an id comes back.
struct ReturningId {
  std::int64_t row;
  std::int64_t id;
};
inline constexpr std::int64_t no_row = 0x7FFFFFFFFFFFFFFF;

struct FindReturn {
  const std::int64_t* ids;
  const std::int64_t* rows;
  MAESTRO_HD ReturningId operator()(std::int64_t j) const { return {ids[j] == ids[j - 1] ? rows[j] : no_row, ids[j]}; }
};
struct EarlierRow {
  MAESTRO_HD ReturningId operator()(const ReturningId& a, const ReturningId& b) const { return b.row < a.row ? b : a; }
};

}  // namespace detail

/// The unit rank of every reward in its group: mid-rank / (n - 1) in [0, 1], n the group's rewards of this kind that
/// are not missing; ties share their mean rank, a lone reward has 0.5. To the bit what group_statistics() makes,
/// whatever the size of the groups: one sort by (group, reward, value) and two scans, O(B K log(B K)).
/// @param policy     Thrust's, where `rewards` and the workspace lie: DevicePolicy's on a device, thrust::omp::par.
/// @param rewards    (B x K) packed, row-major; NaN stays NaN and is not ranked; infinities are.
/// @param groups     B rows in all, even or ragged; `largest` of ragged ones is not read.
/// @param count      K.
/// @param workspace  grows to 20 bytes per reward; the policy's sort takes about 12 more.
/// @param ranks      (B x K) overwritten; no alias.
/// The bits do not depend on the run or the policy.
/// @throws BadArgument for 2^32 rewards or more, or 2^32 groups times K.
template <class Policy, class E>
void sorted_ranks(const Policy& policy, const float* rewards, const GroupLayout& groups, std::size_t count,
                  RankWorkspace<E>& workspace, double* ranks) {
  constexpr std::size_t most = 0xFFFFFFFFu;
  if (groups.rows == 0 || count == 0) return;
  require(groups.rows <= most / count && groups.groups <= most / count,
          "sorted ranks: 2^32 rewards or more; split the batch");
  const auto total = static_cast<std::uint32_t>(groups.rows * count);
  const std::uint32_t last = total - 1;
  workspace.reserve(total);
  std::uint64_t* keys = workspace.keys();
  const thrust::counting_iterator<std::uint32_t> index(0);
  thrust::transform(policy, index, index + total, keys, detail::RankKey{rewards, groups, count});
  thrust::sequence(policy, workspace.items(), workspace.items() + total);
  thrust::stable_sort_by_key(policy, keys, keys + total, workspace.items());
  thrust::transform_inclusive_scan(policy, index, index + total, workspace.firsts(), detail::RunBegin{keys}, Larger{});
  thrust::transform_inclusive_scan(policy, index, index + total, workspace.lasts(), detail::RunEnd{keys, last},
                                   Smaller{});
  thrust::for_each_n(policy, index, total,
                     detail::WriteRank{rewards, groups, count, keys, workspace.items(), workspace.firsts(),
                                       workspace.lasts(), last, ranks});
}

/// The partition in which row i belongs to the group named ids[i]; equal ids must be neighbors.
/// @param policy     Thrust's, where `ids` and the workspace lie.
/// @param ids        (B) any numbers.
/// @param workspace  grows to 16 bytes per row.
/// @param offsets    room for B + 1; the first N + 1 are overwritten: GroupLayout's.
/// @return N, so the host waits for it. O(B + N log N).
/// @throws BadArgument naming the first row where an id returns after another one.
template <class Policy, class E>
std::size_t offsets_from_ids(const Policy& policy, const std::int64_t* ids, std::size_t rows, IdWorkspace<E>& workspace,
                             std::int64_t* offsets) {
  const auto total = static_cast<std::int64_t>(rows);
  const thrust::counting_iterator<std::int64_t> index(0);
  const std::int64_t* end = thrust::copy_if(policy, index, index + total, offsets, detail::BeginsGroup{ids});
  const std::int64_t count = end - offsets;
  thrust::fill_n(policy, offsets + count, 1, total);
  if (count < 2) return static_cast<std::size_t>(count);
  workspace.reserve(static_cast<std::size_t>(count));
  thrust::copy_n(policy, offsets, count, workspace.rows());
  thrust::gather(policy, offsets, offsets + count, ids, workspace.ids());
  thrust::stable_sort_by_key(policy, workspace.ids(), workspace.ids() + count, workspace.rows());
  const detail::ReturningId found =
      thrust::transform_reduce(policy, index + 1, index + count, detail::FindReturn{workspace.ids(), workspace.rows()},
                               detail::ReturningId{detail::no_row, 0}, detail::EarlierRow{});
  if (found.row != detail::no_row) {
    maestro::detail::throw_group_returns(static_cast<std::size_t>(found.row), found.id);
  }
  return static_cast<std::size_t>(count);
}

}  // namespace maestro::gpu
