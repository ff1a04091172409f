#pragma once

/// @file
/// DARA: rewards that seldom vary count more. Neutral.

#include <cmath>
#include <cstddef>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/estimators/factored_scores.hpp"
#include "maestro/scalarization/estimators/mo_grpo.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

/// Dara computes A = sum_k min(max_factor, sqrt(pi_ref / pi_k)) w_k z_k - penalty, with z_k as in MoGrpo, pi_k the
/// share of the batch's groups in which reward k varies, and pi_ref the largest pi_k. A reward that varies nowhere adds
/// 0.
/// Source: DARA (arXiv 2610.00574).
struct Dara {
  static constexpr std::string_view name = "dara";
  static constexpr bool ignores_weights = true;
  static constexpr bool reads_total = false;
  double max_factor = 4.0;  ///< at least 1
  MoGrpo scores{};

  /// Batch counts, for each reward, the groups in which it varies.
  struct Batch {
    double varying[max_rewards] = {};
  };
  void check() const {
    scores.check();
    require(std::isfinite(max_factor) && max_factor >= 1.0, "dara: max_factor must be finite and at least 1");
  }
  template <class G>
  MAESTRO_HD Batch collect(int, const G& group, const Batch&) const {
    Batch part;
    const auto moments = group.column_moments();
    for (std::size_t k = 0; k < group.num_rewards(); ++k) part.varying[k] = moments.squares[k] > 0.0 ? 1.0 : 0.0;
    return part;
  }
  MAESTRO_HD static Batch merge(const Batch& a, const Batch& b) {
    Batch both;
    for (std::size_t k = 0; k < max_rewards; ++k) both.varying[k] = a.varying[k] + b.varying[k];
    return both;
  }
  template <class G>
  MAESTRO_HD detail::FactoredScores<G::capacity> statistics(const G& group, const Batch& batch) const {
    double most = 0.0;
    for (std::size_t k = 0; k < group.num_rewards(); ++k) most = batch.varying[k] > most ? batch.varying[k] : most;
    detail::FactoredScores<G::capacity> s{scores.statistics(group), {}};  // the factors of what is no reward are 0
    for (std::size_t k = 0; k < group.num_rewards(); ++k) {
      const double factor = batch.varying[k] > 0.0 ? std::sqrt(most / batch.varying[k]) : 0.0;
      s.factor[k] = factor < max_factor ? factor : max_factor;
    }
    return s;
  }
  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage(const detail::FactoredScores<Capacity>& s, const R& row) const {
    return s.advantage(row);
  }
};

}  // namespace maestro
