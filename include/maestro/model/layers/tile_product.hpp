#pragma once

/// @file
/// Small matrix products for attention: no packing, no allocation, no threads. Operands lie in scratch whose rows are
/// padded to whole tiles.

#include <cstddef>
#include <cstring>

namespace maestro {

/// Columns of one tile; B and C of tile_product have rows padded to a multiple of it.
template <class T>
inline constexpr std::size_t tile_cols = 64 / sizeof(T);

/// `count` rounded up to whole tiles.
template <class T>
constexpr std::size_t padded_cols(std::size_t count) {
  return (count + tile_cols<T> - 1) / tile_cols<T> * tile_cols<T>;
}

enum class TileResult { overwrite, accumulate };

namespace detail {

// Compiler vectors, because neither compiler keeps an array of accumulators in registers reliably. Their width does not
// change any sum.
#if defined(__AVX512F__)
inline constexpr std::size_t tile_vector_bytes = 64;
#else
inline constexpr std::size_t tile_vector_bytes = 32;
#endif
inline constexpr std::size_t tile_parts = 64 / tile_vector_bytes;

template <class T>
struct TileVector {
  typedef T type __attribute__((vector_size(tile_vector_bytes)));
};

template <std::size_t M, class T>
inline void tile(std::size_t k, const T* a, std::size_t a_row, std::size_t a_col, const T* b, std::size_t b_row, T* c,
                 std::size_t c_row, TileResult result) {
  using Vector = typename TileVector<T>::type;
  constexpr std::size_t lanes = tile_vector_bytes / sizeof(T);
  Vector sum[M][tile_parts] = {};
  for (std::size_t p = 0; p < k; ++p) {
    Vector b_part[tile_parts];
    std::memcpy(b_part, b + p * b_row, sizeof(b_part));
    for (std::size_t i = 0; i < M; ++i) {
      const T x = a[i * a_row + p * a_col];
      for (std::size_t v = 0; v < tile_parts; ++v) sum[i][v] += x * b_part[v];
    }
  }
  for (std::size_t i = 0; i < M; ++i) {
    T* const to = c + i * c_row;
    for (std::size_t v = 0; v < tile_parts; ++v) {
      if (result == TileResult::accumulate) {
        Vector old;
        std::memcpy(&old, to + v * lanes, sizeof(Vector));
        sum[i][v] += old;
      }
      std::memcpy(to + v * lanes, &sum[i][v], sizeof(Vector));
    }
  }
}

}  // namespace detail

/// C (m x n) = or += A (m x k) B (k x n), n a multiple of tile_cols. A's element (i, p) lies at a[i a_row + p a_col],
/// so a transposed A is a swap of the two. Sums run over p in order, whatever the tile: results do not depend on m or
/// n.
template <class T>
inline void tile_product(std::size_t m, std::size_t n, std::size_t k, const T* a, std::size_t a_row, std::size_t a_col,
                         const T* b, std::size_t b_row, T* c, std::size_t c_row,
                         TileResult result = TileResult::overwrite) {
  for (std::size_t j = 0; j < n; j += tile_cols<T>) {
    std::size_t i = 0;
    for (; i + 8 <= m && detail::tile_parts == 1; i += 8) {
      detail::tile<8>(k, a + i * a_row, a_row, a_col, b + j, b_row, c + i * c_row + j, c_row, result);
    }
    for (; i + 4 <= m; i += 4) {
      detail::tile<4>(k, a + i * a_row, a_row, a_col, b + j, b_row, c + i * c_row + j, c_row, result);
    }
    for (; i < m; ++i) {
      detail::tile<1>(k, a + i * a_row, a_row, a_col, b + j, b_row, c + i * c_row + j, c_row, result);
    }
  }
}

}  // namespace maestro
