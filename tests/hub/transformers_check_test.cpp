#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/small_config.hpp"
#include "maestro/core/random.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/transformer.hpp"

BOOST_AUTO_TEST_SUITE(transformers_check)

namespace {

using namespace maestro;

ModelConfig config_with_rope(Architecture architecture, RopeType rope) {
  ModelConfig config = maestro_test::small_config(architecture);
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
    const double center = p.name.find("norm") != std::string_view::npos ? 1.0 : 0.0;
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] = static_cast<float>(center + 0.3 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return weights;
}

/// One fixed sequence, and our final hidden states of it.
struct Sequence {
  explicit Sequence(const ModelWeights<float>& weights) {
    std::vector<std::int32_t> tokens(24);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      tokens[t] = static_cast<std::int32_t>((37 * t + 11) % 256);
      ids.push_back(tokens[t]);
    }
    batch.push_sequence(tokens);
    hidden = Transformer<float, NativeBackend>::forward(weights, batch, ws);
  }

  std::vector<std::int64_t> ids;
  PackedBatch batch;
  TransformerWorkspace<float> ws;
  MatrixView<const float> hidden;
};

void write_result(const std::string& folder, const Sequence& sequence, const std::vector<std::size_t>& shape,
                  std::span<const float> values) {
  SafetensorsWriter writer;
  writer.add<std::int64_t>("ids", {1, sequence.ids.size()}, sequence.ids);
  writer.add<float>("logits", shape, values);
  writer.write(folder + ".logits");
}

/// Our logits under the weights that the folder holds.
void write_logits(const std::string& folder) {
  const ModelWeights<float> weights = load_model<float>(folder);
  const Sequence sequence(weights);
  Matrix<float> logits(sequence.hidden.rows(), weights.config().vocabulary);
  linear<NativeBackend, float>(sequence.hidden, weights.head(), {}, logits);
  write_result(folder, sequence, {1, logits.rows(), logits.cols()}, logits.flat());
}

/// Our score of the whole sequence by the classifier that the folder holds.
void write_score(const std::string& folder) {
  const ClassifierWeights<float> weights = load_classifier<float>(folder);
  const Sequence sequence(weights.backbone);
  const std::span<const float> last = sequence.hidden.row(sequence.hidden.rows() - 1);
  const std::vector<float> score{std::inner_product(last.begin(), last.end(), weights.score.begin(), 0.0f)};
  write_result(folder, sequence, {1, 1}, score);
}

}  // namespace

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
         config_with_rope(a, RopeType::unscaled));
  }
  const ModelConfig llama3 = config_with_rope(Architecture::llama, RopeType::llama3);
  save("llama3", llama3);

  ModelConfig backbone = llama3;
  backbone.head = HeadWeights::tied;
  std::vector<float> score(backbone.hidden);
  for (std::size_t i = 0; i < score.size(); ++i) score[i] = 0.1f * static_cast<float>(i) - 1.0f;
  for (const auto& [kind, store] : {std::pair{"f32", StoreAs::f32}, std::pair{"bf16", StoreAs::bf16}}) {
    const std::string folder = root + "classifier-" + kind;
    const ByteTokenizer tokenizer(store == StoreAs::f32 ? ByteTokenizerOptions{}
                                                        : ByteTokenizerOptions{.end = "<|im_end|>"});
    save_classifier<float>(folder, random_weights(backbone), score, tokenizer, store);
    write_score(folder);
  }
}

BOOST_AUTO_TEST_SUITE_END()
