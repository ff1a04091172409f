#pragma once

/// @file
/// The tokens of packed responses, as kernels find them. This header compiles without nvcc and without the CUDA
/// toolkit.

#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/fault.hpp"

namespace maestro::gpu {

/// Responses describes b responses with t tokens in all, packed one after another. It is a view: the offsets belong to
/// the caller.
struct Responses {
  const std::int64_t* offsets = nullptr;  ///< (b + 1) token offsets in the executor's memory; may start anywhere
  std::size_t rows = 0;                   ///< b
  std::size_t tokens = 0;                 ///< t
  std::size_t first_row = 0;              ///< index of the first response in the batch, for messages
};

/// TokenRange says which elements of the packed arrays are the tokens of a response.
struct TokenRange {
  std::size_t begin = 0;   ///< index of the first token
  std::size_t length = 0;  ///< number of tokens
  bool fits = false;       ///< false if the response's offsets decrease or lie outside the tokens
};

/// Gives the tokens of a response. If its offsets do not fit, the range is empty, so that nothing is read or written
/// outside the arrays.
MAESTRO_HD inline TokenRange tokens_of(const Responses& responses, std::size_t row) {
  // Differences are unsigned, so that an offset below the first one becomes a very large number.
  const auto origin = static_cast<std::uint64_t>(responses.offsets[0]);
  const std::uint64_t begin = static_cast<std::uint64_t>(responses.offsets[row]) - origin;
  const std::uint64_t end = static_cast<std::uint64_t>(responses.offsets[row + 1]) - origin;
  TokenRange range;
  range.fits = begin <= end && end <= responses.tokens && (row + 1 < responses.rows || end == responses.tokens);
  if (range.fits) {
    range.begin = static_cast<std::size_t>(begin);
    range.length = static_cast<std::size_t>(end - begin);
  }
  return range;
}

}  // namespace maestro::gpu
