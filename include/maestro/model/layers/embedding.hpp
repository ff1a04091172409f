#pragma once

/// @file
/// Token embedding: one row of the table per token.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

namespace detail {

inline void check_tokens(std::span<const std::int32_t> tokens, std::size_t vocabulary) {
  for (std::size_t r = 0; r < tokens.size(); ++r) {
    if (tokens[r] < 0 || static_cast<std::size_t>(tokens[r]) >= vocabulary) {
      throw BadArgument("embedding: token " + std::to_string(tokens[r]) + " in row " + std::to_string(r) +
                        " is outside the vocabulary of " + std::to_string(vocabulary) +
                        "; the tokenizer does not belong to this model");
    }
  }
}

}  // namespace detail

/// Overwrites row r of out (rows x d) with row tokens[r] of the table (V x d).
/// @throws BadArgument naming the row of a token outside the vocabulary.
template <class T>
void embed(MatrixView<const T> table, std::span<const std::int32_t> tokens, MatrixView<T> out) {
  detail::check_tokens(tokens, table.rows());
  parallel_for(tokens.size(), table.cols(), [&](std::size_t r) {
    std::copy_n(table.row(static_cast<std::size_t>(tokens[r])).data(), table.cols(), out.row(r).data());
  });
}

/// Does the same for a table that is frozen or packed by pack(Transpose::yes, table), as a head is.
/// @tparam Table  PackedView or FrozenMatrix.
/// @throws BadArgument naming the row of a token outside the vocabulary.
template <class T, class Table>
requires requires(const Table& table, std::span<T> out) { table.copy_col(std::size_t{0}, out); }
void embed(const Table& table, std::span<const std::int32_t> tokens, MatrixView<T> out) {
  detail::check_tokens(tokens, table.cols());
  parallel_for(tokens.size(), 4 * table.rows(),
               [&](std::size_t r) { table.copy_col(static_cast<std::size_t>(tokens[r]), out.row(r)); });
}

/// Adds row r of d_out (rows x d) to row tokens[r] of d_table (V x d), for all r in order. The loop over columns is
/// parallel, so the result does not depend on the number of threads.
template <class T>
void embed_backward(std::span<const std::int32_t> tokens, MatrixView<const T> d_out, MatrixView<T> d_table) {
  constexpr std::size_t width = 32;
  const std::size_t cols = d_table.cols();
  parallel_for((cols + width - 1) / width, width * tokens.size(), [&](std::size_t b) {
    const std::size_t first = b * width;
    const std::size_t last = std::min(cols, first + width);
    for (std::size_t r = 0; r < tokens.size(); ++r) {
      T* __restrict const to = d_table.row(static_cast<std::size_t>(tokens[r])).data();
      const T* __restrict const from = d_out.row(r).data();
      for (std::size_t c = first; c < last; ++c) to[c] += from[c];
    }
  });
}

}  // namespace maestro
