#pragma once

/// @file
/// GD2PO: responses whose rewards contradict each other are dropped. Neutral.

#include <cmath>
#include <cstddef>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/scalarization/estimators/mo_grpo.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// Gd2po computes A = (sum_k w_k z_k - penalty) times the share of the group's rows that are kept, with z_k as in
/// MoGrpo; A is 0 for a dropped row. A row is dropped if its w_k z_k disagree in sign and |sum_k w_k z_k| / (sum_k |w_k
/// z_k| + 1e-8) < threshold.
/// Source: GD2PO (arXiv 2606.16771), all weights 1 there.
struct Gd2po {
  static constexpr std::string_view name = "gd2po";
  static constexpr bool reads_total = false;
  double threshold = 0.2;  ///< in [0, 1]
  MoGrpo scores{};

  template <std::size_t Capacity>
  struct Statistics {
    MoGrpo::Statistics<Capacity> scores;
    double count;
    double kept;
  };

  void check() const {
    scores.check();
    require(threshold >= 0.0 && threshold <= 1.0, "gd2po: threshold must be in [0, 1]");
  }
  template <class G>
  MAESTRO_HD Statistics<G::capacity> statistics(const G& group) const {
    Statistics<G::capacity> s{scores.statistics(group), group.count(), 0.0};
    s.kept = group.sum([&](const auto& row) { return keeps(s.scores, row) ? 1.0 : 0.0; });
    return s;
  }
  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage(const Statistics<Capacity>& s, const R& row) const {
    return keeps(s.scores, row) ? scores.advantage(s.scores, row) * (s.kept / s.count) : 0.0;
  }
  template <class G, std::size_t Capacity, class R>
  MAESTRO_HD Statistics<Capacity> replace(const G&, const Statistics<Capacity>& s, const R& before,
                                          const R& after) const {
    const double change = (keeps(s.scores, after) ? 1.0 : 0.0) - (keeps(s.scores, before) ? 1.0 : 0.0);
    return {s.scores, s.count, s.kept + change};
  }

 private:
  template <std::size_t Capacity, class R>
  MAESTRO_HD bool keeps(const MoGrpo::Statistics<Capacity>& s, const R& row) const {
    double sum = 0.0;
    double size = 0.0;
    for (std::size_t c = 0; c < row.width(); ++c) {
      const double term = row.weight(c) * MoGrpo::z(s, row, c);
      sum += term;
      size += std::abs(term);
    }
    // Terms of one sign give |sum| = size, above any threshold but for what 1e-8 takes away.
    return size == std::abs(sum) || std::abs(sum) >= threshold * (size + 1e-8);
  }
};

}  // namespace maestro
