#pragma once

/// @file
/// The use of an anchor's signal in a step: the comparison with the weighted rewards, and the change of advantages.

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "maestro/core/statistics.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// Gives Spearman's rank correlation of a and b over the indices at which both have a value: the correlation of their
/// mid-ranks. It is NaN if fewer than two remain, or if one of the two is constant there. It takes O(n^2).
inline double rank_correlation(std::span<const float> a, std::span<const float> b) {
  std::vector<float> first;
  std::vector<float> second;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) continue;
    first.push_back(a[i]);
    second.push_back(b[i]);
  }
  const std::size_t n = first.size();
  const double middle = 0.5 * (static_cast<double>(n) - 1.0);
  double both = 0.0;
  double of_first = 0.0;
  double of_second = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double x = mid_rank(n, i, [&](std::size_t j) { return first[j]; }) - middle;
    const double y = mid_rank(n, i, [&](std::size_t j) { return second[j]; }) - middle;
    both += x * y;
    of_first += x * x;
    of_second += y * y;
  }
  const double size = std::sqrt(of_first * of_second);
  return size > 0.0 ? both / size : std::numeric_limits<double>::quiet_NaN();
}

/// Gives the mean, over the judged groups, of the rank correlation between the advantages of the weighted rewards and
/// the anchor's scores. Groups in which either is constant are left out. It is NaN if no group remains.
/// @param mixture  (B) advantages of the weighted rewards, before the step learns anything.
inline double anchor_rank_correlation(const AnchorSignal& signal, const Groups& groups,
                                      std::span<const float> mixture) {
  double sum = 0.0;
  double counted = 0.0;
  for (const std::size_t g : signal.groups) {
    const std::span<const float> scores =
        std::span<const float>(signal.judged).subspan(groups.begin(g), groups.size(g));
    const double own = rank_correlation(mixture.subspan(groups.begin(g), groups.size(g)), scores);
    if (std::isnan(own)) continue;
    sum += own;
    counted += 1.0;
  }
  return counted > 0.0 ? sum / counted : std::numeric_limits<double>::quiet_NaN();
}

/// Moves the advantages of judged responses toward those of the judge:
///
///     A <- A + blend (A_judge - A),   A_judge = (score - mean) / (std + 1e-4),
///
/// with mean and standard deviation (ddof 1) over the scored responses of the group, as TRL's group advantage. Groups
/// with fewer than two scores do not change. It is deterministic and takes O(B).
/// @param advantages  (B) changed in place.
inline void blend_advantages(const AnchorSignal& signal, const Groups& groups, std::span<float> advantages) {
  for (const std::size_t g : signal.groups) {
    const std::size_t first = groups.begin(g);
    const Moments scores = moments_of(signal.judged.data() + first, groups.size(g));
    if (scores.count < 2) continue;
    for (std::size_t i = first; i < groups.end(g); ++i) {
      if (std::isnan(signal.judged[i])) continue;
      const auto own = static_cast<double>(advantages[i]);
      const double judged = (static_cast<double>(signal.judged[i]) - scores.mean) / (scores.std_dev(1) + 1e-4);
      advantages[i] = static_cast<float>(own + signal.blend * (judged - own));
    }
  }
}

}  // namespace maestro
