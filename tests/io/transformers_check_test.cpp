#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "maestro/core/gemm_native.hpp"
#include "maestro/core/random.hpp"
#include "maestro/io/classifier_files.hpp"
#include "maestro/io/model_files.hpp"
#include "maestro/model/transformer.hpp"

namespace {

using namespace maestro;

ModelConfig small_config(Architecture architecture, RopeType rope) {
  ModelConfig config = qwen3_config(272, 24, 2, 6, 2, 8, 20);
  config.architecture = architecture;
  config.qkv_bias = architecture == Architecture::qwen2 ? QkvBias::present : QkvBias::absent;
  config.query_key_norm = architecture == Architecture::qwen3 ? QueryKeyNorm::present : QueryKeyNorm::absent;
  config.head = architecture == Architecture::llama ? HeadWeights::separate : HeadWeights::tied;
  config.rope_theta = 12345.0;
  config.max_positions = 512;
  config.end_tokens = {256, 258};
  if (rope == RopeType::llama3) {
    config.rope_scaling = {.type = rope, .factor = 8.0, .original_max_positions = 128};
  }
  return config;
}

/// Every parameter random, so that one that is lost or exchanged shows in the logits.
ModelWeights<float> random_weights(const ModelConfig& config) {
  ModelWeights<float> weights(config);
  std::uint32_t which = 0;
  weights.visit([&](ParameterView<float> p) {
    const RandomStream stream({.seed = 9, .row = which++});
    const double centre = p.name.find("norm") != std::string_view::npos ? 1.0 : 0.0;
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] = static_cast<float>(centre + 0.3 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return weights;
}

/// Our logits of one fixed sequence, under the weights that the folder holds.
void write_logits(const std::string& folder) {
  const ModelWeights<float> weights = load_model<float>(folder);
  std::vector<std::int32_t> tokens(24);
  std::vector<std::int64_t> ids;
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    tokens[t] = static_cast<std::int32_t>((37 * t + 11) % 256);
    ids.push_back(tokens[t]);
  }
  PackedBatch batch;
  batch.push_sequence(tokens);
  TransformerWorkspace<float> ws;
  const MatrixView<const float> hidden = Transformer<float, NativeBackend>::forward(weights, batch, ws);
  Matrix<float> logits(hidden.rows(), weights.config().vocabulary);
  linear<NativeBackend, float>(hidden, weights.head(), {}, logits);
  SafetensorsWriter writer;
  writer.add<std::int64_t>("ids", {1, ids.size()}, ids);
  writer.add<float>("logits", {1, logits.rows(), logits.cols()}, logits.flat());
  writer.write(folder + ".logits");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(transformers_check)

// Writes models for tests/fixtures/io/check_loads_in_transformers.py when MAESTRO_KEEP_MODELS names a folder.
BOOST_AUTO_TEST_CASE(models_to_load_in_transformers) {
  const char* given = std::getenv("MAESTRO_KEEP_MODELS");
  if (given == nullptr) return;
  const std::string root = std::string(given) + "/";
  const auto save = [&](const std::string& name, const ModelConfig& config) {
    const ModelWeights<float> weights = random_weights(config);
    const ByteTokenizer chat({.end = "<|im_end|>"});
    save_model(root + name + "-f32", weights, ByteTokenizer());
    save_model(root + name + "-bf16", weights, chat, StoreAs::bf16);
    save_model(root + name + "-bf16-shards", weights, chat, {.store = StoreAs::bf16, .max_shard_size = 8000});
    for (const char* kind : {"-f32", "-bf16", "-bf16-shards"}) write_logits(root + name + kind);
  };
  for (const Architecture a : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    save(std::string(detail::family_names[static_cast<std::size_t>(a)].model_type),
         small_config(a, RopeType::unscaled));
  }
  save("llama3", small_config(Architecture::llama, RopeType::llama3));
}

BOOST_AUTO_TEST_SUITE_END()
