#pragma once

/// @file
/// The driver on the host that computes advantages from the rewards and weights of a batch, by any advantage estimator.
/// Neutral.
///
/// For all estimators, missing rewards (NaN) add 0 and the weights are not renormalized. A row whose rewards are all
/// missing is left out of every statistic and gets 0. The penalty is subtracted from the scalar reward. Groups run in
/// parallel, each on one thread in index order, so the bits do not depend on the number of threads.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/scalarization/checks.hpp"
#include "maestro/scalarization/estimator.hpp"
#include "maestro/scalarization/group.hpp"
#include "maestro/scalarization/group_reader.hpp"
#include "maestro/scalarization/merge_ranks.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/options.hpp"
#include "maestro/scalarization/requirements.hpp"
#include "maestro/scalarization/row.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

namespace detail {

/// Writes the advantages of one group, and the counterfactuals if they are asked for.
template <AdvantageEstimator E, std::size_t W>
class GroupEstimate {
 public:
  using Reader = GroupReader<W>;
  using Rows = PaddedRows<W>;

  GroupEstimate(const E& estimator, const BatchFigures<E>& batch, const ScalarizationInput& in,
                const ScalarizationOutput& out)
      : estimator_(estimator), batch_(batch), in_(in), out_(out) {}

  /// @param begin  the group's first row in the batch
  void operator()(const Rows& rows, const Reader& reader, std::size_t begin) const {
    const SerialGroup<Rows> group(rows);
    const auto statistics = statistics_of(estimator_, group, batch_);
    for (std::size_t i = 0; i < rows.size; ++i) {
      const Row<Rows> row(rows, i, rows.weights + i * rows.width(), rows.totals[i]);
      const double advantage = row.present() ? advantage_of(estimator_, statistics, row) : 0.0;
      out_.advantages[begin + i] = present_or_zero(static_cast<float>(advantage));
      if (!out_.counterfactuals.empty()) find_counterfactuals(group, statistics, reader, row, begin + i);
    }
  }

 private:
  template <class S>
  void find_counterfactuals(const SerialGroup<Rows>& group, const S& statistics, const Reader& reader,
                            const Row<Rows>& own, std::size_t place) const {
    const auto result = out_.counterfactuals.row(place);
    if (own.present()) {
      counterfactuals_of(group, statistics, reader, own, result);
      if (in_.decision.actions.empty()) return;
      const auto drawn = static_cast<std::size_t>(in_.decision.actions[place]);
      if (drawn < result.size()) result[drawn] = out_.advantages[place];
    } else {
      std::fill(result.begin(), result.end(), out_.advantages[place]);
    }
  }

  /// Writes the counterfactuals of all K actions, the drawn action included.
  template <class S>
  void counterfactuals_of(const SerialGroup<Rows>& group, const S& statistics, const Reader& reader,
                          const Row<Rows>& own, std::span<float> result) const {
    const auto emphasis = static_cast<double>(in_.decision.emphasis);
    if constexpr (requires { estimator_.probe(statistics, own, own); }) {
      const auto probe = estimator_.probe(statistics, own, reader.base_row(own));
      for (std::size_t k = 0; k < result.size(); ++k) {
        result[k] = static_cast<float>(estimator_.advantage_if(statistics, probe, own, k, emphasis));
      }
    } else {
      Row<Rows> base = reader.base_row(own);
      base = base.with_total(reader.base_total(base));
      for (std::size_t k = 0; k < result.size(); ++k) {
        const Row<Rows> other = reader.row_under(base, k, emphasis);
        if constexpr (ignores_weights<E> && !reads_batch<E>) {
          result[k] = static_cast<float>(advantage_of(estimator_, statistics, other));
        } else {
          const auto changed = replaced_statistics(estimator_, group.with(other), statistics, own, other);
          result[k] = static_cast<float>(advantage_of(estimator_, changed, other));
        }
      }
    }
  }

  const E& estimator_;
  const BatchFigures<E>& batch_;
  const ScalarizationInput& in_;
  const ScalarizationOutput& out_;
};

/// usual_width is the number of columns up to which rows have a compile-time width.
inline constexpr std::size_t usual_width = 8;

/// BatchEstimate is one scalarization of one batch.
template <AdvantageEstimator E, std::size_t W>
class BatchEstimate {
 public:
  BatchEstimate(const E& estimator, const AdvantagesOptions& options, const ScalarizationInput& in,
                const ScalarizationOutput& out)
      : estimator_(estimator), options_(options), in_(in), out_(out) {}

  template <class Comm>
  void run(Comm& comm) const {
    BatchFigures<E> batch{};
    if constexpr (reads_batch<E>) collect(batch, comm);
    const GroupEstimate<E, W> estimate(estimator_, batch, in_, out_);
    for_each_group([&](const PaddedRows<W>& rows, const GroupReader<W>& reader, std::size_t g) {
      estimate(rows, reader, in_.groups.begin(g));
    });
  }

 private:
  /// Calls body(rows, reader, g) for every group that has rows.
  template <class Body>
  void for_each_group(const Body& body) const {
    const bool with_others = !out_.counterfactuals.empty();
    const Wants wants = ByLine<E> ? Wants::totals : Wants::rewards;
    std::atomic<bool> admissible = true;
    for_each_strip(in_.groups, in_.rewards.cols() * (with_others ? 8 : 2) + 8,
                   [&](std::size_t first, std::size_t last) {
                     GroupReader<W> reader(options_, wants, in_, out_);
                     for (std::size_t g = first; g < last; ++g) {
                       if (in_.groups.size(g) == 0) continue;
                       const PaddedRows<W>* rows = reader.read(g);
                       if (rows == nullptr) {
                         admissible = false;
                         return;
                       }
                       body(*rows, reader, g);
                     }
                   });
    if (!admissible) throw_bad_value(in_, with_others);
  }

  /// Gives the figures of the batch: groups in order within strips of rows, strips in order, ranks in order.
  template <class Comm>
  void collect(BatchFigures<E>& batch, Comm& comm) const {
    std::vector<BatchFigures<E>> parts;
    for (int round = 0; round < batch_rounds<E>; ++round) {
      parts.assign(count_strips(in_.groups), BatchFigures<E>{});
      for_each_group([&](const PaddedRows<W>& rows, const GroupReader<W>&, std::size_t g) {
        BatchFigures<E>& part = parts[strip_of(in_.groups, g)];
        part = merge_batches<E>(part, estimator_.collect(round, SerialGroup<PaddedRows<W>>(rows), batch));
      });
      BatchFigures<E> own{};
      for (const BatchFigures<E>& part : parts) own = merge_batches<E>(own, part);
      const auto merge = [](const BatchFigures<E>& a, const BatchFigures<E>& b) { return merge_batches<E>(a, b); };
      batch = merge_batches<E>(batch, merge_ranks(own, merge, comm));
    }
  }

  const E& estimator_;
  const AdvantagesOptions& options_;
  const ScalarizationInput& in_;
  const ScalarizationOutput& out_;
};

}  // namespace detail

/// Advantages is a scalarization by an advantage estimator: it normalizes the rewards, scalarizes them, subtracts the
/// penalty and calls the estimator.
///
///     Advantages scalarization{Dvao{.epsilon = 1e-6}, {.normalizer = {.kind = NormalizerKind::z_score}}};
///
/// Counterfactuals: row i alone changes its weights to base_i + emphasis e_k; the group's and the batch's figures
/// follow it (estimator.hpp says how), and the entry of the action taken equals the advantage. Parallel over groups,
/// deterministic. O(B K) for most estimators; counterfactuals without replace() O(B K n).
/// @throws BadArgument in the constructor for options out of domain. BadData naming the row (and the reward) for an
/// infinite reward, a weight or penalty that is not finite, and a row that the scalarizer has no value for.
template <AdvantageEstimator E>
class Advantages {
 public:
  Advantages(const E& estimator = {}, const AdvantagesOptions& options = {})
      : estimator_(estimator), options_(options) {
    check(options.normalizer);
    check(options.scalarizer);
    if constexpr (requires { estimator.check(); }) estimator.check();
    if (!reads_total<E> && options.scalarizer.kind != ScalarizerKind::sum) {
      throw BadArgument(std::string(E::name) + ": weighs the rewards one by one, so that scalarizer '" +
                        std::string(scalarizer_names[static_cast<std::size_t>(options.scalarizer.kind)]) +
                        "' would have no effect; use the scalarizer sum");
    }
  }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    check_shapes(in, out);
    detail::check_counts(E::name, in, options_.scalarizer);
    if constexpr (reads_lengths<E>) detail::check_lengths(E::name, in);
    if (!std::isfinite(in.decision.emphasis)) throw_bad_value(in, !out.counterfactuals.empty());
    const std::size_t columns = in.rewards.cols() + (in.penalty.empty() ? 0 : 1);
    if (columns <= detail::usual_width) {
      detail::BatchEstimate<E, detail::usual_width>(estimator_, options_, in, out).run(comm);
    } else {
      detail::BatchEstimate<E, 0>(estimator_, options_, in, out).run(comm);
    }
  }

  const E& estimator() const { return estimator_; }
  const AdvantagesOptions& options() const { return options_; }

 private:
  E estimator_;
  AdvantagesOptions options_;
};

/// Refuses a type that is no estimator, with one error that says what is missing; see requirements.hpp.
template <detail::EstimatorRefused E>
Advantages(const E&, const AdvantagesOptions& = {})
    -> Advantages<typename decltype(detail::refuse_estimator<E>())::type>;

namespace detail {

template <class S>
struct ScalarizationOf {
  using type = S;
};
template <AdvantageEstimator E>
struct ScalarizationOf<E> {
  using type = Advantages<E>;
};

}  // namespace detail

/// ScalarizationFor is the scalarization that S stands for: `Advantages<S>` if S is an estimator, else S itself.
template <class S>
using ScalarizationFor = typename detail::ScalarizationOf<S>::type;

}  // namespace maestro
