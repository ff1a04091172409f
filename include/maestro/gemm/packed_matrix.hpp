#pragma once

/// @file
/// The right operand of a matrix product, in the order in which the native kernels read it.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>

#include "maestro/core/isa.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/kernels.hpp"

namespace maestro {

namespace detail {

#if MAESTRO_X86
/// Transposes eight rows of eight floats.
MAESTRO_AVX2 inline void transpose_8x8(const float* from, std::size_t stride, float* to, std::size_t to_stride) {
  __m256 r[8];
  __m256 s[8];
  for (std::size_t i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * stride);
  for (std::size_t i = 0; i < 8; i += 2) {
    s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (std::size_t i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
  }
  for (std::size_t i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * to_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
#endif

/// Packs one panel of op(B): columns [column, column + panel_cols) and lines [first, first + count), with zeros after
/// the last column. It overwrites to[k * panel_cols + j].
template <class T>
void pack_panel(Transpose tb, MatrixView<const T> b, std::size_t column, std::size_t first, std::size_t count, T* to,
                [[maybe_unused]] Isa isa) {
  constexpr std::size_t width = panel_cols<T>;
  const std::size_t cols = std::min(width, (tb == Transpose::no ? b.cols() : b.rows()) - column);
  if (cols < width) std::fill_n(to, count * width, T(0));
  if (tb == Transpose::no) {
    const T* from = &b(first, column);
    if (cols == width) {
      for (std::size_t p = 0; p < count; ++p, from += b.stride()) std::memcpy(to + p * width, from, 64);
    } else {
      for (std::size_t p = 0; p < count; ++p, from += b.stride()) std::copy_n(from, cols, to + p * width);
    }
    return;
  }
  std::size_t p = 0;
#if MAESTRO_X86
  if constexpr (std::is_same_v<T, float>) {
    if (isa >= Isa::avx2 && cols == width) {
      for (; p + 8 <= count; p += 8) {
        for (std::size_t j = 0; j < width; j += 8) {
          transpose_8x8(&b(column + j, first + p), b.stride(), to + p * width + j, width);
        }
      }
    }
  }
#endif
  for (std::size_t j = 0; j < cols; ++j) {
    const T* const from = &b(column + j, first);
    for (std::size_t q = p; q < count; ++q) to[q * width + j] = from[q];
  }
}

/// Packs one panel of B' for a packed B. Lines [first, first + count) of B' are columns of B, and `first` must be the
/// first column of one of B's panels. Columns from `column` on are lines of B, with zeros after the last. It overwrites
/// to[k * panel_cols + j].
template <class T, class S>
void pack_panel_back(const PackedView<T, S>& b, std::size_t column, std::size_t first, std::size_t count, T* to,
                     [[maybe_unused]] Isa isa) {
  constexpr std::size_t width = panel_cols<T>;
  const std::size_t lines = std::min(width, b.rows() - column);
  alignas(64) T block[width * width];
  std::fill(block, block + width * width, T(0));
  for (std::size_t k = 0; k < count; k += width) {
    const S* const from = b.panel((first + k) / width) + column * width;
    for (std::size_t i = 0; i < lines * width; ++i) block[i] = static_cast<T>(from[i]);
    const std::size_t rows = std::min(width, count - k);
    T* const at = to + k * width;
#if MAESTRO_X86
    if constexpr (std::is_same_v<T, float>) {
      if (isa >= Isa::avx2 && rows == width) {
        for (std::size_t i = 0; i < width; i += 8) {
          for (std::size_t j = 0; j < width; j += 8)
            transpose_8x8(block + i * width + j, width, at + j * width + i, width);
        }
        continue;
      }
    }
#endif
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t j = 0; j < width; ++j) at[r * width + j] = block[j * width + r];
    }
  }
}

}  // namespace detail

/// PackedView is a view of op(B) (k x n) in panels. A panel has as many columns as 64 bytes hold of T, and the last
/// panel is padded with zeros. Copying it copies no values. T is the type of the product. S is the type in which B is
/// stored: T or Bfloat16.
template <class T, class S = T>
class PackedView {
 public:
  PackedView() = default;
  PackedView(const S* data, std::size_t rows, std::size_t cols) : data_(data), rows_(rows), cols_(cols) {}

  /// Gives the number of elements of a packed k x n matrix.
  static constexpr std::size_t size(std::size_t rows, std::size_t cols) {
    return (cols + detail::panel_cols<T> - 1) / detail::panel_cols<T> * detail::panel_cols<T> * rows;
  }

  std::size_t rows() const { return rows_; }  ///< k
  std::size_t cols() const { return cols_; }  ///< n
  std::size_t panels() const { return (cols_ + detail::panel_cols<T> - 1) / detail::panel_cols<T>; }
  std::size_t panel_stride() const { return rows_ * detail::panel_cols<T>; }
  const S* panel(std::size_t p) const { return data_ + p * panel_stride(); }
  /// Gives an element of op(B).
  T operator()(std::size_t row, std::size_t col) const {
    constexpr std::size_t width = detail::panel_cols<T>;
    return static_cast<T>(panel(col / width)[row * width + col % width]);
  }
  /// Overwrites `out` (k) with a column of op(B).
  void copy_col(std::size_t col, std::span<T> out) const {
    constexpr std::size_t width = detail::panel_cols<T>;
    const S* const from = panel(col / width) + col % width;
    for (std::size_t row = 0; row < rows_; ++row) out[row] = static_cast<T>(from[row * width]);
  }
  /// Gives columns [first, first + count). `first` must be the first column of a panel.
  PackedView middle_cols(std::size_t first, std::size_t count) const {
    return {panel(first / detail::panel_cols<T>), rows_, count};
  }

 private:
  const S* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

/// Packs op(B) into PackedView<T>::size elements at `to`, which must be 64-byte aligned. The pass over B is worthwhile
/// if B is used more than once, or with few rows.
template <class T>
PackedView<T> pack(Transpose tb, MatrixView<const T> b, T* to) {
  const PackedView<T> view(to, tb == Transpose::no ? b.rows() : b.cols(), tb == Transpose::no ? b.cols() : b.rows());
  const Isa isa = best_isa();
  parallel_for(view.panels(), view.panel_stride(), [&](std::size_t p) {
    detail::pack_panel(tb, b, p * detail::panel_cols<T>, 0, view.rows(), to + p * view.panel_stride(), isa);
  });
  return view;
}

}  // namespace maestro
