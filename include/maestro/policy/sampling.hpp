#pragma once

/// @file
/// How responses are drawn.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace maestro {

enum class Decoding : std::uint8_t { sample, greedy };

/// Sampling settings, in TRL's words. Filters apply in the order top-k, top-p, min-p, on the distribution after
/// temperature; each keeps at least one token.
struct Sampling {
  std::size_t num_generations = 8;          ///< G, responses per prompt
  std::size_t max_completion_length = 256;  ///< tokens of a response, the stop token included; at least 1
  double temperature = 1.0;                 ///< > 0
  std::size_t top_k = 0;                    ///< keep the k most probable tokens; 0: all
  double top_p = 1.0;                       ///< keep the smallest set whose probability reaches top_p, in (0, 1]
  double min_p = 0.0;                       ///< keep tokens with p >= min_p * max p, in [0, 1)
  Decoding decoding = Decoding::sample;
  std::vector<std::int32_t> stop_tokens{};  ///< besides the tokenizer's own end token
};

/// What keys the draws of one generation; data row, response_number and position complete the key.
struct DrawKey {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
};

}  // namespace maestro
