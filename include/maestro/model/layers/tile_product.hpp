#pragma once

/// @file
/// Small matrix products for attention, on the calling thread. The rows of B and C are padded to whole panels, so B is
/// used without packing.

#include <algorithm>
#include <cstddef>

#include "maestro/core/isa.hpp"
#include "maestro/gemm/product.hpp"

namespace maestro {

/// The number of columns of one tile. The rows of B and C of tile_product are padded to a multiple of it.
template <class T>
inline constexpr std::size_t tile_cols = detail::panel_cols<T>;

/// Gives `count` rounded up to whole tiles.
template <class T>
constexpr std::size_t padded_cols(std::size_t count) {
  return (count + tile_cols<T> - 1) / tile_cols<T> * tile_cols<T>;
}

/// TileResult says whether a product overwrites C or is added to it.
enum class TileResult { overwrite, accumulate };

/// Computes C = op(A) B or C += op(A) B, for op(A) (m x k), B (k x n) and C (m x n), where n is a multiple of
/// tile_cols. `a` points to A as it is stored, with rows a_row apart: (m x k) if `ta` is no, (k x m) if it is yes. Sums
/// run over k in order, so a row of the result does not depend on m or n.
template <class T>
inline void tile_product(Transpose ta, std::size_t m, std::size_t n, std::size_t k, const T* a, std::size_t a_row,
                         const T* b, std::size_t b_row, T* c, std::size_t c_row,
                         TileResult result = TileResult::overwrite) {
  using namespace detail;
  const MatrixView<const T> a_view =
      ta == Transpose::no ? MatrixView<const T>(a, m, k, a_row) : MatrixView<const T>(a, k, m, a_row);
  const T beta = result == TileResult::overwrite ? T(0) : T(1);
  const Product<T> product{kernels_of<T>(best_isa()), ta, T(1), a_view, beta, MatrixView<T>(c, m, n, c_row)};
  GemmScratch<T>& scratch = gemm_scratch<T>();
  for (std::size_t first = 0; first < k; first += kernel_depth<T>) {
    product.sweep(first, std::min(kernel_depth<T>, k - first), 0, m, {b + first * b_row, b_row, panel_cols<T>}, 0,
                  n / panel_cols<T>, scratch);
  }
}

}  // namespace maestro
