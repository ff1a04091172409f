#pragma once

/// @file
/// Percentile bootstrap intervals of a mean or another statistic, and pass-at-k.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// Interval holds a statistic, usually a mean, and the bounds of its bootstrap interval.
struct Interval {
  double mean = 0.0;
  double low = 0.0;
  double high = 0.0;
};

/// BootstrapOptions holds the number of resamples and the level of an interval.
struct BootstrapOptions {
  std::size_t resamples = 2000;
  double level = 0.95;  ///< in (0, 1)
  std::uint64_t seed = 0;
};

/// Computes a statistic of `count` prompts and its percentile bootstrap interval. The interval comes from `resamples`
/// samples of `count` prompts each, drawn with replacement. It serves statistics that are not means, such as corpus
/// BLEU. It is deterministic and takes O(resamples * count). Source: Efron 1979.
/// @param statistic  maps the indices of the drawn prompts (std::span<const std::size_t>) to a number.
/// @throws BadArgument for no prompts, no resamples, or a level outside (0, 1).
template <class Statistic>
Interval bootstrap(std::size_t count, const Statistic& statistic, const BootstrapOptions& options = {}) {
  require(count > 0, "bootstrap: there are no values");
  require(options.resamples > 0, "bootstrap: resamples must be at least 1");
  require(options.level > 0.0 && options.level < 1.0, "bootstrap: level must lie in (0, 1)");
  std::vector<std::size_t> drawn(count);
  std::iota(drawn.begin(), drawn.end(), std::size_t{0});
  Interval interval{.mean = statistic(std::span<const std::size_t>(drawn))};
  std::vector<double> values(options.resamples);
  for (std::size_t r = 0; r < options.resamples; ++r) {
    const RandomStream stream(
        {.seed = options.seed, .purpose = Purpose::bootstrap, .row = static_cast<std::uint32_t>(r)});
    for (std::size_t i = 0; i < count; ++i) drawn[i] = stream.below(count, static_cast<std::uint32_t>(i));
    values[r] = statistic(std::span<const std::size_t>(drawn));
  }
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(options.resamples - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, options.resamples - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  const double tail = 0.5 * (1.0 - options.level);
  interval.low = at(tail);
  interval.high = at(1.0 - tail);
  return interval;
}

/// Computes the mean of `values` and its percentile bootstrap interval: the interval of the means of `resamples`
/// samples, drawn with replacement. There should be one value per prompt, the mean over its responses, since responses
/// to one prompt are not independent. It is deterministic and takes O(resamples * n) for n values. Source: Efron 1979.
/// @throws BadArgument for no values, no resamples, or a level outside (0, 1).
inline Interval bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {}) {
  const auto mean = [&](std::span<const std::size_t> drawn) {
    double sum = 0.0;
    for (const std::size_t i : drawn) sum += values[i];
    return sum / static_cast<double>(drawn.size());
  };
  Interval interval = bootstrap(values.size(), mean, options);
  interval.mean = moments_of(values.data(), values.size()).mean;
  return interval;
}

/// Gives pass-at-k: the unbiased estimate of the probability that at least one of k responses is right. It is 1 - C(n -
/// c, k) / C(n, k) for n drawn responses of which c are right. Source: Chen et al. 2021, equation 1.
/// @throws BadArgument unless 1 <= k <= n and c <= n.
inline double pass_at_k(std::size_t n, std::size_t c, std::size_t k) {
  require(k >= 1 && k <= n && c <= n, "pass_at_k: k must lie in [1, n], and c be at most n");
  if (n - c < k) return 1.0;
  double none = 1.0;
  for (std::size_t i = n - c + 1; i <= n; ++i) none *= 1.0 - static_cast<double>(k) / static_cast<double>(i);
  return 1.0 - none;
}

}  // namespace maestro
