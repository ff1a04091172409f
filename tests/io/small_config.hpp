#pragma once

#include "maestro/model/config.hpp"

namespace maestro_test {

using namespace maestro;

/// A model of each family that takes a few kilobytes, with all that config.json can say of it.
inline ModelConfig small_config(Architecture architecture) {
  ModelConfig config = qwen3_config(272, 24, 2, 6, 2, 8, 20);
  config.architecture = architecture;
  config.qkv_bias = architecture == Architecture::qwen2 ? QkvBias::present : QkvBias::absent;
  config.query_key_norm = architecture == Architecture::qwen3 ? QueryKeyNorm::present : QueryKeyNorm::absent;
  config.head = architecture == Architecture::llama ? HeadWeights::separate : HeadWeights::tied;
  config.rope_theta = 12345.0;
  config.max_positions = 512;
  config.end_tokens = {256, 258};
  return config;
}

}  // namespace maestro_test
