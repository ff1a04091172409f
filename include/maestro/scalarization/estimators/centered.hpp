#pragma once

/// @file
/// Subtracts the group's mean from another estimator's advantages. Neutral.

#include <cstddef>
#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimator.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// Centered computes A = A' - mean of A' over the group, with A' the advantages of E. The statistics of E must not
/// depend on the weights.
template <class E>
struct Centered {
  static constexpr std::string_view name = "centered";
  static_assert(ignores_weights<E> && !reads_batch<E>,
                "the statistics of the estimator inside must depend on the group's rewards alone");
  static constexpr bool reads_total = maestro::reads_total<E>;
  E inner{};

  template <class Inner>
  struct Statistics {
    Inner inner;
    double count;
    double mean;  // of A'
  };

  template <class Inner>
  struct Probe {
    Inner inner;
    double own;  // A' of the row as it is
  };

  void check() const {
    if constexpr (requires { inner.check(); }) inner.check();
  }
  template <class G>
  MAESTRO_HD auto statistics(const G& group) const {
    Statistics<StatisticsOf<E, G>> s{inner.statistics(group), group.count(), 0.0};
    s.mean = group.mean([&](const auto& row) { return inner.advantage(s.inner, row); });
    return s;
  }
  template <class S, class R>
  MAESTRO_HD double advantage(const Statistics<S>& s, const R& row) const {
    return inner.advantage(s.inner, row) - s.mean;
  }
  template <class S, class R>
  MAESTRO_HD auto probe(const Statistics<S>& s, const R& own, const R& base) const {
    return Probe<decltype(inner.probe(s.inner, own, base))>{inner.probe(s.inner, own, base),
                                                            inner.advantage(s.inner, own)};
  }
  template <class S, class P, class R>
  MAESTRO_HD double advantage_if(const Statistics<S>& s, const Probe<P>& probe, const R& row, std::size_t action,
                                 double emphasis) const {
    const double changed = inner.advantage_if(s.inner, probe.inner, row, action, emphasis);
    return changed - replace_one(s.count, s.mean, probe.own, changed);
  }
};

}  // namespace maestro
