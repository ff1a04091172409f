#pragma once

/// @file
/// Advantages against the mean of the batch. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// BatchCentered computes A = R - mean of R over the whole batch: no baseline of the group's own. Source: OpenRLHF's
/// REINFORCE without a group baseline ("flash_reinforce"); written from the formula.
struct BatchCentered {
  static constexpr std::string_view name = "batch_centered";
  using Batch = Moments;  // of every R
  struct Statistics {
    Moments batch;
  };

  template <class G>
  MAESTRO_HD Batch collect(int, const G& group, const Batch&) const {
    return group.moments(TotalOf{});
  }
  template <class G>
  MAESTRO_HD Statistics statistics(const G&, const Batch& batch) const {
    return {batch};
  }
  template <class R>
  MAESTRO_HD double advantage(const Statistics& s, const R& row) const {
    return row.total() - s.batch.mean;
  }
  template <class G, class R>
  MAESTRO_HD Statistics replace(const G&, const Statistics& s, const R& before, const R& after) const {
    return {replace_one(s.batch, before.total(), after.total())};
  }
};

}  // namespace maestro
