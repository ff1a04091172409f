#pragma once

/// @file
/// Reward normalizers: what happens to each reward inside its group before the rewards are weighted. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

/// NormalizerKind says how a reward is normalized in its group before it is weighted.
enum class NormalizerKind : std::uint8_t {
  none,     ///< rewards as they are
  z_score,  ///< (r - mean) / (deviation + epsilon) over the group
  rank,     ///< mid-rank / (n - 1) in [0, 1] over the group, 1 the best
};

/// The names of the normalizers, in the enum's order.
inline constexpr std::array<std::string_view, 3> normalizer_names{"none", "z_score", "rank"};

/// Finds the normalizer called `name`.
/// @throws BadArgument listing the known names.
inline NormalizerKind normalizer_from_name(std::string_view name) {
  return static_cast<NormalizerKind>(index_of_name("normalizer", name, normalizer_names));
}

/// Normalizer says how rewards are normalized before they are weighted.
struct Normalizer {
  NormalizerKind kind = NormalizerKind::none;
  int ddof = 1;           ///< z_score: 0 or 1
  double epsilon = 1e-4;  ///< z_score: added to the deviation, at least 0
};

/// Refuses options outside their domains.
/// @throws BadArgument unless ddof is 0 or 1 and epsilon finite and not negative.
inline void check(const Normalizer& normalizer) {
  require(normalizer.ddof == 0 || normalizer.ddof == 1, "normalizer: ddof must be 0 or 1");
  require(std::isfinite(normalizer.epsilon) && normalizer.epsilon >= 0.0,
          "normalizer: epsilon must be finite and not negative");
}

/// Gives the rank of get(which) in [0, 1] among get(0) .. get(count - 1): see unit_rank(). NaN is skipped. O(count).
template <class Get>
MAESTRO_HD double rank_in_group(std::size_t count, std::size_t which, const Get& get) {
  double valid = 0.0;
  for (std::size_t j = 0; j < count; ++j) valid += get(j) == get(j) ? 1.0 : 0.0;
  return unit_rank(mid_rank(count, which, get), valid);
}

namespace detail {

/// Strided gives entry i, or (i, c), of values that lie `stride` apart. It is not a lambda, since a kernel's compiler
/// takes those for the host's.
struct Strided {
  const double* values;
  std::size_t stride;
  MAESTRO_HD double operator()(std::size_t i) const { return values[i * stride]; }
  MAESTRO_HD double operator()(std::size_t i, std::size_t c) const { return values[i * stride + c]; }
};

}  // namespace detail

/// Normalizes the rewards of one group in place; the penalty stays.
/// @param values  (n x width) those of `rows`; NaN (missing) stays NaN and is left out of the group's figures
/// A constant reward gives exactly 0 as z-score and 0.5 as rank. O(n K), ranks O(n^2 K).
template <std::size_t W>
void normalize_group(const Normalizer& normalizer, const PaddedRows<W>& rows, std::span<double> values) {
  const std::size_t width = rows.width();
  if (normalizer.kind == NormalizerKind::z_score) {
    constexpr std::size_t capacity = PaddedRows<W>::capacity;
    const detail::Strided entries{values.data(), width};
    const auto moments = column_moments_of<true, capacity>(rows.size, width, rows.has_gaps(), entries);
    PerColumn<capacity> divisor;
    for (std::size_t c = 0; c < width; ++c) divisor[c] = moments.std_dev(c, normalizer.ddof) + normalizer.epsilon;
    for (std::size_t i = 0; i < rows.size; ++i) {
      for (std::size_t k = 0; k < rows.num_rewards(); ++k) {
        double& value = values[i * width + k];
        value = (divisor[k] > 0.0 ? value - moments.mean[k] : value * 0.0) / (divisor[k] > 0.0 ? divisor[k] : 1.0);
      }
    }
    return;
  }
  std::vector<double> column(rows.size);
  for (std::size_t k = 0; k < rows.num_rewards(); ++k) {
    for (std::size_t i = 0; i < rows.size; ++i) column[i] = rows.value(i, k);
    const detail::Strided reward{column.data(), 1};
    for (std::size_t i = 0; i < rows.size; ++i) {
      if (column[i] == column[i]) values[i * width + k] = rank_in_group(rows.size, i, reward);
    }
  }
}

}  // namespace maestro
