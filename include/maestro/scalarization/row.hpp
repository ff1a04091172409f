#pragma once

/// @file
/// One response as an advantage estimator sees it: a row of rewards, weights and figures. Neutral.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"

namespace maestro {

/// max_rewards is the largest number of rewards K that the advantage estimators take.
inline constexpr std::size_t max_rewards = 64;

/// Row is a view of one response: its rewards after the normalizer, its weights, and the scalar reward that they make.
///
/// Rewards are columns 0 to K - 1. The penalty, if there is one, is column K, a reward of weight -1. Loops run over
/// `width()` columns, which is a constant if the driver knows it. Columns beyond these are missing (NaN) or 0, with
/// weight 0.
/// @tparam L  the layout of the rows: width(), num_rewards(), has_gaps(), value(i, c), penalty(i), length(i), total(i)
///            and weight(weights, c), with `Weight` the type of the weights
template <class L>
class Row {
 public:
  using Weight = typename L::Weight;

  MAESTRO_HD Row(const L& rows, std::size_t i, const Weight* weights, double total)
      : rows_(&rows), i_(i), weights_(weights), total_(total) {}
  /// Gives the row had it drawn `action`: weights base + emphasis e_action; its scalar reward is still to be set.
  MAESTRO_HD Row(const L& rows, std::size_t i, const Weight* base, std::size_t action, double emphasis,
                 double total = 0.0)
      : rows_(&rows), i_(i), weights_(base), total_(total), action_(action), emphasis_(emphasis) {}

  /// Gives R, the scalar reward: normalized, weighted, minus the penalty. It is NaN if the row is left out.
  MAESTRO_HD double total() const { return total_; }
  /// Tells whether the row has a reward. A row whose rewards are all missing is left out.
  MAESTRO_HD bool present() const { return total_ == total_; }
  /// Gives K.
  MAESTRO_HD std::size_t num_rewards() const { return rows_->num_rewards(); }
  /// Gives the columns to loop over.
  MAESTRO_HD std::size_t width() const { return rows_->width(); }
  /// Gives the reward of column c after the normalizer; NaN if it is missing.
  MAESTRO_HD double value(std::size_t c) const { return rows_->value(i_, c); }
  /// Gives the weight of column c.
  MAESTRO_HD double weight(std::size_t c) const {
    return rows_->weight(weights_, c) + (c == action_ ? emphasis_ : 0.0);
  }
  /// Gives what is subtracted from R (KL in the reward); 0 if there is no penalty.
  MAESTRO_HD double penalty() const { return rows_->penalty(i_); }
  /// Gives T, the number of tokens of the response.
  MAESTRO_HD double length() const { return rows_->length(i_); }

  /// Gives the row's place in its group.
  MAESTRO_HD std::size_t index() const { return i_; }
  /// Gives the same row with another scalar reward.
  MAESTRO_HD Row with_total(double total) const {
    Row row = *this;
    row.total_ = total;
    return row;
  }

 private:
  const L* rows_;
  std::size_t i_;
  const Weight* weights_;
  double total_;
  std::size_t action_ = ~std::size_t{0};
  double emphasis_ = 0.0;
};

/// PaddedRows holds the rows of one group in the host's layout: all in double, side by side, padded to `width()`
/// columns.
/// @tparam W  the width if the compiler is to know it, 0 if not
template <std::size_t W = 0>
struct PaddedRows {
  using Weight = double;
  /// The number of entries of an array that has one for every column.
  static constexpr std::size_t capacity = W == 0 ? max_rewards + 1 : W;

  const double* values = nullptr;         ///< (n x width)
  const double* weights = nullptr;        ///< (n x width)
  const double* totals = nullptr;         ///< (n)
  const float* penalties = nullptr;       ///< (n), or null
  const std::int32_t* lengths = nullptr;  ///< (n), or null
  std::size_t size = 0;                   ///< n
  std::size_t present = 0;                ///< rows that are not left out
  std::size_t count = 0;                  ///< K
  std::size_t padded = W;                 ///< the width
  bool gaps = true;                       ///< whether a value is missing; if not, padding is 0 and not NaN

  MAESTRO_HD std::size_t num_rewards() const { return count; }
  MAESTRO_HD std::size_t width() const {
    if constexpr (W == 0) {
      return padded;
    } else {
      return W;
    }
  }
  MAESTRO_HD bool has_gaps() const { return gaps; }
  MAESTRO_HD double value(std::size_t i, std::size_t c) const { return values[i * width() + c]; }
  MAESTRO_HD double weight(const double* of, std::size_t c) const { return of[c]; }
  MAESTRO_HD double penalty(std::size_t i) const {
    return penalties == nullptr ? 0.0 : static_cast<double>(penalties[i]);
  }
  MAESTRO_HD double length(std::size_t i) const { return static_cast<double>(lengths[i]); }
  MAESTRO_HD Row<PaddedRows> row(std::size_t i) const { return {*this, i, weights + i * width(), totals[i]}; }
};

}  // namespace maestro
