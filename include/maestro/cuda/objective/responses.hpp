#pragma once

/// @file
/// The tokens of packed responses, as kernels find them. Neutral.

#include <cstddef>
#include <cstdint>

#include "maestro/core/platform.hpp"
#include "maestro/cuda/core/fault.hpp"

namespace maestro::gpu {

/// Responses is b responses with t tokens in all, packed. It is a view: the offsets belong to the caller.
struct Responses {
  const std::int64_t* offsets = nullptr;  ///< (b + 1) token offsets in the executor's memory; may start anywhere
  std::size_t rows = 0;                   ///< b
  std::size_t tokens = 0;                 ///< t
  std::size_t first_row = 0;              ///< place of the first response in the batch, for messages
};

/// TokenRange says where a response's tokens lie in the packed arrays.
struct TokenRange {
  std::size_t begin = 0;
  std::size_t length = 0;
  bool fits = false;
};

/// Gives the tokens of a response. If its offsets do not fit it has no tokens, so that nothing is read or written
/// outside the arrays.
MAESTRO_HD inline TokenRange tokens_of(const Responses& responses, std::size_t row) {
  // The places are unsigned, so that an offset below the first one is a very large place.
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
