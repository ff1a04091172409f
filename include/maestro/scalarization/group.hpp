#pragma once

/// @file
/// One group as an advantage estimator sees it: its rows, and figures of them. Neutral.

#include <cmath>
#include <cstddef>

#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

/// One number for every column of a group (see Row).
template <std::size_t Capacity>
struct PerColumn {
  double of[Capacity];
  MAESTRO_HD double operator[](std::size_t c) const { return of[c]; }
  MAESTRO_HD double& operator[](std::size_t c) { return of[c]; }
};

/// Count, mean and sum of squared deviations of every column.
template <std::size_t Capacity>
struct ColumnMoments {
  PerColumn<Capacity> count;
  PerColumn<Capacity> mean;
  PerColumn<Capacity> squares;

  /// sqrt(squares / (count - ddof)) of a column, 0 if there are not more than ddof values.
  MAESTRO_HD double std_dev(std::size_t c, int ddof) const {
    const double degrees = count[c] - ddof;
    return degrees > 0.0 ? std::sqrt(squares[c] / degrees) : 0.0;
  }
};

/// moments_of() of `width` columns side by side, with its bits. The sums are local, so that loops over the columns
/// vectorize.
/// @tparam Squares  whether the sums of squared deviations are wanted; 0 if not
/// @param gaps  whether a value may be missing (NaN)
/// @param get   get(i, c): a value
template <bool Squares, std::size_t Capacity, class Get>
MAESTRO_HD ColumnMoments<Capacity> column_moments_of(std::size_t size, std::size_t width, bool gaps, const Get& get) {
  PerColumn<Capacity> count{};
  PerColumn<Capacity> first{};
  PerColumn<Capacity> mean{};
  PerColumn<Capacity> squares{};
  if (size == 0) return {count, mean, squares};
  for (std::size_t c = 0; c < width; ++c) {
    first[c] = get(0, c);
    count[c] = gaps ? 0.0 : static_cast<double>(size);
  }
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t c = 0; c < width; ++c) {
      const double value = get(i, c);
      if (gaps) {
        if (value != value) continue;
        if (count[c] == 0.0) first[c] = value;
        count[c] += 1.0;
      }
      mean[c] += value - first[c];
    }
  }
  for (std::size_t c = 0; c < width; ++c) {
    mean[c] = count[c] > 0.0 ? first[c] + mean[c] / count[c] : 0.0;
  }
  for (std::size_t i = 0; Squares && i < size; ++i) {
    for (std::size_t c = 0; c < width; ++c) {
      const double gap = get(i, c) - mean[c];
      if (gaps && gap != gap) continue;
      squares[c] = multiply_add(gap, gap, squares[c]);
    }
  }
  return {count, mean, squares};
}

/// TotalOf is the scalar reward of a row: what most figures of a group are made of.
struct TotalOf {
  template <class R>
  MAESTRO_HD double operator()(const R& row) const {
    return row.total();
  }
};

/// ValueOf is the reward of a column of a row.
struct ValueOf {
  template <class R>
  MAESTRO_HD double operator()(const R& row, std::size_t c) const {
    return row.value(c);
  }
};

/// A group whose figures one thread makes, in index order, from the rows that are not left out.
///
/// Figures take a function of a row. NaN (a missing reward) is skipped by all of them but `sum` and `add_up`. A group
/// that a team of threads makes the figures of (cuda/scalarization/team_group.hpp) has the same members; all threads
/// meet at every figure, and get it.
/// @tparam L  the layout of the rows: see Row
template <class L>
class SerialGroup {
 public:
  static constexpr std::size_t capacity = L::capacity;
  using RowType = Row<L>;

  MAESTRO_HD explicit SerialGroup(const L& rows) : rows_(&rows) {}

  /// Gives the number of rows, those left out included.
  MAESTRO_HD std::size_t size() const { return rows_->size; }
  /// n, the rows that are not left out.
  MAESTRO_HD double count() const { return static_cast<double>(rows_->present); }
  /// K.
  MAESTRO_HD std::size_t num_rewards() const { return rows_->num_rewards(); }
  /// Gives the columns to loop over: see Row.
  MAESTRO_HD std::size_t width() const { return rows_->width(); }
  MAESTRO_HD RowType row(std::size_t i) const {
    return changed_ != nullptr && changed_->index() == i ? *changed_ : rows_->row(i);
  }
  /// The group in which `row` stands for the row of the same place. `row` must outlive it.
  MAESTRO_HD SerialGroup with(const RowType& row) const {
    SerialGroup group = *this;
    group.changed_ = &row;
    return group;
  }

  /// sum of f(row).
  template <class F>
  MAESTRO_HD double sum(const F& f) const {
    double total = 0.0;
    for (std::size_t i = 0; i < size(); ++i) {
      const RowType r = row(i);
      if (r.present()) total += f(r);
    }
    return total;
  }
  /// Sets sums[0] .. sums[count - 1] to what f(row, sums) adds over all rows: many sums in one walk.
  template <class F>
  MAESTRO_HD void add_up(std::size_t count, double* sums, const F& f) const {
    for (std::size_t c = 0; c < count; ++c) sums[c] = 0.0;
    for (std::size_t i = 0; i < size(); ++i) {
      const RowType r = row(i);
      if (r.present()) f(r, sums);
    }
  }
  /// Count, mean and sum of squared deviations of f(row).
  template <class F>
  MAESTRO_HD Moments moments(const F& f) const {
    return moments_of(size(), [&](std::size_t i) { return value(f, i); });
  }
  /// Gives the same of f(row, c) for every column c < width().
  template <class F = ValueOf>
  MAESTRO_HD ColumnMoments<capacity> column_moments(const F& f = {}) const {
    return column_moments_of<true, capacity>(size(), width(), rows_->has_gaps(),
                                             [&](std::size_t i, std::size_t c) { return f(row(i), c); });
  }
  /// Gives the mean of every column.
  MAESTRO_HD PerColumn<capacity> column_means() const {
    const auto value = [&](std::size_t i, std::size_t c) { return row(i).value(c); };
    return column_moments_of<false, capacity>(size(), width(), rows_->has_gaps(), value).mean;
  }
  /// Gives the mean of f(row), equal values giving exactly that value; 0 of none.
  template <class F>
  MAESTRO_HD double mean(const F& f) const {
    return mean_of(size(), [&](std::size_t i) { return value(f, i); });
  }
  /// Gives the largest f(row); minus infinity of none.
  template <class F>
  MAESTRO_HD double largest(const F& f) const {
    double most = -static_cast<double>(INFINITY);
    for (std::size_t i = 0; i < size(); ++i) {
      const double x = value(f, i);
      if (x > most) most = x;
    }
    return most;
  }
  /// Gives the smallest f(row); infinity of none.
  template <class F>
  MAESTRO_HD double smallest(const F& f) const {
    double least = static_cast<double>(INFINITY);
    for (std::size_t i = 0; i < size(); ++i) {
      const double x = value(f, i);
      if (x < least) least = x;
    }
    return least;
  }

 private:
  template <class F>
  MAESTRO_HD double value(const F& f, std::size_t i) const {
    const RowType r = row(i);
    return r.present() ? static_cast<double>(f(r)) : static_cast<double>(NAN);
  }

  const L* rows_;
  const RowType* changed_ = nullptr;
};

}  // namespace maestro
