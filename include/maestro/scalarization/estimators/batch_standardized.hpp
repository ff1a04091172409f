#pragma once

/// @file
/// Standardizes another estimator's advantages over the batch. Neutral.

#include <string_view>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/estimator.hpp"
#include "maestro/scalarization/estimators/checks.hpp"
#include "maestro/scalarization/group.hpp"

namespace maestro {

/// BatchStandardized computes A = (A' - mean A') / (deviation A' + epsilon) over the whole batch, A' the advantages of
/// E (ddof 1). A batch of equal A' gives exactly 0. E's statistics must not depend on the weights, so that a row that
/// changes its weights changes no other row's A'.
template <class E>
struct BatchStandardized {
  static constexpr std::string_view name = "batch_standardized";
  static_assert(ignores_weights<E>, "the statistics of the estimator inside must not depend on the weights");
  static constexpr bool reads_total = maestro::reads_total<E>;
  static constexpr int rounds = batch_rounds<E> + 1;
  E inner{};
  double epsilon = 1e-4;  ///< added to the deviation, at least 0

  struct Batch {
    [[no_unique_address]] BatchFigures<E> inner{};
    Moments moments{};  // of A'
  };
  template <class Inner>
  struct Statistics {
    Inner inner;
    Moments batch;
    AdvantageLine line;
  };

  void check() const {
    if constexpr (requires { inner.check(); }) inner.check();
    detail::check_epsilon(name, epsilon);
  }
  template <class G>
  MAESTRO_HD Batch collect(int round, const G& group, const Batch& batch) const {
    Batch part;
    if constexpr (reads_batch<E>) {
      if (round < batch_rounds<E>) {
        part.inner = inner.collect(round, group, batch.inner);
        return part;
      }
    }
    const auto s = statistics_of(inner, group, batch.inner);
    part.moments = group.moments([&](const auto& row) { return advantage_of(inner, s, row); });
    return part;
  }
  MAESTRO_HD static Batch merge(const Batch& a, const Batch& b) {
    Batch both;
    if constexpr (reads_batch<E>) both.inner = merge_batches<E>(a.inner, b.inner);
    both.moments = maestro::merge(a.moments, b.moments);
    return both;
  }
  template <class G>
  MAESTRO_HD auto statistics(const G& group, const Batch& batch) const {
    return Statistics<StatisticsOf<E, G>>{statistics_of(inner, group, batch.inner), batch.moments,
                                          line_of(batch.moments)};
  }
  template <class S, class R>
  MAESTRO_HD double advantage(const Statistics<S>& s, const R& row) const {
    return s.line(advantage_of(inner, s.inner, row));
  }
  template <class G, class S, class R>
  MAESTRO_HD Statistics<S> replace(const G&, const Statistics<S>& s, const R& before, const R& after) const {
    const Moments batch =
        replace_one(s.batch, advantage_of(inner, s.inner, before), advantage_of(inner, s.inner, after));
    return {s.inner, batch, line_of(batch)};
  }

 private:
  MAESTRO_HD AdvantageLine line_of(const Moments& batch) const {
    return standardized(batch.mean, batch.std_dev(1), epsilon);
  }
};

}  // namespace maestro
