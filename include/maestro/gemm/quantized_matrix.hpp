#pragma once

/// @file
/// The right operand of a matrix product as the quantized blocks of a GGUF file. A product dequantizes the part that it
/// multiplies next into panels of its scratch memory. So its results have the bits of a product with dequantized
/// weights.

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

#include "maestro/core/gguf_blocks.hpp"
#include "maestro/core/isa.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/kernels.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/gemm/product.hpp"

namespace maestro {

/// QuantizedRows is a run of consecutive rows of one element type.
struct QuantizedRows {
  GgufType type = GgufType::f32;
  std::size_t first = 0;            ///< index of the first row in the whole matrix
  std::size_t row_bytes = 0;        ///< bytes from one row to the next
  const std::byte* data = nullptr;  ///< the first row
};

/// QuantizedView is a view of op(B) = W' (k x n), whose columns are rows of W (n x k) in whole blocks. The rows of W
/// may be consecutive runs of different types, as for query, key and value. Copying it copies no values. T is the type
/// of the product.
template <class T>
class QuantizedView {
 public:
  QuantizedView() = default;
  /// Makes a view of k = `rows` and n = `cols`.
  /// @param runs  in the order of their first rows, of which the first is 0. They must outlive the view.
  QuantizedView(std::span<const QuantizedRows> runs, std::size_t rows, std::size_t cols)
      : runs_(runs), rows_(rows), cols_(cols) {}

  std::size_t rows() const { return rows_; }  ///< k
  std::size_t cols() const { return cols_; }  ///< n
  /// Gives columns [first, first + count).
  QuantizedView middle_cols(std::size_t first, std::size_t count) const {
    QuantizedView view(runs_, rows_, count);
    view.first_ = first_ + first;
    return view;
  }
  /// Overwrites `out` (count) with elements [first, first + count) of a column. `first` must be a multiple of 32, and
  /// so must `count`, unless the column ends there.
  void read(std::size_t col, std::size_t first, std::size_t count, float* out, Isa isa = best_isa()) const {
    const std::size_t row = first_ + col;
    std::size_t i = 0;
    while (i + 1 < runs_.size() && runs_[i + 1].first <= row) ++i;
    const QuantizedRows& run = runs_[i];
    detail::dequantize(run.type, run.data + (row - run.first) * run.row_bytes, first, count, out, isa);
  }
  /// Overwrites `out` (k) with a column of op(B), which is a row of W.
  void copy_col(std::size_t col, std::span<T> out) const {
    alignas(64) std::array<float, 512> part;
    for (std::size_t first = 0; first < rows_; first += part.size()) {
      const std::size_t count = std::min(part.size(), rows_ - first);
      read(col, first, count, part.data());
      std::transform(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(count),
                     out.begin() + static_cast<std::ptrdiff_t>(first), [](float x) { return static_cast<T>(x); });
    }
  }

 private:
  std::span<const QuantizedRows> runs_;
  std::size_t first_ = 0;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

namespace detail {

/// Packs panels of op(B): columns [column, column + panels * panel_cols) and lines [first, first + count) with count <=
/// kernel_depth, with zeros after the last column. Panel p begins at to + p * count * panel_cols.
template <class T>
void pack_panels(const QuantizedView<T>& b, std::size_t column, std::size_t panels, std::size_t first,
                 std::size_t count, T* to, Isa isa) {
  constexpr std::size_t width = panel_cols<T>;
  constexpr std::size_t most = 4 * gguf_step;  // lines at a time: what is read stays in the first cache
  alignas(64) std::array<float, width * most> lines;
  for (std::size_t p = 0; p < panels; ++p, column += width) {
    const std::size_t cols = std::min(width, b.cols() - column);
    for (std::size_t k = 0; k < count; k += most) {
      const std::size_t part = std::min(most, count - k);
      T* const at = to + (p * count + k) * width;
      for (std::size_t j = 0; j < cols; ++j) b.read(column + j, first + k, part, lines.data() + j * most, isa);
      if constexpr (std::is_same_v<T, float>) {
        pack_panel<float>(Transpose::yes, {lines.data(), cols, part, most}, 0, 0, part, at, isa);
      } else {
        std::fill_n(at, part * width, T(0));
        for (std::size_t j = 0; j < cols; ++j) {
          for (std::size_t i = 0; i < part; ++i) at[i * width + j] = static_cast<T>(lines[j * most + i]);
        }
      }
    }
  }
}

/// Packs panels of B'. Lines [first, first + count) of B' are columns of B. Columns from `column` on are lines of B,
/// with zeros after the last. Panel p begins at to + p * count * panel_cols.
template <class T>
void pack_panels_back(const QuantizedView<T>& b, std::size_t column, std::size_t panels, std::size_t first,
                      std::size_t count, T* to, Isa isa) {
  constexpr std::size_t width = panel_cols<T>;
  const std::size_t last = std::min(column + panels * width, b.rows());
  // Blocks are read in whole steps; what lies before `column` is left out.
  const std::size_t begin = column / gguf_step * gguf_step;
  const std::size_t end = std::min((last + gguf_step - 1) / gguf_step * gguf_step, b.rows());
  constexpr std::size_t length = task_panels * width + 2 * gguf_step;
  constexpr std::size_t most = 8;  // lines at a time: those of a panel are written one after another
  alignas(64) std::array<float, most * length> lines;
  for (std::size_t k = 0; k < count; k += most) {
    const std::size_t part = std::min(most, count - k);
    for (std::size_t i = 0; i < part; ++i) {
      b.read(first + k + i, begin, end - begin, lines.data() + i * length, isa);
    }
    for (std::size_t p = 0; p < panels; ++p) {
      const std::size_t left = column + p * width;
      const std::size_t cols = std::min(width, last - left);
      T* const at = to + (p * count + k) * width;
      for (std::size_t i = 0; i < part; ++i) {
        const float* const from = lines.data() + i * length + (left - begin);
        for (std::size_t j = 0; j < width; ++j) at[i * width + j] = j < cols ? static_cast<T>(from[j]) : T(0);
      }
    }
  }
}

}  // namespace detail

}  // namespace maestro
