#include "maestro/model/layout.hpp"

#include <boost/test/unit_test.hpp>
#include <map>
#include <string>
#include <vector>

#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/lora_model.hpp"
#include "model_tools.hpp"

using namespace maestro_test;

BOOST_AUTO_TEST_SUITE(model_layout)

namespace {

const std::string fixtures = MAESTRO_TEST_FIXTURES;

/// What distinguishes a list of tensors from those of some files: a line for each that is missing, surplus or of
/// another shape.
std::vector<std::string> differences(const std::vector<TensorSpec>& tensors, const CheckpointFiles& files) {
  std::map<std::string, std::vector<std::size_t>> stored;
  for (const TensorInfo* tensor : files.tensors()) stored.emplace(tensor->name, tensor->shape);
  std::vector<std::string> lines;
  for (const TensorSpec& tensor : tensors) {
    const auto found = stored.find(tensor.name);
    if (found == stored.end()) {
      lines.push_back("missing " + tensor.name);
      continue;
    }
    if (found->second != tensor.shape()) lines.push_back("shape of " + tensor.name);
    stored.erase(found);
  }
  for (const auto& [name, shape] : stored) lines.push_back("surplus " + name);
  return lines;
}

std::vector<TensorSpec> tensors_of(const ModelConfig& config) {
  const ModelLayout layout(config);
  return {layout.tensors().begin(), layout.tensors().end()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_table_is_in_the_order_of_its_kinds) {
  for (std::size_t k = 0; k < tensor_kinds; ++k) {
    BOOST_TEST(static_cast<std::size_t>(detail::tensor_table[k].kind) == k);
  }
}

// transformers and PEFT wrote these files.
BOOST_AUTO_TEST_CASE(names_and_shapes_are_those_of_the_checkpoints) {
  for (const char* name : {"llama", "llama3", "mistral", "qwen2", "qwen2_shards", "qwen3", "smollm2", "yarn_biases"}) {
    const std::string folder = fixtures + "/model/" + name;
    const std::vector<TensorSpec> tensors = tensors_of(load_model_config(folder));
    const CheckpointFiles files = CheckpointFiles::of_folder(folder);
    for (const std::string& line : differences(tensors, files)) BOOST_ERROR(name << ": " << line);

    // A table that is wrong in one place does not pass.
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      std::vector<TensorSpec> mutant = tensors;
      mutant[i].name.back() = '_';
      BOOST_TEST(differences(mutant, files).size() == 2u, name << ": another name for " << tensors[i].name);
      mutant = tensors;
      mutant[i].cols += 1;
      BOOST_TEST(differences(mutant, files).size() == 1u, name << ": another shape for " << tensors[i].name);
      mutant = tensors;
      mutant.erase(mutant.begin() + static_cast<std::ptrdiff_t>(i));
      BOOST_TEST(differences(mutant, files).size() == 1u, name << ": without " << tensors[i].name);
    }
  }
  const std::string classifier = fixtures + "/reward/classifier";
  std::vector<TensorSpec> tensors = tensors_of(load_classifier_config(classifier));
  const std::vector<std::string> more = differences(tensors, CheckpointFiles::of_folder(classifier));
  BOOST_TEST(more == std::vector<std::string>{"surplus score.weight"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(names_and_shapes_of_adapters_are_those_of_peft) {
  for (const auto& [base, name] : std::vector<std::pair<std::string, std::string>>{
           {"llama", "llama_all"}, {"qwen2", "qwen2_attention"}, {"qwen3", "qwen3_rslora"}}) {
    const std::string folder = fixtures + "/model/" + name;
    const CheckpointFiles files(folder + "/adapter_model.safetensors");
    const ModelConfig config = load_model_config(fixtures + "/model/" + base);
    const LoraFactors<float> factors(config, load_adapter_config(folder));
    std::map<std::string, std::vector<std::size_t>> stored;
    for (const TensorInfo* tensor : files.tensors()) stored.emplace(tensor->name, tensor->shape);
    std::size_t count = 0;
    factors.visit([&](const auto& view) {
      BOOST_TEST((stored.at(std::string(view.name)) == std::vector<std::size_t>{view.rows, view.cols}), view.name);
      ++count;
    });
    BOOST_TEST(count == stored.size());
  }
  BOOST_TEST(lora_target_names == (std::array<std::string_view, 7>{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj",
                                                                   "up_proj", "down_proj"}),
             boost::test_tools::per_element());
}

// Optimizer states and checkpoints are kept in this order, and the random start depends on it.
BOOST_AUTO_TEST_CASE(order_start_and_decay_are_pinned) {
  ModelConfig config = qwen3_config(19, 10, 1, 4, 2, 6, 14);
  config.qkv_bias = QkvBias::present;
  config.head = HeadWeights::separate;
  struct Line {
    const char* name;
    std::size_t rows, cols;
    TensorInit init;
  };
  using enum TensorInit;
  const std::vector<Line> wanted{
      {"model.embed_tokens.weight", 19, 10, normal},
      {"model.layers.0.input_layernorm.weight", 1, 10, ones},
      {"model.layers.0.self_attn.q_proj.weight", 24, 10, normal},
      {"model.layers.0.self_attn.k_proj.weight", 12, 10, normal},
      {"model.layers.0.self_attn.v_proj.weight", 12, 10, normal},
      {"model.layers.0.self_attn.q_proj.bias", 1, 24, zeros},
      {"model.layers.0.self_attn.k_proj.bias", 1, 12, zeros},
      {"model.layers.0.self_attn.v_proj.bias", 1, 12, zeros},
      {"model.layers.0.self_attn.q_norm.weight", 1, 6, ones},
      {"model.layers.0.self_attn.k_norm.weight", 1, 6, ones},
      {"model.layers.0.self_attn.o_proj.weight", 10, 24, residual},
      {"model.layers.0.post_attention_layernorm.weight", 1, 10, ones},
      {"model.layers.0.mlp.gate_proj.weight", 14, 10, normal},
      {"model.layers.0.mlp.up_proj.weight", 14, 10, normal},
      {"model.layers.0.mlp.down_proj.weight", 10, 14, residual},
      {"model.norm.weight", 1, 10, ones},
      {"lm_head.weight", 19, 10, normal},
  };
  const ModelLayout layout(config);
  BOOST_REQUIRE(layout.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const TensorSpec& tensor = layout[i];
    BOOST_TEST(tensor.name == wanted[i].name);
    BOOST_TEST(tensor.rows == wanted[i].rows, tensor.name);
    BOOST_TEST(tensor.cols == wanted[i].cols, tensor.name);
    BOOST_TEST((tensor.init == wanted[i].init), tensor.name);
    const bool matrix = wanted[i].init == normal || wanted[i].init == residual;
    BOOST_TEST((tensor.decay == (matrix ? WeightDecay::apply : WeightDecay::skip)), tensor.name);
    BOOST_TEST(is_matrix(tensor.kind) == matrix, tensor.name);
  }
}

BOOST_AUTO_TEST_CASE(weights_and_frozen_weights_lie_as_the_layout_says) {
  for (const Architecture architecture : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    const ModelConfig config = small_config(architecture);
    const auto weights = random_weights<float>(config, 3);
    const ModelLayout layout(config);
    BOOST_TEST((weights.layout() == layout));
    BOOST_TEST(layout.matrix_parameters() + layout.vector_parameters() == weights.parameters());
    std::size_t i = 0;
    weights.visit([&](const auto& view) {
      BOOST_TEST(view.name == layout[i].name);
      BOOST_TEST(view.values.data() == weights.values(i).data());
      BOOST_TEST(view.values.size() == layout[i].size());
      ++i;
    });
    BOOST_TEST(i == layout.size());

    // Query, key and value are one matrix, so are gate and up: the views of the second layer begin at its tensors.
    const LayerWeights<const float> layer = weights.layer(1);
    const std::map<TensorKind, const float*> begins{
        {TensorKind::input_norm, layer.input_norm.data()},
        {TensorKind::query, layer.qkv.data()},
        {TensorKind::key, layer.qkv.row(config.query_size()).data()},
        {TensorKind::value, layer.qkv.row(config.query_size() + config.key_size()).data()},
        {TensorKind::query_bias, layer.qkv_bias.data()},
        {TensorKind::query_norm, layer.query_norm.data()},
        {TensorKind::key_norm, layer.key_norm.data()},
        {TensorKind::output, layer.output.data()},
        {TensorKind::post_norm, layer.post_norm.data()},
        {TensorKind::gate, layer.gate_up.data()},
        {TensorKind::up, layer.gate_up.row(config.intermediate).data()},
        {TensorKind::down, layer.down.data()}};
    for (std::size_t t = 0; t < layout.size(); ++t) {
      const auto begin = begins.find(layout[t].kind);
      if (layout[t].layer != 1 || begin == begins.end()) continue;
      BOOST_TEST(begin->second == weights.values(t).data(), layout[t].name);
    }
    const FrozenWeights<float> frozen(weights);
    const ModelWeights<float> unpacked = frozen.unpacked();
    BOOST_TEST(std::ranges::equal(unpacked.flat(), weights.flat()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
