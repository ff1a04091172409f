#pragma once

/// @file
/// The library's own matrix product, the backend `NativeBackend`. Kernels are chosen for the processor at run time. B
/// is in packed panels, a block of A is in the L1 cache, and threads compute blocks of C as tasks.
///
/// C[i][j] is summed over k in stretches of kernel_depth. Each stretch is a chain of fused multiply-adds in the order
/// of k. So an element depends only on row i of A and column j of B. Its bits are the same for any number of threads,
/// for any other rows in the product, and with or without B packed in advance.

#include <algorithm>
#include <cstddef>

#include "maestro/core/isa.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/kernels.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/gemm/product.hpp"
#include "maestro/gemm/quantized_matrix.hpp"

namespace maestro {

namespace detail {

/// TaskGrid divides C into `row_parts` by `col_parts` blocks, at whole tiles and panels.
struct TaskGrid {
  std::size_t row_parts = 1;
  std::size_t col_parts = 1;
  std::size_t tasks() const { return row_parts * col_parts; }

  /// Chooses a grid. If each task packs its part of B (`packed` false), rows are divided only as far as packing remains
  /// a small part of the work.
  /// @param extra_rows  cost of making the panels, in rows of the product.
  static TaskGrid choose(std::size_t rows, std::size_t panels, std::size_t depth, std::size_t tile, std::size_t panel,
                         bool packed, std::size_t extra_rows = 0) {
    TaskGrid grid;
    grid.col_parts = (panels + task_panels - 1) / task_panels;
    // Below a quarter of a million products a thread is not worth waking.
    const std::size_t work = ((rows + extra_rows) * panels * panel * (depth > 0 ? depth : 1)) >> 18;
    const std::size_t threads = threads_here();
    if (threads == 1 || work < 2) return grid;
    const std::size_t wanted = std::min(work, 3 * threads);
    if (grid.tasks() >= wanted) return grid;
    const std::size_t least_rows = packed ? tile : 8 * tile;
    grid.row_parts = std::clamp<std::size_t>(rows / least_rows, 1, (wanted + grid.col_parts - 1) / grid.col_parts);
    if (grid.tasks() < threads) {
      grid.col_parts = std::clamp<std::size_t>((threads + grid.row_parts - 1) / grid.row_parts, grid.col_parts, panels);
    }
    return grid;
  }

 private:
  static std::size_t threads_here() { return in_parallel_loop() ? 1 : static_cast<std::size_t>(max_threads()); }
};

/// Calls body(begin, end, first panel, panels) for every block of C.
template <class Body>
void for_each_task(const TaskGrid& grid, std::size_t rows, std::size_t tile, std::size_t panels, Body&& body) {
  const std::size_t tiles = (rows + tile - 1) / tile;
  const auto run = [&](std::size_t task) {
    const std::size_t r = task / grid.col_parts;
    const std::size_t q = task % grid.col_parts;
    const std::size_t begin = tiles * r / grid.row_parts * tile;
    const std::size_t end = std::min(rows, tiles * (r + 1) / grid.row_parts * tile);
    const std::size_t panel = panels * q / grid.col_parts;
    const std::size_t count = panels * (q + 1) / grid.col_parts - panel;
    if (begin < end && count > 0) body(begin, end, panel, count);
  };
  if (grid.tasks() == 1) return run(0);
  parallel_for_uneven(grid.tasks(), run);
}

}  // namespace detail

/// Gemm<NativeBackend> multiplies by the kernels of the instruction set `isa`.
template <>
struct Gemm<NativeBackend> {
  template <class T>
  static void run(Transpose ta, Transpose tb, T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                  MatrixView<T> c, Isa isa = best_isa()) {
    run_repacked<T>(ta, alpha, a, beta, c, isa,
                    each_panel<T>([&](auto... place) { detail::pack_panel(tb, b, place..., isa); }));
  }

  /// Computes C = alpha A B + beta C, with B packed in advance.
  template <class T, class S>
  static void run(T alpha, MatrixView<const T> a, const PackedView<T, S>& b, T beta, MatrixView<T> c,
                  Isa isa = best_isa()) {
    using namespace detail;
    const Product<T, S> product{kernels_of<T, S>(isa), Transpose::no, alpha, a, beta, c};
    const std::size_t tile = product.kernels.rows;
    const auto grid = TaskGrid::choose(c.rows(), b.panels(), b.rows(), tile, panel_cols<T>, true);
    for_each_task(grid, c.rows(), tile, b.panels(),
                  [&](std::size_t begin, std::size_t end, std::size_t panel, std::size_t count) {
                    GemmScratch<T>& scratch = gemm_scratch<T>();
                    const std::size_t left = panel * panel_cols<T>;
                    const std::size_t cols = std::min(count * panel_cols<T>, c.cols() - left);
                    product.scale(begin, end, left, cols);
                    if (b.rows() == 0) return clear<T>(beta, begin, end, left, cols, c);
                    for (std::size_t first = 0; first < b.rows(); first += kernel_depth<T>) {
                      product.sweep(first, std::min(kernel_depth<T>, b.rows() - first), begin, end,
                                    {b.panel(panel) + first * panel_cols<T>, panel_cols<T>, b.panel_stride()}, left,
                                    count, scratch);
                    }
                  });
  }

  /// Computes C = alpha A B' + beta C, with B packed in advance, for gradients by the input.
  template <class T, class S>
  static void run_back(T alpha, MatrixView<const T> a, const PackedView<T, S>& b, T beta, MatrixView<T> c,
                       Isa isa = best_isa()) {
    run_repacked<T>(Transpose::no, alpha, a, beta, c, isa,
                    each_panel<T>([&](auto... place) { detail::pack_panel_back(b, place..., isa); }));
  }

  /// Computes C = alpha A B + beta C, with B in quantized blocks.
  template <class T>
  static void run(T alpha, MatrixView<const T> a, const QuantizedView<T>& b, T beta, MatrixView<T> c,
                  Isa isa = best_isa()) {
    run_repacked<T>(
        Transpose::no, alpha, a, beta, c, isa, [&](auto... place) { detail::pack_panels(b, place..., isa); },
        dequantizing_rows);
  }

  /// Computes C = alpha A B' + beta C, with B in quantized blocks.
  template <class T>
  static void run_back(T alpha, MatrixView<const T> a, const QuantizedView<T>& b, T beta, MatrixView<T> c,
                       Isa isa = best_isa()) {
    run_repacked<T>(
        Transpose::no, alpha, a, beta, c, isa, [&](auto... place) { detail::pack_panels_back(b, place..., isa); },
        dequantizing_rows);
  }

 private:
  /// Dequantizing a weight takes longer than this many products with it.
  static constexpr std::size_t dequantizing_rows = 8;

  /// Makes the function that run_repacked needs from pack(column, first, count, to), which writes one panel.
  template <class T, class Pack>
  static auto each_panel(const Pack& pack) {
    return [pack](std::size_t column, std::size_t panels, std::size_t first, std::size_t count, T* to) {
      constexpr std::size_t width = detail::panel_cols<T>;
      for (std::size_t p = 0; p < panels; ++p) pack(column + p * width, first, count, to + p * count * width);
    };
  }

  /// Computes C = alpha op(A) B + beta C. pack(column, panels, first, count, to) writes consecutive panels of B over a
  /// stretch of lines.
  template <class T, class Pack>
  static void run_repacked(Transpose ta, T alpha, MatrixView<const T> a, T beta, MatrixView<T> c, Isa isa,
                           const Pack& pack, std::size_t extra_rows = 0) {
    using namespace detail;
    const Product<T> product{kernels_of<T>(isa), ta, alpha, a, beta, c};
    const std::size_t depth = product.depth();
    const std::size_t panels = (c.cols() + panel_cols<T> - 1) / panel_cols<T>;
    const std::size_t tile = product.kernels.rows;
    const auto grid = TaskGrid::choose(c.rows(), panels, depth, tile, panel_cols<T>, false, extra_rows);
    for_each_task(
        grid, c.rows(), tile, panels, [&](std::size_t begin, std::size_t end, std::size_t panel, std::size_t count) {
          GemmScratch<T>& scratch = gemm_scratch<T>();
          const std::size_t left = panel * panel_cols<T>;
          const std::size_t cols = std::min(count * panel_cols<T>, c.cols() - left);
          product.scale(begin, end, left, cols);
          if (depth == 0) return clear<T>(beta, begin, end, left, cols, c);
          for (std::size_t first = 0; first < depth; first += kernel_depth<T>) {
            const std::size_t stretch = std::min(kernel_depth<T>, depth - first);
            pack(left, count, first, stretch, scratch.panels.data());
            product.sweep(first, stretch, begin, end, {scratch.panels.data(), panel_cols<T>, stretch * panel_cols<T>},
                          left, count, scratch);
          }
        });
  }

  template <class T>
  static void clear(T beta, std::size_t begin, std::size_t end, std::size_t left, std::size_t cols, MatrixView<T> c) {
    if (beta != T(0)) return;
    for (std::size_t i = begin; i < end; ++i) std::fill_n(c.row(i).data() + left, cols, T(0));
  }
};

}  // namespace maestro
