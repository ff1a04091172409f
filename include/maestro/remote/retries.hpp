#pragma once

/// @file
/// How long to wait before what failed is tried again.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"

namespace maestro {

/// These settings say how often a failed call is made again, and after which pauses.
struct RetryOptions {
  std::uint32_t retries = 4;        ///< further calls after the first one failed
  double delay_seconds = 0.5;       ///< before the first retry, at most; doubled before each further one
  double max_delay_seconds = 30.0;  ///< the longest pause, and the longest that a server's Retry-After is followed
};

/// @throws BadArgument for pauses that are negative or not finite.
inline void check(const RetryOptions& options) {
  require(options.delay_seconds >= 0.0 && std::isfinite(options.delay_seconds) && options.max_delay_seconds >= 0.0 &&
              std::isfinite(options.max_delay_seconds),
          "retries: the pauses before them must be finite and at least 0");
}

/// Gives the pause before retry number `retry`, from 0, in seconds: exponential, drawn from its upper half so that
/// callers who failed together do not return together. The same `key` and `retry` give the same pause.
inline double retry_delay(const RetryOptions& options, std::uint32_t retry, std::uint64_t key) {
  const double longest = options.delay_seconds * std::pow(2.0, std::min(retry, 60u));
  const RandomStream stream({.seed = key, .purpose = Purpose::user});
  return std::min(longest, options.max_delay_seconds) * (0.5 + 0.5 * stream.uniform(retry));
}

}  // namespace maestro
