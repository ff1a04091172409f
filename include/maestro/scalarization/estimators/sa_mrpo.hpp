#pragma once

/// @file
/// SA-MRPO: rewards that are already high count less. Neutral.

#include <cmath>
#include <cstddef>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/estimators/batch_standardized.hpp"
#include "maestro/scalarization/estimators/factored_scores.hpp"
#include "maestro/scalarization/estimators/mo_grpo.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

/// SaturationWeighted computes A = sum_k w_k (1 - s_k)^gamma z_k - penalty, z_k as in MoGrpo, s_k = (batch mean of r_k
/// - low) / (high - low) clamped to [0, 1]: how saturated reward k is. `SaMrpo` standardizes it over the batch. Source:
/// SA-MRPO (arXiv 2608.16072). The rewards' bounds are declared, since the formula needs them.
struct SaturationWeighted {
  static constexpr std::string_view name = "saturation_weighted";
  static constexpr bool ignores_weights = true;
  static constexpr bool reads_total = false;
  double gamma = 0.5;  ///< at least 0
  double low = 0.0;    ///< the least value that a reward can have
  double high = 1.0;   ///< the largest, above `low`
  MoGrpo scores{};

  /// Batch holds sums and numbers of every reward over the batch.
  struct Batch {
    double sum[max_rewards] = {};
    double count[max_rewards] = {};
  };
  void check() const {
    scores.check();
    require(std::isfinite(gamma) && gamma >= 0.0, "sa_mrpo: gamma must be finite and not negative");
    require(std::isfinite(low) && std::isfinite(high) && low < high, "sa_mrpo: low must be below high, both finite");
  }
  template <class G>
  MAESTRO_HD Batch collect(int, const G& group, const Batch&) const {
    Batch part;
    const auto moments = group.column_moments();
    for (std::size_t k = 0; k < group.num_rewards(); ++k) {
      part.sum[k] = moments.count[k] * moments.mean[k];
      part.count[k] = moments.count[k];
    }
    return part;
  }
  MAESTRO_HD static Batch merge(const Batch& a, const Batch& b) {
    Batch both;
    for (std::size_t k = 0; k < max_rewards; ++k) {
      both.sum[k] = a.sum[k] + b.sum[k];
      both.count[k] = a.count[k] + b.count[k];
    }
    return both;
  }
  template <class G>
  MAESTRO_HD detail::FactoredScores<G::capacity> statistics(const G& group, const Batch& batch) const {
    detail::FactoredScores<G::capacity> s{scores.statistics(group), {}};  // the factors of what is no reward are 0
    for (std::size_t k = 0; k < group.num_rewards(); ++k) {
      const double mean = batch.count[k] > 0.0 ? batch.sum[k] / batch.count[k] : low;
      const double room = 1.0 - (mean - low) / (high - low);
      s.factor[k] = std::pow(room < 0.0 ? 0.0 : room > 1.0 ? 1.0 : room, gamma);
    }
    return s;
  }
  template <std::size_t Capacity, class R>
  MAESTRO_HD double advantage(const detail::FactoredScores<Capacity>& s, const R& row) const {
    return s.advantage(row);
  }
};

/// SaMrpo is SaturationWeighted, standardized over the batch.
struct SaMrpo : BatchStandardized<SaturationWeighted> {
  static constexpr std::string_view name = "sa_mrpo";
};

}  // namespace maestro
