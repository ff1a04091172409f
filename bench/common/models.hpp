#pragma once

/// @file
/// The models that the benchmarks run, by name.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/weights.hpp"

namespace maestro::bench {

/// A Llama of these sizes with a tied head, and the shipped tokenizer's end token.
inline ModelConfig llama_config(std::size_t vocabulary, std::size_t hidden, std::size_t layers, std::size_t heads,
                                std::size_t kv_heads, std::size_t intermediate) {
  ModelConfig config;
  config.architecture = Architecture::llama;
  config.vocabulary = vocabulary;
  config.hidden = hidden;
  config.layers = layers;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = 64;
  config.intermediate = intermediate;
  config.norm_eps = 1e-5;
  config.head = HeadWeights::tied;
  config.end_tokens = {256};
  return config;
}

struct NamedConfig {
  std::string_view name;
  ModelConfig config;
};

/// The models of random weights. 135m has SmolLM2-135M's shape; v152k-d896 the vocabulary and the widths of
/// Qwen2.5-0.5B with 4 layers.
inline std::array<NamedConfig, 4> random_models() {
  return {{{"25m", llama_config(16384, 384, 12, 6, 2, 1024)},
           {"135m", llama_config(49152, 576, 30, 9, 3, 1536)},
           {"v152k-d256", llama_config(151936, 256, 4, 4, 2, 1024)},
           {"v152k-d896", llama_config(151936, 896, 4, 14, 2, 4864)}}};
}

/// The weights of `model` with room for `positions` tokens: "shipped" comes from the folder `shipped`, the others are
/// random, the same in every run.
/// @throws BadArgument listing the names there are.
inline ModelWeights<float> make_model(const std::string& model, const std::string& shipped, std::size_t positions) {
  if (model == "shipped") {
    const ModelWeights<float> loaded = load_model<float>(shipped);
    ModelConfig config = loaded.config();
    config.max_positions = std::max(config.max_positions, positions);
    ModelWeights<float> weights(config);
    std::copy(loaded.flat().begin(), loaded.flat().end(), weights.flat().begin());
    return weights;
  }
  for (NamedConfig& named : random_models()) {
    if (named.name != model) continue;
    named.config.max_positions = std::max(named.config.max_positions, positions);
    ModelWeights<float> weights(named.config);
    weights.initialize(1);
    return weights;
  }
  throw BadArgument("--model '" + model + "' is unknown; there are shipped, 25m, 135m, v152k-d256, v152k-d896");
}

/// Writes a model of random weights and the byte tokenizer as a folder that transformers reads.
inline void write_model(const std::string& folder, const ModelWeights<float>& weights) {
  AtomicFolder files(folder);
  write_model_files(files.folder(), weights);
  write_tokenizer_files(files.folder(), ByteTokenizer());
  files.commit();
}

}  // namespace maestro::bench
