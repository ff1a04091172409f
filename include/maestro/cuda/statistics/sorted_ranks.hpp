#pragma once

/// @file
/// Ranks inside groups of any size, computed by sorting. This header needs Thrust: the include folder of CCCL. If the
/// compiler is not nvcc, set THRUST_DEVICE_SYSTEM to the system of the policies.

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>
#include <thrust/transform.h>
#include <thrust/transform_scan.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/core/team.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"

namespace maestro::gpu {

/// RankWorkspace is the scratch of sorted_ranks(), in the memory of an executor. It never shrinks.
template <class E>
class RankWorkspace {
 public:
  /// Makes room for `count` rewards, of 20 bytes each.
  void reserve(std::size_t count) {
    keys_.reserve(count);
    items_.reserve(count);
    firsts_.reserve(count);
    lasts_.reserve(count);
  }
  std::uint64_t* keys() { return keys_.data(); }      ///< segment and value, in sorted order
  std::uint32_t* items() { return items_.data(); }    ///< the rewards in that order
  std::uint32_t* firsts() { return firsts_.data(); }  ///< the index at which the run of equal keys begins
  std::uint32_t* lasts() { return lasts_.data(); }    ///< the index at which it ends; in reverse order

 private:
  typename E::template Buffer<std::uint64_t> keys_;
  typename E::template Buffer<std::uint32_t> items_;
  typename E::template Buffer<std::uint32_t> firsts_;
  typename E::template Buffer<std::uint32_t> lasts_;
};

namespace detail {

/// RankKey makes sort keys: the segment (group and reward) in the high 32 bits and the value's bits in the low ones, so
/// that the order of the keys is that of the values. Equal values, also 0 and -0, have equal keys. A missing value has
/// all ones, so that it follows every other.
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

/// RunBegin gives j if a run of equal keys begins at j, else 0. The running maximum is the first index of j's run.
struct RunBegin {
  const std::uint64_t* keys;
  MAESTRO_HD std::uint32_t operator()(std::uint32_t j) const { return j > 0 && keys[j] != keys[j - 1] ? j : 0; }
};

/// RunEnd gives j = n - 1 - back if a run of equal keys ends at j, else n - 1. The running minimum, from the last key
/// to the first, is the last index of j's run.
struct RunEnd {
  const std::uint64_t* keys;
  std::uint32_t last;
  MAESTRO_HD std::uint32_t operator()(std::uint32_t back) const {
    const std::uint32_t j = last - back;
    return j < last && keys[j] != keys[j + 1] ? j : last;
  }
};

/// WriteRank writes the rank of the reward that is the j-th in sorted order.
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

}  // namespace detail

/// Computes the unit rank of each reward in its group: mid-rank / (n - 1) in [0, 1], where n is the number of rewards
/// of this kind in the group that are not missing. Ties share their mean rank; a single reward has 0.5. The results
/// have the bits of group_statistics(), for groups of any size. One sort by (group, reward, value) and two scans
/// compute them, in O(B K log(B K)). They are what RewardBatch::ranks takes, for large groups under the rank
/// normalizer; no other part of the library calls this function.
/// @param policy     Thrust's execution policy for the memory of `rewards` and the workspace: DevicePolicy::get() on a
///   device, thrust::omp::par on the host.
/// @param rewards    (B x K) packed, row-major. NaN stays NaN and is not ranked; infinities are ranked.
/// @param groups     B rows in all, uniform or ragged; `largest` of ragged ones is not read.
/// @param count      K.
/// @param workspace  grows to 20 bytes for each reward; the policy's sort takes about 12 more.
/// @param ranks      (B x K) overwritten; it may alias no other array.
/// The bits do not depend on the run or on the policy.
/// @throws BadArgument if B K or N K is 2^32 or more.
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

}  // namespace maestro::gpu
