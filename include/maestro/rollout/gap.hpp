#pragma once

/// @file
/// The difference between the log-probs of the policy that draws and those of the policy that is trained.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>

#include "maestro/core/error.hpp"

namespace maestro {

/// LogProbGap sums |log-prob of the server - log-prob of the local policy| over drawn tokens, in nats.
struct LogProbGap {
  double sum = 0.0;
  double max = 0.0;
  std::size_t tokens = 0;

  double mean() const { return tokens > 0 ? sum / static_cast<double>(tokens) : 0.0; }
  /// Adds tokens. It takes O(T) and is deterministic.
  /// @param served  (T) log-probs of the server.
  /// @param local   (T) log-probs of the local policy for the same tokens.
  /// @throws BadArgument if sizes differ.
  void add(std::span<const float> served, std::span<const float> local) {
    require(served.size() == local.size(), "log-prob gap: both sides must have a value for each token");
    for (std::size_t t = 0; t < served.size(); ++t) {
      const double gap = std::abs(static_cast<double>(served[t]) - static_cast<double>(local[t]));
      sum += gap;
      max = std::max(max, gap);
    }
    tokens += served.size();
  }
};

/// GapBounds limits the difference between server and local policy, in nats per token, if both have the same weights.
/// Different kernels and bfloat16 give a mean of about 0.01; outdated weights give more.
struct GapBounds {
  double mean = 0.05;  ///< no bound if 0
  double max = 0.0;    ///< no bound if 0; single tokens of small probability may differ much
};

/// Refuses a gap above a bound.
/// @throws BadData with gap, bound and remedy; BadArgument for a bound below 0.
inline void check(const LogProbGap& gap, const GapBounds& bounds) {
  require(bounds.mean >= 0.0 && bounds.max >= 0.0, "log-prob gap: bounds must be at least 0; 0 is none");
  const auto refuse = [](const char* what, double found, double bound) {
    throw BadData(std::string("rollout server: the ") + what +
                  " gap between its log-probs and those of the policy that learns is " + std::to_string(found) +
                  " nats, above the bound of " + std::to_string(bound) +
                  "; it may not have the weights or the settings (log-probs after temperature) that it should, or "
                  "compute in a type that needs a wider bound");
  };
  if (bounds.mean > 0.0 && !(gap.mean() <= bounds.mean)) refuse("mean", gap.mean(), bounds.mean);
  if (bounds.max > 0.0 && !(gap.max <= bounds.max)) refuse("largest", gap.max, bounds.max);
}

}  // namespace maestro
