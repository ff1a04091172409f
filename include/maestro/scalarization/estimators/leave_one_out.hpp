#pragma once

/// @file
/// Standardized by the others of the group. Neutral.

#include <cmath>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// LeaveOneOut computes A = (R_i - mean_-i) / (std_dev_-i + epsilon), with mean and standard deviation (ddof 1) over
/// the other n - 1 rows of the group. It does not divide if their standard deviation is 0 (the others are equal, or
/// there is one). A lone row gets 0.
/// Source: NeMo-RL's leave-one-out baseline; written from the formula.
struct LeaveOneOut {
  static constexpr std::string_view name = "leave_one_out";
  double epsilon = 1e-6;  ///< added to the deviation, at least 0

  void check() const { detail::check_epsilon(name, epsilon); }
  template <class G>
  MAESTRO_HD Moments statistics(const G& group) const {
    return group.moments(TotalOf{});
  }
  template <class R>
  MAESTRO_HD double advantage(const Moments& m, const R& row) const {
    if (m.count < 2) return 0.0;
    const auto count = static_cast<double>(m.count);
    const double gap = (row.total() - m.mean) * count / (count - 1.0);
    const double own = gap * (row.total() - m.mean);  // the row's part of the sum of squares
    // What is left beside rounding is 0: the others are equal.
    const double squares = m.squares - own > 1e-12 * m.squares ? m.squares - own : 0.0;
    const double std_dev = m.count > 2 ? std::sqrt(squares / (count - 2.0)) : 0.0;
    return std_dev > 0.0 ? gap / (std_dev + epsilon) : gap;
  }
  template <class G, class R>
  MAESTRO_HD Moments replace(const G& group, const Moments& m, const R& before, const R& after) const {
    return replace_in_group(m, before.total(), after.total(), group, TotalOf{});
  }
};

}  // namespace maestro
