#pragma once

/// @file
/// The sizes of models that the micro-benchmarks run: only shapes matter, weights are random.

#include "maestro/model/config.hpp"

namespace maestro::bench {

/// examples/models/base: 0.8 million parameters in 4 layers.
inline ModelConfig shipped_config() { return qwen3_config(272, 128, 4, 4, 2, 32, 384); }

/// Layers as wide as those of a model of 135 million parameters (30 of them there). Eight, with 113 MB of weights, are
/// enough that they do not stay in a cache between two decoding steps.
inline ModelConfig wide_config() {
  ModelConfig config = qwen3_config(272, 576, 8, 9, 3, 64, 1536);
  config.query_key_norm = QueryKeyNorm::absent;
  return config;
}

}  // namespace maestro::bench
