#pragma once

/// @file
/// Sums over the rows of a batch, in parallel and in a fixed order, for gradients of biases and norm weights.

#include <algorithm>
#include <cstddef>
#include <span>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"

namespace maestro {

/// ColumnSums adds the rows of each of sixteen chunks and then adds the chunks in order. The result does not depend on
/// the number of threads.
template <class T>
class ColumnSums {
 public:
  /// Adds to total[c], for each column c, the sum over r < rows of what add_row(r, sum) adds to sum[c]. `sum` is an
  /// array as long as `total`.
  /// @param repeat  estimate of the work of one add_row, in multiples of total.size().
  template <class AddRow>
  void add(std::size_t rows, std::span<T> total, AddRow&& add_row, std::size_t repeat = 1) {
    const std::size_t cols = total.size();
    partial_.resize(chunks, cols);
    const std::size_t step = (rows + chunks - 1) / chunks;
    parallel_for(chunks, step * cols * repeat, [&](std::size_t chunk) {
      T* const sum = partial_.row(chunk).data();
      std::fill(sum, sum + cols, T(0));
      const std::size_t end = std::min(rows, (chunk + 1) * step);
      for (std::size_t r = chunk * step; r < end; ++r) add_row(r, sum);
    });
    for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
      const T* const sum = partial_.row(chunk).data();
      for (std::size_t c = 0; c < cols; ++c) total[c] += sum[c];
    }
  }

 private:
  static constexpr std::size_t chunks = 16;
  Matrix<T> partial_;
};

}  // namespace maestro
