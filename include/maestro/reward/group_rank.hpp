#pragma once

/// @file
/// Ranks inside each group: the form of a reward that does not depend on its scale.

#include <cmath>
#include <cstddef>
#include <span>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// Best says which end of a scale is best.
enum class Best : unsigned char { lowest, highest };

/// Computes scores_i = (n - mean rank) / n over the n values of the group that are not NaN; rank 0 is the best. The
/// best value gets 1 if it is unique, and no score is below 1/n. Ties share their mean rank. NaN stays NaN.
/// @param values  (B) infinity is allowed; NaN is not ranked.
/// @param scores  (B) overwritten; must not alias values.
/// O(B G), deterministic. Source: NOVER [2505.16022].
inline void rank_in_groups(const Groups& groups, std::span<const float> values, Best best, std::span<float> scores) {
  for (std::size_t g = 0; g < groups.count(); ++g) {
    const std::size_t begin = groups.begin(g);
    const auto get = [&](std::size_t i) { return best == Best::lowest ? values[begin + i] : -values[begin + i]; };
    std::size_t valid = 0;
    for (std::size_t i = begin; i < groups.end(g); ++i) valid += std::isnan(values[i]) ? 0u : 1u;
    for (std::size_t i = 0; i < groups.size(g); ++i) {
      if (std::isnan(values[begin + i])) {
        scores[begin + i] = values[begin + i];
        continue;
      }
      const auto n = static_cast<double>(valid);
      scores[begin + i] = static_cast<float>((n - mid_rank(groups.size(g), i, get)) / n);
    }
  }
}

}  // namespace maestro
