#pragma once

/// @file
/// Advantages scaled by the batch. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// BatchScaled computes A = (R - group mean) / (batch deviation + epsilon). TRL's scale `batch`. Source: TRL 1.16
/// GRPOTrainer, scale_rewards="batch".
struct BatchScaled {
  static constexpr std::string_view name = "batch";
  int ddof = 1;           ///< 0 or 1
  double epsilon = 1e-4;  ///< added to the deviation, at least 0
  using Batch = Moments;  // of every R
  struct Statistics {
    Moments group;
    Moments batch;
    AdvantageLine line;
  };

  void check() const {
    detail::check_epsilon(name, epsilon);
    detail::check_ddof(name, ddof);
  }
  template <class G>
  MAESTRO_HD Batch collect(int, const G& group, const Batch&) const {
    return group.moments(TotalOf{});
  }
  template <class G>
  MAESTRO_HD Statistics statistics(const G& group, const Batch& batch) const {
    return statistics_of(group.moments(TotalOf{}), batch);
  }
  template <class R>
  MAESTRO_HD double advantage(const Statistics& s, const R& row) const {
    return s.line(row.total());
  }
  template <class G, class R>
  MAESTRO_HD Statistics replace(const G& group, const Statistics& s, const R& before, const R& after) const {
    return statistics_of(replace_in_group(s.group, before.total(), after.total(), group, TotalOf{}),
                         replace_one(s.batch, before.total(), after.total()));
  }

 private:
  MAESTRO_HD Statistics statistics_of(const Moments& group, const Moments& batch) const {
    return {group, batch, standardized(group.mean, batch.std_dev(ddof), epsilon)};
  }
};

}  // namespace maestro
