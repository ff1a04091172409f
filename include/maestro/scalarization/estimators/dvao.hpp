#pragma once

/// @file
/// DVAO: divided by the weighted deviations of the rewards. Neutral.

#include <cstddef>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// Dvao computes A = (R - mean) / (sum_k w_k std_dev_k + epsilon) over the group, ddof 1, with the row's own weights w.
/// Sums of conflicting rewards are not scaled up to unit variance, as GRPO does. A is 0 if the denominator is not above
/// 0.
/// Source: DVAO (arXiv 2605.25604).
struct Dvao {
  static constexpr std::string_view name = "dvao";
  double epsilon = 1e-4;  ///< added to the weighted deviations, at least 0

  template <std::size_t Capacity>
  struct Statistics {
    Moments total;
    PerColumn<Capacity> std_dev;
  };

  void check() const { detail::check_epsilon(name, epsilon); }
  template <class G>
  MAESTRO_HD Statistics<G::capacity> statistics(const G& group) const {
    Statistics<G::capacity> s;
    s.total = group.moments(TotalOf{});
    const auto moments = group.column_moments();
    for (std::size_t c = 0; c < group.width(); ++c)
      s.std_dev[c] = c < group.num_rewards() ? moments.std_dev(c, 1) : 0.0;
    return s;
  }
  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage(const Statistics<Capacity>& s, const R& row) const {
    double spread = 0.0;
    for (std::size_t c = 0; c < row.width(); ++c) spread = multiply_add(row.weight(c), s.std_dev[c], spread);
    return standardized(s.total.mean, spread, epsilon)(row.total());
  }
  template <class G, std::size_t Capacity, class R>
  MAESTRO_HD Statistics<Capacity> replace(const G& group, const Statistics<Capacity>& s, const R& before,
                                          const R& after) const {
    return {replace_in_group(s.total, before.total(), after.total(), group, TotalOf{}), s.std_dev};
  }
};

}  // namespace maestro
