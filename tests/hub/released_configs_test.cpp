#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/config_json.hpp"

// The settings that models were released with, in the spelling of their config.json.
BOOST_AUTO_TEST_SUITE(released_configs)

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;

ModelConfig parse(const std::string& text) { return parse_config(text, "config.json"); }

const std::string llama_32_1b = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 128000, "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048,
  "initializer_range": 0.02, "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false,
  "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
  "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256})";

const std::string llama_31_8b_instruct = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 128000, "eos_token_id": [128001, 128008, 128009], "hidden_act": "silu", "hidden_size": 4096,
  "initializer_range": 0.02, "intermediate_size": 14336, "max_position_embeddings": 131072, "mlp_bias": false,
  "model_type": "llama", "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
  "pretraining_tp": 1, "rms_norm_eps": 1e-05,
  "rope_scaling": {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                   "original_max_position_embeddings": 8192, "rope_type": "llama3"},
  "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 128256})";

const std::string qwen25_05b_instruct = R"({
  "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
  "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02, "intermediate_size": 4864,
  "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 14,
  "num_hidden_layers": 24, "num_key_value_heads": 2, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
  "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.43.1",
  "use_cache": true, "use_sliding_window": false, "vocab_size": 151936})";

const std::string qwen3_06b = R"({
  "architectures": ["Qwen3ForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 151643,
  "eos_token_id": 151645, "head_dim": 128, "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
  "intermediate_size": 3072, "max_position_embeddings": 40960, "max_window_layers": 28, "model_type": "qwen3",
  "num_attention_heads": 16, "num_hidden_layers": 28, "num_key_value_heads": 8, "rms_norm_eps": 1e-06,
  "rope_scaling": null, "rope_theta": 1000000, "sliding_window": null, "tie_word_embeddings": true,
  "torch_dtype": "bfloat16", "transformers_version": "4.51.0", "use_cache": true, "use_sliding_window": false,
  "vocab_size": 151936})";

const std::string smollm2_135m_instruct = R"({
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 1,
  "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 576, "initializer_range": 0.041666666666666664,
  "intermediate_size": 1536, "is_llama_config": true, "max_position_embeddings": 8192, "mlp_bias": false,
  "model_type": "llama", "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
  "pad_token_id": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_interleaved": false, "rope_scaling": null,
  "rope_theta": 100000, "tie_word_embeddings": true, "torch_dtype": "bfloat16",
  "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16", "fp16": "float16"}},
  "transformers_version": "4.42.3", "use_cache": true, "vocab_size": 49152})";

/// The config of a reward model made from a causal one, as transformers writes it.
std::string reward_model(std::string config, const std::string& more) {
  const std::string causal = "ForCausalLM";
  config.replace(config.find(causal), causal.size(), "ForSequenceClassification");
  config.insert(1, R"("id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0},)" + more);
  return config;
}

}  // namespace

BOOST_AUTO_TEST_CASE(llama_3) {
  const ModelConfig small = parse(llama_32_1b);
  BOOST_TEST((small.architecture == Architecture::llama));
  BOOST_TEST(small.head_dim == 64u);
  BOOST_TEST(small.max_positions == 131072u);
  BOOST_TEST((small.head == HeadWeights::tied));
  BOOST_TEST(small.rope_theta == 500000.0);
  BOOST_TEST((small.rope_scaling == RopeScaling{.type = RopeType::llama3, .factor = 32.0}));
  BOOST_TEST(small.begin_token == 128000);
  const ModelConfig large = parse(llama_31_8b_instruct);
  BOOST_TEST(large.head_dim == 128u);
  BOOST_TEST((large.head == HeadWeights::separate));
  BOOST_TEST(large.rope_scaling.factor == 8.0);
  BOOST_TEST(large.end_tokens == (std::vector<std::int32_t>{128001, 128008, 128009}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(qwen) {
  const ModelConfig two = parse(qwen25_05b_instruct);
  BOOST_TEST(two.head_dim == 64u);
  BOOST_TEST((two.qkv_bias == QkvBias::present));
  BOOST_TEST((two.query_key_norm == QueryKeyNorm::absent));
  BOOST_TEST(two.norm_eps == 1e-6);
  const ModelConfig three = parse(qwen3_06b);
  BOOST_TEST(three.head_dim == 128u);
  BOOST_TEST(three.query_size() == 2048u);
  BOOST_TEST((three.qkv_bias == QkvBias::absent));
  BOOST_TEST((three.query_key_norm == QueryKeyNorm::present));
  BOOST_TEST(three.rope_theta == 1e6);

  const Scratch scratch;
  write_file(scratch.path("config.json"), qwen3_06b);
  write_file(scratch.path("generation_config.json"), R"({
    "bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643], "pad_token_id": 151643,
    "temperature": 0.6, "top_k": 20, "top_p": 0.95, "transformers_version": "4.51.0"})");
  BOOST_TEST(load_model_config(scratch.path(".")).end_tokens == (std::vector<std::int32_t>{151645, 151643}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(smollm2) {
  const ModelConfig config = parse(smollm2_135m_instruct);
  BOOST_TEST(config.head_dim == 64u);
  BOOST_TEST(config.rope_theta == 1e5);
  BOOST_TEST(config.pad_token == 2);
  BOOST_TEST((config.rope_scaling == RopeScaling{}));
  BOOST_TEST((config.head == HeadWeights::tied));
}

BOOST_AUTO_TEST_CASE(reward_models) {
  const ModelConfig qwen = detail::parse_classifier_config(
      reward_model(qwen3_06b, R"("pad_token_id": 151643, "attention_type": null,)"), "config.json");
  BOOST_TEST(qwen.hidden == 1024u);
  BOOST_TEST(qwen.pad_token == 151643);
  const ModelConfig llama =
      detail::parse_classifier_config(reward_model(llama_32_1b, R"("pad_token_id": 128004,)"), "config.json");
  BOOST_TEST((llama.rope_scaling.type == RopeType::llama3));
  BOOST_TEST(refusal<BadFile>([] { detail::parse_classifier_config(qwen3_06b, "c"); }).find("architectures") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(all_are_written_as_they_were_read) {
  for (const std::string& text :
       {llama_32_1b, llama_31_8b_instruct, qwen25_05b_instruct, qwen3_06b, smollm2_135m_instruct}) {
    const ModelConfig config = parse(text);
    BOOST_TEST((parse(config_text(config, "bfloat16")) == config));
  }
}

BOOST_AUTO_TEST_SUITE_END()
