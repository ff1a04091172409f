#pragma once

/// @file
/// The maximum-likelihood advantage. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// MaxRl computes A = (R - mean) / mean over a group whose R are not negative and whose mean is above 0; other groups
/// get 0.
/// Source: written from the formula, under the name that it has among users (max_rl); which values count is ours.
struct MaxRl {
  static constexpr std::string_view name = "max_rl";
  struct Statistics {
    Moments moments;
    double least;
  };

  template <class G>
  MAESTRO_HD Statistics statistics(const G& group) const {
    return {group.moments(TotalOf{}), group.smallest(TotalOf{})};
  }
  template <class R>
  MAESTRO_HD double advantage(const Statistics& s, const R& row) const {
    return s.least >= 0.0 && s.moments.mean > 0.0 ? (row.total() - s.moments.mean) / s.moments.mean : 0.0;
  }
};

}  // namespace maestro
