#pragma once

/// @file
/// What every scalarization starts from: the checked, normalized and weighted rewards of one group, and how the groups
/// of a batch are dealt out to threads. Neutral.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/options.hpp"
#include "maestro/scalarization/row.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro {

namespace detail {

/// Calls f(count) with the count as a constant that the compiler can unroll by, if it is small.
template <class F>
void with_count(std::size_t count, F&& f) {
  switch (count) {
    case 1:
      return f(std::integral_constant<std::size_t, 1>{});
    case 2:
      return f(std::integral_constant<std::size_t, 2>{});
    case 3:
      return f(std::integral_constant<std::size_t, 3>{});
    case 4:
      return f(std::integral_constant<std::size_t, 4>{});
    case 5:
      return f(std::integral_constant<std::size_t, 5>{});
    default:
      return f(count);
  }
}

/// strip_rows is the number of rows whose groups make a strip: a group is in the strip in whose rows it begins. One
/// thread does a strip, whatever the number of threads.
inline constexpr std::size_t strip_rows = 1024;

inline std::size_t count_strips(const Groups& groups) { return (groups.rows() + strip_rows - 1) / strip_rows; }
/// Gives the strip of a group that has rows.
inline std::size_t strip_of(const Groups& groups, std::size_t g) { return groups.begin(g) / strip_rows; }

/// Calls body(first, last) with the groups [first, last) of every strip, in parallel if there is enough work.
/// @param cost  about how many element operations one row takes
template <class Body>
void for_each_strip(const Groups& groups, std::size_t cost, const Body& body) {
  const auto begins = groups.offsets().first(groups.count());
  const auto first_from = [&](std::size_t row) {
    return static_cast<std::size_t>(std::lower_bound(begins.begin(), begins.end(), row) - begins.begin());
  };
  const std::size_t strips = count_strips(groups);
  const std::size_t rows = std::min(groups.rows(), strip_rows);
  parallel_for(strips, rows * cost, [&](std::size_t s) {
    body(first_from(s * strip_rows), s + 1 == strips ? groups.count() : first_from((s + 1) * strip_rows));
  });
}

/// Wants says whether an estimator reads the single rewards.
enum class Wants { totals, rewards };

/// Reads one group after another. One thread reuses it; nothing is allocated once the largest group has been seen.
/// @tparam W  the width of the rows, 0 if the compiler does not know it
template <std::size_t W>
class GroupReader {
 public:
  using Rows = PaddedRows<W>;

  GroupReader(const AdvantagesOptions& options, Wants wants, const ScalarizationInput& in,
              const ScalarizationOutput& out)
      : options_(options),
        in_(in),
        out_(out),
        with_others_(!out.counterfactuals.empty()),
        plain_(wants == Wants::totals && !with_others_ && options.normalizer.kind == NormalizerKind::none &&
               options.scalarizer.kind == ScalarizerKind::sum) {
    rows_.count = in.rewards.cols();
    if constexpr (W == 0) rows_.padded = columns();
  }
  GroupReader(const GroupReader&) = delete;
  GroupReader& operator=(const GroupReader&) = delete;

  /// Gives the rows of group g, which are valid until the next call, and writes their scalar rewards to the output. It
  /// gives null if a value is not admissible; throw_bad_value then says which.
  /// @throws BadData naming the row that the scalarizer has no value for.
  const Rows* read(std::size_t g) {
    turn_to(g);
    if (!plain_ || !weigh_plain()) {
      if (!values_are_admissible()) return nullptr;
      lay_out();
      if (options_.normalizer.kind != NormalizerKind::none) normalize_group<W>(options_.normalizer, rows_, values_);
      weigh();
    }
    rows_.present = 0;
    for (const double total : totals_) rows_.present += total == total ? 1 : 0;
    if (!out_.scalar_rewards.empty()) {
      for (std::size_t i = 0; i < rows_.size; ++i) out_.scalar_rewards[begin_ + i] = static_cast<float>(totals_[i]);
    }
    return &rows_;
  }

  /// Gives the row with the weights that no action has raised. Its scalar reward is that of `own`.
  Row<Rows> base_row(const Row<Rows>& own) const { return {rows_, own.index(), base_of(own.index()), own.total()}; }
  /// Gives a row, which is not left out, as it would be had it drawn `action`. `base` is base_row(own) with the scalar
  /// reward base_total(base).
  /// @throws BadData if the scalarizer has no value for it.
  Row<Rows> row_under(const Row<Rows>& base, std::size_t action, double emphasis) const {
    const double* weights = base_of(base.index());
    // One weight of a sum is larger.
    if (options_.scalarizer.kind == ScalarizerKind::sum) {
      const double total = multiply_add(emphasis, present_or_zero(base.value(action)), base.total());
      return {rows_, base.index(), weights, action, emphasis, total};
    }
    const Row<Rows> other(rows_, base.index(), weights, action, emphasis);
    return other.with_total(total_of(other));
  }
  /// Gives the scalar reward of base_row(); of no use to scalarizers other than the sum.
  double base_total(const Row<Rows>& base) const {
    return options_.scalarizer.kind == ScalarizerKind::sum ? scalarize(options_.scalarizer, base) : base.total();
  }

 private:
  std::size_t columns() const { return rows_.count + (in_.penalty.empty() ? 0 : 1); }
  const double* base_of(std::size_t i) const { return base_.data() + i * rows_.width(); }

  void turn_to(std::size_t g) {
    begin_ = in_.groups.begin(g);
    rows_.size = in_.groups.size(g);
    const auto rewards = in_.rewards.middle_rows(begin_, rows_.size);
    rewards_ = rewards.data();
    if (!in_.rewards.contiguous()) {
      packed_.clear();
      for (std::size_t i = 0; i < rewards.rows(); ++i) {
        packed_.insert(packed_.end(), rewards.row(i).begin(), rewards.row(i).end());
      }
      rewards_ = packed_.data();
    }
    weights_ = in_.decision.weights.data() + begin_ * rows_.count;
    rows_.penalties = in_.penalty.empty() ? nullptr : in_.penalty.data() + begin_;
    rows_.lengths = in_.lengths.empty() ? nullptr : in_.lengths.data() + begin_;
    totals_.resize(rows_.size);
    rows_.totals = totals_.data();
  }

  const float* given_base() const { return in_.decision.base.data() + begin_ * rows_.count; }
  /// Tells whether all values are admissible, and finds out whether one is missing.
  bool values_are_admissible() {
    const std::size_t entries = rows_.size * rows_.count;
    const std::uint32_t largest = largest_magnitude(rewards_, entries);
    rows_.gaps = largest > infinity_bits || rows_.count == 0;
    return !(rows_.gaps ? any_infinite(rewards_, entries) : largest == infinity_bits) &&
           all_finite(weights_, entries) && (!with_others_ || all_finite(given_base(), entries)) &&
           (rows_.penalties == nullptr || all_finite(rows_.penalties, rows_.size));
  }

  /// Computes R straight from the rewards if none is missing. All sums are finite then, and so are their terms. It
  /// returns false otherwise.
  bool weigh_plain() {
    double gap = rows_.count == 0 ? 1.0 : 0.0;
    with_count(rows_.count, [&](auto count) {
      for (std::size_t i = 0; i < rows_.size; ++i) {
        const float* rewards = rewards_ + i * count;
        const float* weights = weights_ + i * count;
        double sum = 0.0;
        for (std::size_t k = 0; k < count; ++k) {
          sum = multiply_add(static_cast<double>(weights[k]), static_cast<double>(rewards[k]), sum);
        }
        sum -= rows_.penalty(i);
        totals_[i] = sum;
        gap += sum - sum;  // NaN from the first sum on that is not finite
      }
    });
    rows_.values = nullptr;
    return gap == 0.0;
  }

  /// Fills values_, padded_weights_ and base_ in the layout of PaddedRows, and sets totals_ to NaN for rows that are
  /// left out.
  void lay_out() {
    const std::size_t entries = rows_.size * rows_.width();
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    values_.assign(entries, rows_.gaps ? nan : 0.0);
    padded_weights_.assign(entries, 0.0);
    pad(rewards_, values_);
    pad(weights_, padded_weights_);
    if (with_others_) {
      base_.assign(entries, 0.0);
      pad(given_base(), base_);
    }
    for (std::size_t i = 0; i < rows_.size; ++i) {
      bool present = !rows_.gaps || options_.missing_rows == MissingRows::zero;
      for (std::size_t k = 0; !present && k < rows_.count; ++k) {
        const float reward = rewards_[i * rows_.count + k];
        present = reward == reward;
      }
      totals_[i] = present ? 0.0 : nan;
      if (rows_.penalties == nullptr) continue;
      const std::size_t at = i * rows_.width() + rows_.count;
      values_[at] = present ? rows_.penalty(i) : nan;
      padded_weights_[at] = -1.0;
      if (with_others_) base_[at] = -1.0;
    }
    rows_.values = values_.data();
    rows_.weights = padded_weights_.data();
  }
  void pad(const float* from, AlignedVector<double>& to) const {
    double* row = to.data();
    for (std::size_t i = 0; i < rows_.size; ++i, row += rows_.width(), from += rows_.count) {
      for (std::size_t k = 0; k < rows_.count; ++k) row[k] = static_cast<double>(from[k]);
    }
  }

  void weigh() {
    for (std::size_t i = 0; i < rows_.size; ++i) {
      if (totals_[i] == totals_[i]) totals_[i] = total_of(rows_.row(i));
    }
  }
  double total_of(const Row<Rows>& row) const {
    const double total = scalarize(options_.scalarizer, row);
    if (total - total == 0.0) return total;
    if (!has_reward(row)) return -row.penalty();
    throw BadData("scalarization: row " + std::to_string(begin_ + row.index()) + ", the scalarizer " +
                  std::string(scalarizer_names[static_cast<std::size_t>(options_.scalarizer.kind)]) +
                  " has no value: geometric needs rewards above 0, softmin weights that add up to more than 0");
  }

  const AdvantagesOptions& options_;
  const ScalarizationInput& in_;
  const ScalarizationOutput& out_;
  bool with_others_;
  bool plain_;
  std::size_t begin_ = 0;
  const float* rewards_ = nullptr;  // (n x K)
  const float* weights_ = nullptr;  // (n x K)
  Rows rows_;
  std::vector<float> packed_;
  AlignedVector<double> values_;
  AlignedVector<double> padded_weights_;
  AlignedVector<double> base_;
  AlignedVector<double> totals_;
};

}  // namespace detail

}  // namespace maestro
