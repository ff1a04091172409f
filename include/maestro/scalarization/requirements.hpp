#pragma once

/// @file
/// One error that names what a type lacks to be an AdvantageEstimator. Neutral.

#include <string_view>
#include <type_traits>

#include "maestro/core/platform.hpp"
#include "maestro/core/refusal.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimator.hpp"
#include "maestro/scalarization/scalarization.hpp"

namespace maestro::detail {

/// RefusedEstimator takes the place of a refused type, so that no other error follows. It is never called.
struct RefusedEstimator {
  static constexpr std::string_view name = "refused";
  RefusedEstimator() = default;
  template <class T>
  constexpr RefusedEstimator(const T&) {}
  MAESTRO_HD AdvantageLine line(const Moments&) const { return {}; }
};

// A type that has a member of one of these names is meant as an estimator. The members may be templates, whose address
// cannot be taken; but a name that two bases have is ambiguous.
struct HasStatistics {
  int statistics;
};
struct HasAdvantage {
  int advantage;
};
struct HasLine {
  int line;
};
template <class S, class Names>
struct WithNames : S, Names {};

/// MeantAsEstimator tells whether S has a member `statistics`, `advantage` or `line`, in any form.
template <class S>
concept MeantAsEstimator =
    std::is_class_v<S> && !std::is_final_v<S> &&
    (
        !requires { &WithNames<S, HasStatistics>::statistics; } ||
        !requires { &WithNames<S, HasAdvantage>::advantage; } || !requires { &WithNames<S, HasLine>::line; });

/// EstimatorRefused holds for a type that is meant as an estimator and is none.
template <class E>
concept EstimatorRefused = !AdvantageEstimator<E> && !Scalarization<E>;

/// Gives one error that names the first thing that E lacks of an AdvantageEstimator, and the type RefusedEstimator.
template <class E>
constexpr auto refuse_estimator() {
  if constexpr (EstimatorRefused<E>) {
    if constexpr (!std::is_trivially_copyable_v<E>) {
      static_assert(refused<E>, "maestro: an advantage estimator holds numbers only, so that it is trivially copyable");
    } else if constexpr (!DescribesGroups<E, UsualGroup> && reads_batch<E>) {
      static_assert(refused<E>,
                    "maestro: an advantage estimator with a Batch needs template <class G> auto statistics(const G& "
                    "group, const Batch& batch) const");
    } else if constexpr (!DescribesGroups<E, UsualGroup>) {
      static_assert(refused<E>,
                    "maestro: an advantage estimator needs template <class G> auto statistics(const G& group) const, "
                    "or maestro::AdvantageLine line(const maestro::Moments&) const");
    } else if constexpr (!CollectsBatch<E, UsualGroup>) {
      static_assert(refused<E>,
                    "maestro: an advantage estimator with a Batch, which is trivially copyable, needs template <class "
                    "G> Batch collect(int round, const G& group, const Batch& batch) const and merge(a, b)");
    } else if constexpr (!GivesAdvantages<E>) {
      static_assert(refused<E>,
                    "maestro: an advantage estimator needs template <class R> double advantage(const Statistics&, "
                    "const R& row) const, with the Statistics that its statistics(group) returns");
    } else {
      static_assert(refused<E>,
                    "maestro: an advantage estimator needs a name: static constexpr std::string_view name = \"mine\";");
    }
  }
  return std::type_identity<RefusedEstimator>{};
}

}  // namespace maestro::detail
