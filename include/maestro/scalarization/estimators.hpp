#pragma once

/// @file
/// All advantage estimators of the library, in one list. Neutral.
///
/// A new estimator is one file in estimators/ and one line here: from the list come the names that a run-time choice
/// knows, `train --help`, the device's dispatch and the tests.

#include <array>
#include <cstddef>
#include <string_view>

#include "maestro/scalarization/estimators/batch_centered.hpp"
#include "maestro/scalarization/estimators/batch_scaled.hpp"
#include "maestro/scalarization/estimators/corr_grpo.hpp"
#include "maestro/scalarization/estimators/dara.hpp"
#include "maestro/scalarization/estimators/dr_grpo.hpp"
#include "maestro/scalarization/estimators/dvao.hpp"
#include "maestro/scalarization/estimators/gd2po.hpp"
#include "maestro/scalarization/estimators/gdpo.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/scalarization/estimators/leave_one_out.hpp"
#include "maestro/scalarization/estimators/max_rl.hpp"
#include "maestro/scalarization/estimators/mo_grpo.hpp"
#include "maestro/scalarization/estimators/opo.hpp"
#include "maestro/scalarization/estimators/own_weight_baseline.hpp"
#include "maestro/scalarization/estimators/pass_at_k.hpp"
#include "maestro/scalarization/estimators/rloo.hpp"
#include "maestro/scalarization/estimators/sa_mrpo.hpp"

namespace maestro {

/// TypeList is a list of types.
template <class... T>
struct TypeList {
  static constexpr std::size_t size = sizeof...(T);
  /// apply is Wrap<T...>.
  template <template <class...> class Wrap>
  using apply = Wrap<T...>;
};

/// AdvantageEstimators lists every advantage estimator that has a name.
using AdvantageEstimators = TypeList<OwnWeightBaseline,  //
                                     GroupRelative,      //
                                     BatchScaled,        //
                                     DrGrpo,             //
                                     Gdpo,               //
                                     Rloo,               //
                                     LeaveOneOut,        //
                                     Opo,                //
                                     BatchCentered,      //
                                     PassAtK,            //
                                     MaxRl,              //
                                     Dvao,               //
                                     CorrGrpo,           //
                                     MoGrpo,             //
                                     SaMrpo,             //
                                     Dara,               //
                                     Gd2po>;

namespace detail {

template <class... E>
struct NamesOf {
  static constexpr std::array<std::string_view, sizeof...(E)> value{E::name...};
};

}  // namespace detail

/// The names of the advantage estimators, in the list's order.
inline constexpr auto advantage_estimator_names = AdvantageEstimators::apply<detail::NamesOf>::value;

}  // namespace maestro
