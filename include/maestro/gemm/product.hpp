#pragma once

/// @file
/// The part of a native matrix product that one thread computes: tiles of C, with a block of A copied into the L1
/// cache.

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "maestro/core/buffer.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/kernels.hpp"

namespace maestro::detail {

/// The number of panels of B that a task keeps in the L2 cache over a stretch of k: 16 x 24 KiB.
inline constexpr std::size_t task_panels = 16;

/// GemmScratch holds the buffers of one thread's tasks.
template <class T>
struct GemmScratch {
  AlignedVector<T> panels = AlignedVector<T>(task_panels * panel_cols<T> * kernel_depth<T>);
  AlignedVector<T> block = AlignedVector<T>(a_block_size<T>);
  AlignedVector<T> tile = AlignedVector<T>(max_tile_rows * max_tile_panels * panel_cols<T>);
};
template <class T>
GemmScratch<T>& gemm_scratch() {
  thread_local GemmScratch<T> scratch;
  return scratch;
}

/// PanelsOfB says where the panels of B are, for one stretch of k.
template <class T>
struct PanelsOfB {
  const T* data;
  std::size_t line_stride;   ///< elements from one k to the next
  std::size_t panel_stride;  ///< elements from one panel to the next
};

/// Product computes C = alpha op(A) B + beta C with one set of kernels, on the calling thread. S is the type in which B
/// is stored.
template <class T, class S = T>
struct Product {
  const KernelSet<T, S>& kernels;
  Transpose ta;
  T alpha;
  MatrixView<const T> a;
  T beta;
  MatrixView<T> c;

  std::size_t depth() const { return ta == Transpose::no ? a.cols() : a.rows(); }

  /// Computes one stretch of k, [first, first + count) with count <= kernel_depth: rows [begin, end) of C with `panels`
  /// panels of B, which begin at column `column` of C.
  void sweep(std::size_t first, std::size_t count, std::size_t begin, std::size_t end, const PanelsOfB<S>& b,
             std::size_t column, std::size_t panels, GemmScratch<T>& scratch) const {
    const bool opening = first == 0 && beta == T(0);
    TileArguments<T, S> tile{.depth = count,
                             .a = scratch.block.data(),
                             .b = b.data,
                             .line_stride = b.line_stride,
                             .panel_stride = b.panel_stride,
                             .c = nullptr,
                             .c_stride = 0,
                             .alpha = alpha,
                             .store = opening ? TileStore::overwrite : TileStore::accumulate};
    for (std::size_t i = begin; i < end; i += kernels.rows) {
      const std::size_t rows = std::min(kernels.rows, end - i);
      copy_block(i, rows, first, count, scratch.block.data());
      const std::size_t step = kernels.panels[ta == Transpose::no ? rows : kernels.rows];
      for (std::size_t p = 0; p < panels; p += step) {
        const std::size_t wide = std::min(step, panels - p);
        const std::size_t left = column + p * panel_cols<T>;
        const std::size_t cols = std::min(wide * panel_cols<T>, c.cols() - left);
        tile.b = b.data + p * b.panel_stride;
        run_tile(tile, i, rows, left, cols, wide, scratch.tile.data());
      }
    }
  }

  /// Multiplies a block of C by beta, unless beta is 0 (the block is overwritten later) or 1.
  void scale(std::size_t begin, std::size_t end, std::size_t column, std::size_t cols) const {
    if (beta == T(0) || beta == T(1)) return;
    for (std::size_t i = begin; i < end; ++i) {
      T* const row = c.row(i).data() + column;
      for (std::size_t j = 0; j < cols; ++j) row[j] *= beta;
    }
  }

 private:
  // A whole tile goes straight into C; otherwise the tile is made beside it, and what belongs to C is copied.
  void run_tile(TileArguments<T, S>& tile, std::size_t i, std::size_t rows, std::size_t left, std::size_t cols,
                std::size_t wide, T* beside) const {
    const bool by_columns = ta == Transpose::yes;
    const auto kernel = by_columns ? kernels.columns[wide] : kernels.by_rows[rows][wide];
    T* const to = c.row(i).data() + left;
    if (cols == wide * panel_cols<T> && (!by_columns || rows == kernels.rows)) {
      tile.c = to;
      tile.c_stride = c.stride();
      kernel(tile);
      return;
    }
    TileArguments<T, S> aside = tile;
    aside.c = beside;
    aside.c_stride = wide * panel_cols<T>;
    aside.store = TileStore::overwrite;
    kernel(aside);
    for (std::size_t r = 0; r < rows; ++r) {
      T* const row = to + r * c.stride();
      const T* const from = beside + r * aside.c_stride;
      if (tile.store == TileStore::overwrite) {
        std::copy_n(from, cols, row);
      } else {
        for (std::size_t j = 0; j < cols; ++j) row[j] += from[j];
      }
    }
  }

  void copy_block(std::size_t i, std::size_t rows, std::size_t first, std::size_t count, T* block) const {
    if (ta == Transpose::no) {
      // Line by line over all rows: whole lines are vector moves, which a call for every row would outweigh.
      const T* const from = &a(i, first);
      const std::size_t whole = count / panel_cols<T> * panel_cols<T>;
      for (std::size_t p = 0; p < whole; p += panel_cols<T>) {
        for (std::size_t r = 0; r < rows; ++r) {
          std::memcpy(block + r * ARows<T>::row_stride + p, from + r * a.stride() + p, 64);
        }
      }
      for (std::size_t r = 0; whole < count && r < rows; ++r) {
        for (std::size_t p = whole; p < count; ++p) block[r * ARows<T>::row_stride + p] = from[r * a.stride() + p];
      }
      return;
    }
    constexpr std::size_t line = AColumns<T>::col_stride;
    for (std::size_t p = 0; p < count; ++p) {
      const T* const from = &a(first + p, i);
      T* const to = block + p * line;
      if (rows == line) {
        std::memcpy(to, from, line * sizeof(T));  // a constant size: three vector moves
      } else {
        std::copy_n(from, rows, to);
        std::fill(to + rows, to + kernels.rows, T(0));  // the kernel computes a full tile
      }
    }
  }
};

}  // namespace maestro::detail
