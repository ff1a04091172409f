#pragma once

/// @file
/// The optimal baseline of on-policy RL. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// Opo computes A = R - sum_j T_j R_j / sum_j T_j, T the tokens of a response: the baseline of least variance if the
/// squared gradient of a response grows with its length. The input must have `lengths`. A group of equal R gives
/// exactly 0. Source: Hao et al. 2025 (OPO, arXiv 2505.23585).
struct Opo {
  static constexpr std::string_view name = "opo";
  static constexpr bool reads_lengths = true;

  /// Gives the baseline.
  template <class G>
  MAESTRO_HD double statistics(const G& group) const {
    const double mean = group.mean(TotalOf{});  // equal R: the gaps below are exactly 0
    const double tokens = group.sum([](const auto& row) { return row.length(); });
    const double gaps = group.sum([mean](const auto& row) { return row.length() * (row.total() - mean); });
    return tokens > 0.0 ? mean + gaps / tokens : mean;
  }
  template <class R>
  MAESTRO_HD double advantage(double baseline, const R& row) const {
    return row.total() - baseline;
  }
};

}  // namespace maestro
