#pragma once

/// @file
/// Non-owning views of row-major matrices. A view of a vector is a `std::span`.

#include <cstddef>
#include <span>
#include <type_traits>

#include "maestro/core/platform.hpp"

namespace maestro {

/// MatrixView is a row-major view of rows x cols values; consecutive rows lie `stride` elements apart. Copying it
/// copies the view, never the values. It checks no bounds.
template <class T>
class MatrixView {
 public:
  using value_type = std::remove_cv_t<T>;

  constexpr MatrixView() = default;
  MAESTRO_HD constexpr MatrixView(T* data, std::size_t rows, std::size_t cols) : MatrixView(data, rows, cols, cols) {}
  MAESTRO_HD constexpr MatrixView(T* data, std::size_t rows, std::size_t cols, std::size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}

  /// Converts a view of mutable values to a view of constant ones.
  template <class U>
  requires(std::is_same_v<const U, T>) MAESTRO_HD constexpr MatrixView(const MatrixView<U>& other)
      : MatrixView(other.data(), other.rows(), other.cols(), other.stride()) {}

  MAESTRO_HD constexpr T& operator()(std::size_t row, std::size_t col) const { return data_[row * stride_ + col]; }
  constexpr std::span<T> row(std::size_t row) const { return {data_ + row * stride_, cols_}; }
  /// Gives rows [first, first + count).
  MAESTRO_HD constexpr MatrixView middle_rows(std::size_t first, std::size_t count) const {
    return {data_ + first * stride_, count, cols_, stride_};
  }
  /// Gives columns [first, first + count).
  MAESTRO_HD constexpr MatrixView middle_cols(std::size_t first, std::size_t count) const {
    return {data_ + first, rows_, count, stride_};
  }

  MAESTRO_HD constexpr T* data() const { return data_; }
  MAESTRO_HD constexpr std::size_t rows() const { return rows_; }
  MAESTRO_HD constexpr std::size_t cols() const { return cols_; }
  MAESTRO_HD constexpr std::size_t stride() const { return stride_; }
  MAESTRO_HD constexpr bool empty() const { return rows_ == 0 || cols_ == 0; }
  MAESTRO_HD constexpr bool contiguous() const { return stride_ == cols_ || rows_ <= 1; }

 private:
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace maestro
