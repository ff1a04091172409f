#pragma once

// Rewards and partitions for the tests of the device's algorithms.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "cuda/same_bits.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/random.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/data/groups.hpp"

namespace test {

/// A partition as the host and as the device describe it.
struct Partition {
  explicit Partition(const std::vector<std::size_t>& sizes) : groups(maestro::Groups::from_sizes(sizes)) {
    for (const std::size_t offset : groups.offsets()) offsets.push_back(static_cast<std::int64_t>(offset));
    for (const std::size_t size : sizes) largest = std::max(largest, size);
  }
  /// Groups of one size, which need no offsets.
  static Partition uniform(std::size_t count, std::size_t rows) {
    Partition result(std::vector<std::size_t>(count, rows));
    result.even_size = rows;
    result.offsets.clear();
    return result;
  }
  maestro::gpu::GroupLayout ragged() const {
    return maestro::gpu::GroupLayout::ragged(offsets.data(), groups.count(), groups.rows(), largest);
  }
  /// The layout where the offsets lie elsewhere.
  maestro::gpu::GroupLayout on(const std::int64_t* moved) const {
    return offsets.empty() ? maestro::gpu::GroupLayout::uniform(groups.count(), even_size)
                           : maestro::gpu::GroupLayout::ragged(moved, groups.count(), groups.rows(), largest);
  }

  maestro::Groups groups;
  std::vector<std::int64_t> offsets;
  std::size_t largest = 0;
  std::size_t even_size = 0;  ///< where all groups have one
};

/// Rewards of which some are ties and a share `gaps` is missing.
inline maestro::Matrix<float> random_rewards(std::size_t rows, std::size_t count, double gaps, std::uint64_t seed) {
  const maestro::RandomStream random(maestro::StreamKey{.seed = seed});
  maestro::Matrix<float> rewards(rows, count);
  for (std::uint32_t i = 0; i < rows * count; ++i) {
    const double value = random.normal(3 * i);
    const bool tie = random.uniform(3 * i + 1) < 0.3;
    rewards.flat()[i] = static_cast<float>(tie ? static_cast<int>(value) : 3.0 + value);
    if (random.uniform(3 * i + 2) < gaps) rewards.flat()[i] = std::numeric_limits<float>::quiet_NaN();
  }
  return rewards;
}

}  // namespace test
