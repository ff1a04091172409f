#pragma once

/// @file
/// The options of `train` for a prediction of steps on other ranks than there are.

#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/option.hpp"

namespace maestro::examples {

struct PlanOptions {
  std::vector<std::string> ranks{};  ///< RANKSxTHREADS; empty: the program trains
  std::string network{};
  std::vector<std::string> from{};  ///< folders of measured runs
};

/// The list of these options: see OptionList.
template <OptionsOf<PlanOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  f({.name = "plan",
     .help = "Predict, instead of training, what a step costs on RANKSxTHREADS, such as 8x2,64x2; needs --network and "
             "--plan-from",
     .recorded = never},
    o.ranks);
  f({.name = "network",
     .help = "The link of each rank for --plan: 1GbE, 10GbE, 25GbE, 100GbE, EDR, HDR, NDR",
     .recorded = never},
    o.network);
  f({.name = "plan_from",
     .help = "Folders of measured runs for --plan, of one rank and of several; options not given are the first one's",
     .recorded = never},
    o.from);
}

}  // namespace maestro::examples
