#pragma once

/// @file
/// The interface of an advantage estimator, and what is derived from it. Neutral.
///
/// An estimator is a small struct of numbers that says how a response compares with its group. It sees a group and a
/// row and nothing else: no threads, memory or layout. The drivers (advantages.hpp on the host,
/// cuda/scalarization/scalarizer.hpp on a device) do the rest.
///
///     struct MyEstimator {
///       static constexpr std::string_view name = "mine";
///       template <class G>
///       MAESTRO_HD auto statistics(const G& group) const { return group.moments(TotalOf{}); }
///       template <class R>
///       MAESTRO_HD double advantage(const Moments& m, const R& row) const { return row.total() - m.mean; }
///     };
///
/// Members:
/// - `statistics(group)`: the figures of the group; trivially copyable, the same type for every kind of group.
/// - `advantage(statistics, row)`: A of a row that is not left out.
/// - or, in place of both, `line(moments)`: an AdvantageLine, if A is an affine function of R that the moments of the
///   group's R settle.
/// - optional `replace(group, statistics, before, after)`: the statistics after the row `before` has become `after`
///   (`group` has `after` already), if that is cheaper than to make them again. It serves the counterfactuals.
/// - optional `probe(statistics, own, base)` and `advantage_if(statistics, probe, row, action, emphasis)`, in place of
///   replace(): the K counterfactuals of a row for the price of few. `base` is the row with the weights that no action
///   has raised.
/// - optional `static constexpr bool ignores_weights = true`: the statistics depend on rewards alone.
/// - optional `Batch`, `rounds`, `collect(round, group, batch)` and `merge(a, b)`: figures of the whole batch. `Batch`
///   is trivially copyable, and Batch{} is the figure of no group. In each of `rounds` rounds (1 unless said) the parts
///   that collect() gives for the groups are merged in a fixed order, over threads, blocks and ranks, and merged into
///   what the rounds before gave, which collect() gets as `batch`. Then it is `statistics(group, batch)`, and
///   `replace` must follow what a row changes of the batch too.
/// - optional `check()`: throws BadArgument for options outside their domains. Host only.
/// - optional `static constexpr bool reads_lengths = true`: it reads row.length(), so that ScalarizationInput::lengths
///   is needed.
/// - optional `static constexpr bool reads_total = false`: A is made of single rewards and weights, so that only the
///   scalarizer `sum` makes sense.

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

namespace detail {

/// NoBatch is the type of the batch statistics of an estimator that reads none.
struct NoBatch {};

template <class E>
struct BatchOf {
  using type = NoBatch;
};
template <class E>
requires requires { typename E::Batch; }
struct BatchOf<E> {
  using type = typename E::Batch;
};

/// ByLine holds if E gives A as line(moments).
template <class E>
concept ByLine = requires(const E& e, const Moments& moments) {
  { e.line(moments) } -> std::same_as<AdvantageLine>;
};

/// LineStatistics holds the statistics of an estimator that gives a line.
struct LineStatistics {
  Moments moments;
  AdvantageLine line;
};

}  // namespace detail

/// BatchFigures is the type of the batch statistics that E reads.
template <class E>
using BatchFigures = typename detail::BatchOf<E>::type;

/// reads_batch tells whether E reads statistics of the batch.
template <class E>
inline constexpr bool reads_batch = !std::same_as<BatchFigures<E>, detail::NoBatch>;

namespace detail {

template <class E>
consteval int rounds_of() {
  if constexpr (!reads_batch<E>) {
    return 0;
  } else if constexpr (requires { E::rounds; }) {
    return E::rounds;
  } else {
    return 1;
  }
}

template <class E>
consteval bool ignores_weights_of() {
  if constexpr (requires { E::ignores_weights; }) {
    return E::ignores_weights;
  } else {
    return false;
  }
}

template <class E>
consteval bool reads_lengths_of() {
  if constexpr (requires { E::reads_lengths; }) {
    return E::reads_lengths;
  } else {
    return false;
  }
}

template <class E>
consteval bool reads_total_of() {
  if constexpr (requires { E::reads_total; }) {
    return E::reads_total;
  } else {
    return true;
  }
}

}  // namespace detail

/// batch_rounds is the number of passes over the groups that complete the statistics of the batch.
template <class E>
inline constexpr int batch_rounds = detail::rounds_of<E>();
/// ignores_weights tells whether the statistics of E depend on the rewards alone.
template <class E>
inline constexpr bool ignores_weights = detail::ignores_weights_of<E>();
/// reads_lengths tells whether E reads how many tokens the responses have.
template <class E>
inline constexpr bool reads_lengths = detail::reads_lengths_of<E>();
/// reads_total tells whether E reads the scalar reward.
template <class E>
inline constexpr bool reads_total = detail::reads_total_of<E>();

/// Merges the statistics of two parts of the batch, of which `a` comes first.
template <class E>
MAESTRO_HD BatchFigures<E> merge_batches(const BatchFigures<E>& a, const BatchFigures<E>& b) {
  if constexpr (requires { E::merge(a, b); }) {
    return E::merge(a, b);
  } else {
    return merge(a, b);
  }
}

namespace detail {

/// DescribesGroups holds if E gives the statistics of groups of type G, in the form that fits its batch figures.
template <class E, class G>
concept DescribesGroups = ByLine<E> ||
                          (reads_batch<E>&& requires(const E& e, const G& group, const BatchFigures<E>& batch) {
                            e.statistics(group, batch);
                          }) ||
                          (!reads_batch<E> && requires(const E& e, const G& group) { e.statistics(group); });

/// CollectsBatch holds if E gives and merges the figures of the batch that it reads.
template <class E, class G>
concept CollectsBatch = !reads_batch<E> || requires(const E& e, const G& group, const BatchFigures<E>& batch) {
  requires std::is_trivially_copyable_v<BatchFigures<E>> && std::default_initializable<BatchFigures<E>>;
  { e.collect(int{}, group, batch) } -> std::convertible_to<BatchFigures<E>>;
  requires requires {
    { E::merge(batch, batch) } -> std::convertible_to<BatchFigures<E>>;
  } || requires {
    { merge(batch, batch) } -> std::convertible_to<BatchFigures<E>>;
  };
};

}  // namespace detail

/// Gives the statistics of a group in either form of E.
template <class E, class G>
requires detail::DescribesGroups<E, G> MAESTRO_HD auto statistics_of(const E& estimator, const G& group,
                                                                     [[maybe_unused]] const BatchFigures<E>& batch) {
  if constexpr (detail::ByLine<E>) {
    const Moments moments = group.moments(TotalOf{});
    return detail::LineStatistics{moments, estimator.line(moments)};
  } else if constexpr (reads_batch<E>) {
    return estimator.statistics(group, batch);
  } else {
    return estimator.statistics(group);
  }
}

/// StatisticsOf is the type of E's statistics for groups of type G.
template <class E, class G>
using StatisticsOf =
    decltype(statistics_of(std::declval<const E&>(), std::declval<const G&>(), std::declval<const BatchFigures<E>&>()));

/// Gives the advantage of a row.
template <class E, class S, class R>
MAESTRO_HD double advantage_of(const E& estimator, const S& statistics, const R& row) {
  if constexpr (detail::ByLine<E>) {
    return statistics.line(row.total());
  } else {
    return estimator.advantage(statistics, row);
  }
}

/// Gives the statistics after `before` has become `after`.
/// @param group  has `after`
template <class E, class G, class S, class R>
MAESTRO_HD S replaced_statistics(const E& estimator, const G& group, const S& statistics, const R& before,
                                 const R& after) {
  if constexpr (detail::ByLine<E>) {
    const Moments moments = replace_in_group(statistics.moments, before.total(), after.total(), group, TotalOf{});
    return S{moments, estimator.line(moments)};
  } else if constexpr (requires { estimator.replace(group, statistics, before, after); }) {
    return estimator.replace(group, statistics, before, after);
  } else if constexpr (ignores_weights<E>) {
    return statistics;
  } else {
    static_assert(!reads_batch<E>, "an estimator that reads the batch needs replace(): the batch changes with a row");
    return estimator.statistics(group);
  }
}

namespace detail {

/// UsualGroup is the type of group with which the concept tries an estimator.
using UsualGroup = SerialGroup<PaddedRows<>>;

/// GivesAdvantages holds if E gives the advantage of a row.
template <class E>
concept GivesAdvantages = ByLine<E> ||
    requires(const E& e, const UsualGroup& group, const Row<PaddedRows<>>& row, const BatchFigures<E>& batch) {
  { e.advantage(statistics_of(e, group, batch), row) } -> std::convertible_to<double>;
};

template <class E>
concept HasEstimatorName = requires {
  { E::name } -> std::convertible_to<std::string_view>;
};

}  // namespace detail

/// AdvantageEstimator is the concept that the head of this file describes. If a type is none, Advantages and Trainer
/// give one error that names what is missing (scalarization/requirements.hpp).
template <class E>
concept AdvantageEstimator =
    std::is_trivially_copyable_v<E> && detail::HasEstimatorName<E> && detail::DescribesGroups<E, detail::UsualGroup> &&
    detail::CollectsBatch<E, detail::UsualGroup> && detail::GivesAdvantages<E>;

}  // namespace maestro
