#pragma once

/// @file
/// Loops over arrays in lanes (group_blocks.hpp): the groups of a block side by side. Neutral.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "maestro/core/buffer.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/group_blocks.hpp"

#if defined(__AVX__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

namespace maestro::detail {

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
    case 6:
      return f(std::integral_constant<std::size_t, 6>{});
    case 7:
      return f(std::integral_constant<std::size_t, 7>{});
    case 8:
      return f(std::integral_constant<std::size_t, 8>{});
    default:
      return f(count);
  }
}

/// lanes (size x K x groups) = the block's rows (rows x K); empty places get `empty`.
template <class T>
void to_lanes(const GroupBlock& block, MatrixView<const T> rows, double empty, AlignedVector<double>& lanes) {
  lanes.resize(block.places() * rows.cols());
  if (!block.uniform()) std::fill(lanes.begin(), lanes.end(), empty);
  const std::size_t groups = block.groups();
  with_count(rows.cols(), [&](auto count) {
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t j = 0; j < block.size_of(g); ++j) {
        const T* from = rows.data() + (block.first(g) + j) * rows.stride();
        double* to = lanes.data() + j * count * groups + g;
        for (std::size_t k = 0; k < count; ++k) to[k * groups] = static_cast<double>(from[k]);
      }
    }
  });
}

/// The opposite: the block's rows (rows x K) = lanes (size x K x groups), converted.
template <class From, class To>
void to_rows(const GroupBlock& block, const From* lanes, MatrixView<To> rows) {
  const std::size_t groups = block.groups();
  with_count(rows.cols(), [&](auto count) {
    for (std::size_t g = 0; g < groups; ++g) {
      for (std::size_t j = 0; j < block.size_of(g); ++j) {
        const From* from = lanes + j * count * groups + g;
        To* to = rows.data() + (block.first(g) + j) * rows.stride();
        for (std::size_t k = 0; k < count; ++k) to[k] = static_cast<To>(from[k * groups]);
      }
    }
  });
}
/// The same for one value per row.
template <class From, class To>
void to_rows(const GroupBlock& block, const From* lanes, To* rows) {
  const std::size_t groups = block.groups();
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t size = block.size_of(g);
    for (std::size_t j = 0; j < size; ++j) *rows++ = static_cast<To>(lanes[j * groups + g]);
  }
}

/// Whether one of the values is NaN.
inline bool any_missing(const double* values, std::size_t count) {
  std::uint64_t missing = 0;
  for (std::size_t i = 0; i < count; ++i) missing |= values[i] != values[i] ? 1u : 0u;
  return missing != 0;
}

/// values[i] = sqrt(values[i]) >= 0. By hand, because a compiler that minds errno does not vectorize std::sqrt.
inline void square_roots(double* values, std::size_t count) {
  std::size_t i = 0;
#if defined(__AVX__) && !defined(__CUDACC__)
  for (; i + 4 <= count; i += 4) _mm256_storeu_pd(values + i, _mm256_sqrt_pd(_mm256_loadu_pd(values + i)));
#endif
  for (; i < count; ++i) values[i] = std::sqrt(values[i]);
}

/// moments_of for many lanes side by side, with the same bits. Scratch that one thread reuses.
class LaneMoments {
 public:
  /// Sets the number of lanes.
  void resize(std::size_t width) {
    counts_.resize(width);
    means_.resize(width);
    squares_.resize(width);
    std_devs_.resize(width);
  }
  std::size_t width() const { return means_.size(); }

  /// counts() and means().
  /// @param size   values per lane, at least 1
  /// @param gaps   whether some values may be NaN; they are skipped
  /// @param value  value(j): the j-th value of every lane (width)
  template <class Value>
  void find_means(std::size_t size, bool gaps, const Value& value) {
    if (gaps) return find_means_with_gaps(size, value);
    const std::size_t width = this->width();
    const auto count = static_cast<double>(size);
    const double* first = value(0);
    double* mean = means_.data();
    std::fill_n(counts_.data(), width, count);
    std::fill_n(mean, width, 0.0);
    for (std::size_t j = 1; j < size; ++j) {
      const double* v = value(j);
      for (std::size_t q = 0; q < width; ++q) mean[q] += v[q] - first[q];
    }
    for (std::size_t q = 0; q < width; ++q) mean[q] = first[q] + mean[q] / count;
  }

  /// deviations() of the same values, after find_means.
  template <class Value>
  void find_std_devs(int ddof, std::size_t size, bool gaps, const Value& value) {
    const std::size_t width = this->width();
    const double* mean = means_.data();
    double* squares = squares_.data();
    std::fill_n(squares, width, 0.0);
    for (std::size_t j = 0; j < size; ++j) {
      const double* v = value(j);
      if (gaps) {
        for (std::size_t q = 0; q < width; ++q) {
          const double std_dev = present_or_zero(v[q] - mean[q]);
          squares[q] = multiply_add(std_dev, std_dev, squares[q]);
        }
      } else {
        for (std::size_t q = 0; q < width; ++q) {
          squares[q] = multiply_add(v[q] - mean[q], v[q] - mean[q], squares[q]);
        }
      }
    }
    finish_std_devs(ddof);
  }

  /// Moments of `count` values each that come from elsewhere: moments(q) for every lane.
  template <class Get>
  void assign(int ddof, std::size_t count, const Get& moments) {
    for (std::size_t q = 0; q < width(); ++q) {
      const Moments lane = moments(q);
      means_[q] = lane.mean;
      squares_[q] = lane.squares;
    }
    std::fill_n(counts_.data(), width(), static_cast<double>(count));
    finish_std_devs(ddof);
  }

  const double* counts() const { return counts_.data(); }
  const double* means() const { return means_.data(); }
  /// sqrt(squares / (count - ddof)), 0 if there are not more than ddof values.
  const double* std_devs() const { return std_devs_.data(); }
  Figures figures(std::size_t lane) const { return {counts_[lane], means_[lane], std_devs_[lane]}; }

 private:
  template <class Value>
  void find_means_with_gaps(std::size_t size, const Value& value) {
    const std::size_t width = this->width();
    firsts_.assign(width, std::numeric_limits<double>::quiet_NaN());
    double* first = firsts_.data();
    double* count = counts_.data();
    double* mean = means_.data();
    std::fill_n(count, width, 0.0);
    std::fill_n(mean, width, 0.0);
    for (std::size_t j = 0; j < size; ++j) {
      const double* v = value(j);
      for (std::size_t q = 0; q < width; ++q) {
        first[q] = first[q] == first[q] ? first[q] : v[q];
        mean[q] += present_or_zero(v[q] - first[q]);
        count[q] += v[q] == v[q] ? 1.0 : 0.0;
      }
    }
    for (std::size_t q = 0; q < width; ++q) {
      mean[q] = present_or_zero(first[q]) + mean[q] / (count[q] > 0.0 ? count[q] : 1.0);
    }
  }

  void finish_std_devs(int ddof) {
    const auto less = static_cast<double>(ddof);
    const double* count = counts_.data();
    const double* squares = squares_.data();
    double* to = std_devs_.data();
    for (std::size_t q = 0; q < width(); ++q) {
      const double degrees = count[q] - less;
      to[q] = (degrees > 0.0 ? squares[q] : 0.0) / (degrees > 0.0 ? degrees : 1.0);
    }
    square_roots(to, width());
  }

  AlignedVector<double> counts_;
  AlignedVector<double> means_;
  AlignedVector<double> squares_;
  AlignedVector<double> std_devs_;
  AlignedVector<double> firsts_;
};

}  // namespace maestro::detail
