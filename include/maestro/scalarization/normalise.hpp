#pragma once

/// @file
/// Reward normalisers: what happens to each reward inside its group before the rewards are weighed. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/formulas.hpp"

namespace maestro {

enum class Normalisation {
  none,     ///< rewards as they are
  z_score,  ///< (r - mean) / (deviation + epsilon) over the group
  rank,     ///< mid-rank / (n - 1) in [0, 1] over the group, 1 the best
};

inline constexpr std::array<std::string_view, 3> normalisation_names{"none", "z_score", "rank"};

/// @throws BadArgument listing the known names.
inline Normalisation normalisation_from_name(std::string_view name) {
  return static_cast<Normalisation>(index_of_name("normaliser", name, normalisation_names));
}

/// How rewards are normalised before they are weighed.
struct Normaliser {
  Normalisation kind = Normalisation::none;
  int ddof = 1;           ///< z_score: 0 or 1
  double epsilon = 1e-4;  ///< z_score: added to the deviation, at least 0
};

/// @throws BadArgument unless ddof is 0 or 1 and epsilon finite and not negative.
inline void check(const Normaliser& normaliser) {
  require(normaliser.ddof == 0 || normaliser.ddof == 1, "normaliser: ddof must be 0 or 1");
  require(std::isfinite(normaliser.epsilon) && normaliser.epsilon >= 0.0,
          "normaliser: epsilon must be finite and not negative");
}

/// Normalises every reward inside its group.
/// @param rewards  (B x K) any finite scale; NaN (missing) stays NaN and is left out of the group's figures.
/// @param groups   partition of the B rows.
/// @param out      (B x K) overwritten; may alias rewards only with normalisation none.
/// A constant reward gives exactly 0 as z-score and 0.5 as rank. Two passes, deterministic; O(B K), ranks O(B G K).
/// @throws BadData naming the row and the reward index when a reward is infinite.
template <class T>
void normalise(const Normaliser& normaliser, MatrixView<T> rewards, const Groups& groups, MatrixView<double> out) {
  check(normaliser);
  require(rewards.rows() == groups.rows(), "normalise: rewards must have one row per row of the groups");
  require(out.rows() == rewards.rows() && out.cols() == rewards.cols(), "normalise: out must have the rewards' shape");
  parallel_for(groups.count(), [&](std::size_t g) {
    const std::size_t begin = groups.begin(g);
    const std::size_t size = groups.size(g);
    for (std::size_t i = begin; i < begin + size; ++i) {
      for (std::size_t k = 0; k < rewards.cols(); ++k) {
        if (!std::isinf(rewards(i, k))) continue;
        throw BadData("scalarization: row " + std::to_string(i) + ", reward " + std::to_string(k) +
                      " is infinite; return nullopt (NaN) for a reward that does not apply");
      }
    }
    for (std::size_t k = 0; k < rewards.cols(); ++k) {
      const auto value = [&](std::size_t i) { return static_cast<double>(rewards(begin + i, k)); };
      if (normaliser.kind == Normalisation::none) {
        for (std::size_t i = 0; i < size; ++i) out(begin + i, k) = value(i);
        continue;
      }
      const Moments moments = moments_of(size, value);
      const double deviation = moments.deviation(normaliser.ddof);
      for (std::size_t i = 0; i < size; ++i) {
        if (std::isnan(value(i))) {
          out(begin + i, k) = std::numeric_limits<double>::quiet_NaN();
        } else if (normaliser.kind == Normalisation::z_score) {
          out(begin + i, k) = standardise(value(i), moments, deviation, normaliser.epsilon);
        } else {
          out(begin + i, k) = unit_rank(size, i, value);
        }
      }
    }
  });
}

}  // namespace maestro
