#pragma once

/// @file
/// The own-weight baseline: each response is judged against its whole group under its own weights. Neutral.

#include <cmath>
#include <cstddef>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

/// OwnWeight computes A_i = w_i'(r_i - mean r) / sqrt(w_i' C w_i + epsilon), with mean vector and covariance C over the
/// group. A missing reward counts as the group's mean of that reward (deviation 0, so C stays positive semidefinite).
/// The penalty is one more reward of weight -1. Equal rewards give exactly 0 under any weights. C does not depend on
/// the weights, so that all K counterfactuals of a response cost O(K^2) together. O(n K^2) a group.
/// Source: ours; the paper (arXiv 2601.07208) compares scalar rewards that were made with different weights.
struct OwnWeight {
  static constexpr std::string_view name = "own_weight_not_centered";
  static constexpr bool ignores_weights = true;
  static constexpr bool reads_total = false;
  double epsilon = 1e-8;  ///< added to the variance, under the root; at least 0
  int ddof = 1;           ///< of the covariance, 0 or 1

  /// Statistics holds means and covariances of the columns (rewards, and the penalty).
  template <std::size_t Capacity>
  struct Statistics {
    PerColumn<Capacity> mean;
    double covariance[Capacity * Capacity];  // (width x width)

    /// Gives the deviation of a row's reward from the group's mean; 0 if the reward is missing.
    template <class R>
    MAESTRO_HD double deviation(const R& row, std::size_t c) const {
      return present_or_zero(row.value(c) - mean[c]);
    }
  };
  /// Projection holds the group's figures along the weights w of one row.
  template <std::size_t Capacity>
  struct Projection {
    double along;                // w.d
    double variance;             // w' C w
    PerColumn<Capacity> spread;  // C w
  };

  void check() const {
    detail::check_epsilon("own_weight", epsilon);
    detail::check_ddof("own_weight", ddof);
  }

  template <class G>
  MAESTRO_HD Statistics<G::capacity> statistics(const G& group) const {
    Statistics<G::capacity> s;
    const std::size_t width = group.width();
    s.mean = group.column_means();
    group.add_up(width * width, s.covariance, [&s, width](const auto& row, double* sums) {
      PerColumn<G::capacity> d;
      for (std::size_t c = 0; c < width; ++c) d[c] = s.deviation(row, c);
      for (std::size_t k = 0; k < width; ++k, sums += width) {
        for (std::size_t l = 0; l < width; ++l) sums[l] = multiply_add(d[k], d[l], sums[l]);
      }
    });
    const double degrees = group.count() - ddof;
    for (std::size_t q = 0; q < width * width; ++q) {
      s.covariance[q] = (degrees > 0.0 ? s.covariance[q] : 0.0) / (degrees > 0.0 ? degrees : 1.0);
    }
    return s;
  }

  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage(const Statistics<Capacity>& s, const R& row) const {
    const Projection<Capacity> own = project(s, row);
    return ratio(own.along, own.variance);
  }

  template <std::size_t Capacity, class R>
  MAESTRO_HD Projection<Capacity> probe(const Statistics<Capacity>& s, const R&, const R& base) const {
    return project(s, base);
  }
  /// Gives the advantage if the weight of `action` is larger by the emphasis e: w.d grows by e d_a, and w' C w by
  /// 2 e (C w)_a + e^2 C_aa.
  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage_if(const Statistics<Capacity>& s, const Projection<Capacity>& base, const R& row,
                                 std::size_t action, double emphasis) const {
    const double along = multiply_add(emphasis, s.deviation(row, action), base.along);
    const double variance = multiply_add(emphasis * emphasis, s.covariance[action * (row.width() + 1)],
                                         multiply_add(2.0 * emphasis, base.spread[action], base.variance));
    return ratio(along, variance);
  }

 private:
  template <std::size_t Capacity, class R>
  MAESTRO_HD static Projection<Capacity> project(const Statistics<Capacity>& s, const R& row) {
    const std::size_t width = row.width();
    PerColumn<Capacity> weight;
    PerColumn<Capacity> spread{};
    PerColumn<Capacity> deviation;
    for (std::size_t c = 0; c < width; ++c) {
      weight[c] = row.weight(c);
      deviation[c] = s.deviation(row, c);
    }
    for (std::size_t l = 0; l < width; ++l) {
      const double* of_l = s.covariance + l * width;
      for (std::size_t k = 0; k < width; ++k) spread[k] = multiply_add(of_l[k], weight[l], spread[k]);
    }
    Projection<Capacity> p{0.0, 0.0, spread};
    for (std::size_t k = 0; k < width; ++k) {
      p.along = multiply_add(weight[k], deviation[k], p.along);
      p.variance = multiply_add(weight[k], spread[k], p.variance);
    }
    return p;
  }
  /// Gives w.d / sqrt(w' C w + epsilon). It is 0 if w' C w is 0, since then w.d is 0 too, but for rounding.
  MAESTRO_HD double ratio(double along, double variance) const {
    return variance > 0.0 ? along / std::sqrt(variance + epsilon) : 0.0;
  }
};

}  // namespace maestro
