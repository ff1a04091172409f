#pragma once

/// @file
/// Percentile bootstrap intervals of a mean.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// An Interval is a mean with the bounds of its bootstrap interval.
struct Interval {
  double mean = 0.0;
  double low = 0.0;
  double high = 0.0;
};

/// BootstrapOptions say how many samples an interval comes from, and its level.
struct BootstrapOptions {
  std::size_t resamples = 2000;
  double level = 0.95;  ///< in (0, 1)
  std::uint64_t seed = 0;
};

/// Computes the mean of `values` with its percentile bootstrap interval: `resamples` means of samples drawn with
/// replacement. The values should be one per prompt (the mean over its responses), since responses to one prompt are
/// not independent. O(resamples * n), deterministic. Source: Efron 1979.
/// @throws BadArgument for no values, no resamples or a level outside (0, 1).
inline Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {}) {
  require(!values.empty(), "bootstrap: there are no values");
  require(options.resamples > 0, "bootstrap: resamples must be at least 1");
  require(options.level > 0.0 && options.level < 1.0, "bootstrap: level must lie in (0, 1)");
  std::vector<double> means(options.resamples);
  for (std::size_t r = 0; r < options.resamples; ++r) {
    const RandomStream stream(
        {.seed = options.seed, .purpose = Purpose::bootstrap, .row = static_cast<std::uint32_t>(r)});
    double sum = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      sum += values[stream.below(values.size(), static_cast<std::uint32_t>(i))];
    }
    means[r] = sum / static_cast<double>(values.size());
  }
  std::sort(means.begin(), means.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(options.resamples - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, options.resamples - 1);
    return means[below] + (place - static_cast<double>(below)) * (means[above] - means[below]);
  };
  const double tail = 0.5 * (1.0 - options.level);
  return {.mean = moments_of(values.data(), values.size()).mean, .low = at(tail), .high = at(1.0 - tail)};
}

}  // namespace maestro
