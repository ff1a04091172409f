#pragma once

/// @file
/// The pauses before retries.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"

namespace maestro {

/// RetryOptions holds how often a failed call is repeated, and after which pauses.
struct RetryOptions {
  std::uint32_t retries = 4;        ///< further calls after the first one
  double delay_seconds = 0.5;       ///< the longest pause before the first retry; doubled before each further one
  double max_delay_seconds = 30.0;  ///< the longest pause, unless a server's Retry-After asks for more
};

/// Refuses pauses outside their domains.
/// @throws BadArgument for pauses that are negative or not finite.
inline void check(const RetryOptions& options) {
  require(options.delay_seconds >= 0.0 && std::isfinite(options.delay_seconds) && options.max_delay_seconds >= 0.0 &&
              std::isfinite(options.max_delay_seconds),
          "retries: the pauses before them must be finite and at least 0");
}

/// Gives the pause in seconds before retry number `retry`, counted from 0. It grows exponentially and is drawn from the
/// upper half of its range, so that callers that failed together do not retry together. The same `key` and `retry` give
/// the same pause.
inline double retry_delay(const RetryOptions& options, std::uint32_t retry, std::uint64_t key) {
  const double longest = options.delay_seconds * std::pow(2.0, std::min(retry, 60u));
  const RandomStream stream({.seed = key, .purpose = Purpose::user});
  return std::min(longest, options.max_delay_seconds) * (0.5 + 0.5 * stream.uniform(retry));
}

}  // namespace maestro
