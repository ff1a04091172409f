#pragma once

/// @file
/// An advantage for the best response alone. Neutral.

#include <cmath>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// PassAtK computes A = R_max - R_second for the best response of the group and 0 for the others. All are 0 if two
/// responses share the best R, or if the group has one response.
/// Source: written from the formula of pass-at-k training (leave-one-out of the maximum).
struct PassAtK {
  static constexpr std::string_view name = "pass_at_k";
  struct Statistics {
    double best;
    double margin;
  };

  template <class G>
  MAESTRO_HD Statistics statistics(const G& group) const {
    const double best = group.largest(TotalOf{});
    const double number = group.sum([best](const auto& row) { return row.total() == best ? 1.0 : 0.0; });
    if (number > 1.0 || group.count() < 2.0) return {best, 0.0};
    const double second =
        group.largest([best](const auto& row) { return row.total() < best ? row.total() : -INFINITY; });
    return {best, best - second};
  }
  template <class R>
  MAESTRO_HD double advantage(const Statistics& s, const R& row) const {
    return row.total() == s.best ? s.margin : 0.0;
  }
};

}  // namespace maestro
