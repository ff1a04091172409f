#include "maestro/hub/model_files.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "io/small_config.hpp"

BOOST_AUTO_TEST_SUITE(model_files)

namespace {

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;
using maestro_test::small_config;

template <class T>
ModelWeights<T> random_weights(const ModelConfig& config) {
  ModelWeights<T> weights(config);
  weights.initialize(7);
  return weights;
}

const std::string base = R"("model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 272,
  "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8,
  "intermediate_size": 20, "tie_word_embeddings": true, "eos_token_id": 256)";

ModelConfig parse(const std::string& more) { return parse_config("{" + base + more + "}", "config.json"); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  BOOST_REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

BOOST_AUTO_TEST_CASE(configs_round_trip) {
  for (const Architecture a : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    ModelConfig config = small_config(a);
    BOOST_TEST((parse_config(config_text(config), "c") == config));
    config.begin_token = 257;
    config.end_tokens = {258};
    config.pad_token = 3;
    BOOST_TEST((parse_config(config_text(config, "bfloat16"), "c") == config));
    config.rope_scaling = {.type = RopeType::llama3,
                           .factor = 32.0,
                           .low_freq_factor = 1.5,
                           .high_freq_factor = 5.0,
                           .original_max_positions = 100};
    BOOST_TEST((parse_config(config_text(config), "c") == config));
    config.rope_scaling = {.type = RopeType::linear, .factor = 2.5};
    BOOST_TEST((parse_config(config_text(config), "c") == config));
    config.rope_scaling = {.type = RopeType::yarn,
                           .factor = 4.0,
                           .original_max_positions = 100,
                           .attention_factor = 1.25,
                           .beta_fast = 16.0,
                           .beta_slow = 2.0,
                           .whole_pairs = false};
    BOOST_TEST((parse_config(config_text(config), "c") == config));
  }
  ModelConfig biased = small_config(Architecture::llama);
  biased.qkv_bias = QkvBias::present;
  biased.output_bias = OutputBias::present;
  BOOST_TEST((parse_config(config_text(biased), "c") == biased));
  biased.mlp_bias = MlpBias::present;
  BOOST_TEST((parse_config(config_text(biased), "c") == biased));
  ModelConfig odd = small_config(Architecture::llama);
  odd.qkv_bias = QkvBias::present;
  BOOST_CHECK_THROW(config_text(odd), Unsupported);
}

BOOST_AUTO_TEST_CASE(both_places_and_defaults_are_read) {
  BOOST_TEST(parse("").rope_theta == 10000.0);
  BOOST_TEST(parse(R"(, "rope_theta": 5e5)").rope_theta == 5e5);
  BOOST_TEST(parse(R"(, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"})").rope_theta == 5e5);
  BOOST_TEST(parse(R"(, "rope_scaling": null, "rope_theta": 1000000)").rope_theta == 1e6);
  BOOST_TEST(
      parse(R"(, "rope_scaling": {"type": "default"}, "sliding_window": 4096, "use_sliding_window": false)").heads ==
      6u);
  BOOST_TEST(parse(R"(, "layer_types": ["full_attention", "full_attention"], "torch_dtype": "bfloat16")").layers == 2u);
  BOOST_TEST(parse(R"(, "unheard_of": null, "use_mrope": false, "use_cache": true)").layers == 2u);
  BOOST_TEST(parse(R"(, "pruned_heads": {}, "partial_rotary_factor": 1.0, "hidden_act": "swish")").layers == 2u);
  BOOST_TEST(parse(R"(, "pad_token_id": 7)").pad_token == 7);
  BOOST_TEST(parse(R"(, "pad_token_id": -1)").pad_token == -1);
  BOOST_TEST(parse(R"(, "pad_token_id": null)").pad_token == -1);
  const std::string llama = R"({"model_type": "llama", "vocab_size": 99, "hidden_size": 24, "num_hidden_layers": 1,
    "num_attention_heads": 6, "intermediate_size": 7, "eos_token_id": [5, 6], "bos_token_id": 1})";
  const ModelConfig config = parse_config(llama, "c");
  BOOST_TEST(config.kv_heads == 6u);
  BOOST_TEST(config.head_dim == 4u);
  BOOST_TEST((config.head == HeadWeights::separate));
  BOOST_TEST(config.end_tokens == (std::vector<std::int32_t>{5, 6}), boost::test_tools::per_element());
  BOOST_TEST(config.begin_token == 1);
}

BOOST_AUTO_TEST_CASE(rope_scaling_of_llama_3_is_read_in_both_places) {
  const std::string numbers = R"("factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0)";
  RopeScaling wanted{.type = RopeType::llama3, .factor = 32.0, .original_max_positions = 8192};
  const std::string old_place =
      R"(, "rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "original_max_position_embeddings": 8192, )" +
      numbers + "}";
  BOOST_TEST((parse(old_place).rope_scaling == wanted));
  BOOST_TEST(parse(old_place).rope_theta == 5e5);
  const std::string new_place =
      R"(, "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5, "original_max_position_embeddings": 8192, )" +
      numbers + "}";
  BOOST_TEST((parse(new_place) == parse(old_place)));
  BOOST_TEST((parse(old_place + new_place) == parse(old_place)));
  BOOST_TEST(
      (parse(R"(, "rope_scaling": {"type": "llama3", "original_max_position_embeddings": 8192, )" + numbers + "}")
           .rope_scaling == wanted));
  // Without the old context, it is max_position_embeddings.
  wanted.original_max_positions = 999;
  BOOST_TEST((parse(R"(, "max_position_embeddings": 999, "rope_scaling": {"rope_type": "llama3", )" + numbers + "}")
                  .rope_scaling == wanted));

  const auto wrong = [&](const std::string& text, const std::string& reason) {
    const std::string message = refusal<BadFile>([&] { parse(text); });
    BOOST_TEST(message.find(reason) != std::string::npos, text << " -> " << message);
  };
  wrong(R"(, "rope_scaling": {"rope_type": "llama3", "low_freq_factor": 1, "high_freq_factor": 4})",
        "field 'rope_scaling.factor' is missing");
  wrong(R"(, "rope_scaling": {"rope_type": "llama3", "factor": "8", "low_freq_factor": 1, "high_freq_factor": 4})",
        "field 'rope_scaling.factor' must be a number, found \"8\"");
  wrong(R"(, "rope_scaling": {"rope_type": "llama3", "factor": 0.5, "low_freq_factor": 1, "high_freq_factor": 4})",
        "rope_scaling.factor must be 1 or more");
  wrong(R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4})",
        "rope_scaling.high_freq_factor must be above");
  wrong(R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 0, "high_freq_factor": 4})",
        "rope_scaling.low_freq_factor must be positive");
  wrong(R"(, "rope_scaling": {"rope_type": "llama3", "original_max_position_embeddings": 0, )" + numbers + "}",
        "rope_scaling.original_max_position_embeddings");
  wrong(R"(, "rope_parameters": {"rope_type": "default"})" + old_place, "disagree");
  wrong(R"(, "rope_scaling": 7)", "must be a JSON object");
}

BOOST_AUTO_TEST_CASE(end_tokens_are_joined_with_those_of_the_generation_config) {
  const Scratch scratch;
  const auto tokens = [&](const std::string& config, const std::string& generation) {
    write_file(scratch.path("config.json"), replaced("{" + base + "}", "\"eos_token_id\": 256", config));
    write_file(scratch.path("generation_config.json"), generation);
    return load_model_config(scratch.path(".")).end_tokens;
  };
  using Ids = std::vector<std::int32_t>;
  const auto same = boost::test_tools::per_element();
  BOOST_TEST(tokens("\"eos_token_id\": 256", R"({"eos_token_id": [258, 256, 257], "temperature": 0.6})") ==
                 (Ids{256, 258, 257}),
             same);
  BOOST_TEST(tokens("\"eos_token_id\": [5, 4, 5]", R"({"eos_token_id": 3})") == (Ids{5, 4, 3}), same);
  BOOST_TEST(tokens("\"eos_token_id\": null", R"({"eos_token_id": 3})") == (Ids{3}), same);
  BOOST_TEST(tokens("\"eos_token_id\": 4", R"({"do_sample": true})") == (Ids{4}), same);
  const std::string where = scratch.path("./generation_config.json");
  for (const auto& [text, reason] : std::vector<std::pair<std::string, std::string>>{
           {R"({"eos_token_id": 272})", "end_tokens (272)"},
           {R"({"eos_token_id": "x"})", "field 'eos_token_id' must be a token id, found \"x\""},
           {R"({"eos_token_id": [-1]})", "eos_token_id"},
           {R"([])", "must be a JSON object"},
           {R"({"eos_token_id": 3)", "not valid JSON"}}) {
    const std::string message = refusal<BadFile>([&, given = text] { tokens("\"eos_token_id\": 4", given); });
    BOOST_TEST(message.starts_with(where), text << " -> " << message);
    BOOST_TEST(message.find(reason) != std::string::npos, text << " -> " << message);
  }
  std::filesystem::remove(scratch.path("generation_config.json"));
  BOOST_TEST(load_model_config(scratch.path(".")).end_tokens == (Ids{4}), same);
}

BOOST_AUTO_TEST_CASE(what_changes_the_result_is_refused_by_name) {
  const std::vector<std::pair<std::string, std::string>> unsupported{
      {R"("layer_types": ["full_attention", "sliding_attention"])", "sliding_window"},
      {R"("attention_chunk_size": 512)", "attention_chunk_size"},
      {R"("is_causal": false)", "is_causal"},
      {R"("is_encoder_decoder": true)", "is_encoder_decoder"},
      {R"("text_config": {"hidden_size": 8})", "text_config"},
      {R"("per_layer_config": {"0": {"hidden_act": "gelu"}})", "per_layer_config"},
      {R"("rope_parameters": {"rope_type": "longrope"})", "rope_parameters.rope_type"},
      {R"("rope_parameters": {"full_attention": {"rope_type": "default"}})", "rope_parameters.full_attention"},
      {R"("rope_scaling": {"type": "llama3", "rope_type": "default"})", "rope_scaling.type"},
      {R"("partial_rotary_factor": 0.5)", "field 'partial_rotary_factor'"},
      {R"("rope_parameters": {"partial_rotary_factor": 0.5})", "partial_rotary_factor"},
      {R"("hidden_act": "gelu")", "hidden_act"},
      {R"("quantization_config": {"bits": 4})", "quantization_config"},
      {R"("layer_types": ["full_attention", "chunked_attention"])", "layer_types"},
      {R"("dtype": "float8_e4m3fn")", "dtype"},
  };
  for (const auto& [text, name] : unsupported) {
    const std::string message = refusal<Unsupported>([&, added = text] { parse(", " + added); });
    BOOST_TEST(message.starts_with("config.json: field "), text << " -> " << message);
    BOOST_TEST(message.find(name) != std::string::npos, text << " -> " << message);
  }
  const std::string whole = "{" + base + "}";
  const auto says = [&](const std::string& from, const std::string& to) {
    return refusal<Unsupported>([&] { parse_config(replaced(whole, from, to), "c"); });
  };
  BOOST_TEST(says("\"qwen3\"", "\"mixtral\"").find("\"mixtral\"") != std::string::npos);
  BOOST_TEST(says("Qwen3ForCausalLM", "Qwen3ForSequenceClassification").find("SequenceClass") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_transformers_does_not_know_is_ignored_and_listed) {
  const auto ignored = [](const std::string& more) {
    parse(more);
    std::string line;
    for (const std::string& name : ignored_config_fields("{" + base + more + "}", "config.json")) line += name + " ";
    return line;
  };
  BOOST_TEST(ignored("") == "");
  BOOST_TEST(ignored(R"(, "_model_name_or_path": "x", "gradient_checkpointing": false, "unk_token_id": 0)") ==
             "_model_name_or_path ");
  BOOST_TEST(ignored(R"(, "attn_logit_softcapping": 50.0, "auto_map": {"AutoConfig": "c.C"})") ==
             "attn_logit_softcapping auto_map ");
  BOOST_TEST(ignored(R"(, "rope_interleaved": true, "attention_bias": true)") == "rope_interleaved ");
  BOOST_TEST(
      ignored(R"(, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "finetuned": true, "truncate": true})") ==
      "rope_scaling.finetuned ");
  BOOST_TEST(ignored(R"(, "rope_parameters": {"type": "default", "mrope_section": [1], "factor": null})") ==
             "rope_parameters.mrope_section ");
  // Windows, also those that hide nothing or that no layer has.
  BOOST_TEST(ignored(R"(, "use_sliding_window": true, "max_window_layers": 2)") == "");
  BOOST_TEST(ignored(R"(, "use_sliding_window": true, "max_window_layers": 0, "sliding_window": 32768)") == "");
  BOOST_TEST(ignored(R"(, "use_sliding_window": true, "layer_types": ["full_attention", "full_attention"])") == "");
}

BOOST_AUTO_TEST_CASE(rope_types_are_read_as_transformers_reads_them) {
  const auto scaling = [](const std::string& more) { return parse(more).rope_scaling; };
  BOOST_TEST((scaling(R"(, "rope_scaling": {"type": "linear", "factor": 4.0})") ==
              RopeScaling{.type = RopeType::linear, .factor = 4.0}));
  // Within the context, "dynamic" changes nothing.
  BOOST_TEST((scaling(R"(, "rope_scaling": {"type": "dynamic", "factor": 4.0})") == RopeScaling{}));
  RopeScaling yarn{.type = RopeType::yarn, .factor = 4.0, .original_max_positions = 32768};
  yarn.attention_factor = 0.1 * std::log(4.0) + 1.0;
  BOOST_TEST((scaling(R"(, "rope_scaling": {"rope_type": "yarn", "factor": 4.0})") == yarn));
  yarn.original_max_positions = 99;
  BOOST_TEST(
      (scaling(R"(, "rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 99})") == yarn));
  BOOST_TEST((scaling(R"(, "original_max_position_embeddings": 99, "rope_scaling": {"type": "yarn", "factor": 4,
                          "original_max_position_embeddings": 98, "beta_fast": 0, "beta_slow": null})") == yarn));
  yarn.factor = 331.0 / 99.0;
  yarn.attention_factor = 0.7;
  yarn.beta_fast = 16.0;
  yarn.beta_slow = 2.0;
  yarn.whole_pairs = false;
  BOOST_TEST((scaling(R"(, "max_position_embeddings": 331, "rope_scaling": {"type": "yarn", "factor": null,
                          "original_max_position_embeddings": 99, "attention_factor": 0.7, "beta_fast": 16,
                          "beta_slow": 2, "truncate": false})") == yarn));
  const std::string scales = R"(, "rope_scaling": {"type": "yarn", "factor": 40, "mscale": 2, "mscale_all_dim": 0.5})";
  const double log_factor = 0.1 * std::log(40.0);
  // Up to the last bit, which a fused multiply-add changes.
  BOOST_TEST(scaling(scales).attention_factor == (2 * log_factor + 1) / (0.5 * log_factor + 1),
             boost::test_tools::tolerance(1e-14));
  BOOST_TEST(refusal<BadFile>([&] {
               parse(R"(, "rope_scaling": {"type": "linear"})");
             }).find("field 'rope_scaling.factor' is missing") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] {
               parse(R"(, "rope_scaling": {"type": "yarn"})");
             }).find("field 'rope_scaling.factor' is missing") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(windows_are_read_as_transformers_reads_them) {
  using Windows = std::vector<std::size_t>;
  const auto same = boost::test_tools::per_element();
  const auto windows = [](const std::string& more) {
    const ModelConfig config = parse(more);
    BOOST_TEST((parse_config(config_text(config), "c") == config), more);
    return config.windows;
  };
  BOOST_TEST(windows(R"(, "use_sliding_window": true, "max_window_layers": 1)") == (Windows{0, 4096}), same);
  BOOST_TEST(windows(R"(, "use_sliding_window": true, "max_window_layers": 0, "sliding_window": 32767)") ==
                 (Windows{32767, 32767}),
             same);
  BOOST_TEST(windows(R"(, "use_sliding_window": true, "sliding_window": 7, "max_window_layers": 2,
                          "layer_types": ["sliding_attention", "full_attention"])") == (Windows{7, 0}),
             same);
  for (const char* none : {R"(, "sliding_window": 7, "max_window_layers": 0)", R"(, "use_sliding_window": true)",
                           R"(, "use_sliding_window": true, "max_window_layers": 0, "sliding_window": 32768)",
                           R"(, "use_sliding_window": true, "max_window_layers": 0, "sliding_window": null)"}) {
    BOOST_TEST(windows(none).empty(), none);
  }
  ModelConfig odd = parse("");
  odd.windows = {3, 4};
  BOOST_CHECK_THROW(config_text(odd), Unsupported);
  odd.windows = {3};
  BOOST_CHECK_THROW(config_text(odd), BadArgument);
}

BOOST_AUTO_TEST_CASE(mistral_is_read_with_its_window) {
  const auto mistral = [](const std::string& more) {
    return parse_config(R"({"model_type": "mistral", "architectures": ["MistralForCausalLM"], "vocab_size": 99,
      "hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 8, "intermediate_size": 7)" +
                            more + "}",
                        "config.json");
  };
  const ModelConfig config = mistral(R"(, "sliding_window": null, "head_dim": 4)");
  BOOST_TEST((config.architecture == Architecture::mistral));
  BOOST_TEST(config.kv_heads == 8u);
  BOOST_TEST(config.head_dim == 4u);
  BOOST_TEST(config.max_positions == 131072u);
  BOOST_TEST((parse_config(config_text(config), "c") == config));
  BOOST_TEST(mistral(R"(, "head_dim": 4, "sliding_window": 4096, "max_position_embeddings": 4096)").layers == 1u);
  for (const char* windowed : {R"(, "head_dim": 4, "sliding_window": 4096)", R"(, "head_dim": 4)"}) {
    BOOST_TEST(mistral(windowed).window(0) == 4096u);
    BOOST_TEST((parse_config(config_text(mistral(windowed)), "c") == mistral(windowed)));
  }
}

BOOST_AUTO_TEST_CASE(wrong_values_are_refused_by_name) {
  const std::string whole = "{" + base + "}";
  const std::vector<std::array<std::string, 3>> bad{
      {"\"hidden_size\": 24", "\"hidden_size\": \"x\"", "field 'hidden_size' must be a positive integer, found \"x\""},
      {"\"hidden_size\": 24,", "", "field 'hidden_size' is missing"},
      {"\"hidden_size\": 24", "\"hidden_size\": 0", "hidden_size"},
      {"\"hidden_size\": 24", "\"hidden_size\": -24", "found -24"},
      {"\"hidden_size\": 24", "\"hidden_size\": 24.0", "found 24.0"},
      {"\"hidden_size\": 24", "\"hidden_size\": 99999999999", "at most"},
      {"\"head_dim\": 8", "\"head_dim\": 7", "head_dim"},
      {"\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4", "kv_heads"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 272", "end_tokens"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": [1, \"2\"]", "eos_token_id"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 256, \"pad_token_id\": -2", "pad_token_id"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 256, \"rope_theta\": 0", "rope_theta"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 256, \"rope_theta\": 1e999", "not valid JSON"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 256, \"rope_theta\": 2, \"rope_parameters\": {\"rope_theta\": 3}",
       "given twice"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 256, \"layer_types\": [\"full_attention\"]", "layer_types"},
      {"\"eos_token_id\": 256", "\"eos_token_id\": 256, \"eos_token_id\": 257", "appears twice"},
      {"\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1", "tie_word_embeddings"},
  };
  for (const auto& [from, to, reason] : bad) {
    const std::string message =
        refusal<BadFile>([&, f = from, t = to] { parse_config(replaced(whole, f, t), "config.json"); });
    BOOST_TEST(message.starts_with("config.json: "), to);
    BOOST_TEST(message.find(reason) != std::string::npos, to << " -> " << message);
  }
  BOOST_TEST(refusal<BadFile>([] { parse_config("[]", "c"); }).find("must be a JSON object") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(models_round_trip) {
  const Scratch scratch;
  for (const Architecture a : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    const ModelConfig config = small_config(a);
    const auto weights = random_weights<float>(config);
    const ByteTokenizer tokenizer({.vocabulary = 272, .end = "<|im_end|>"});
    const std::string folder = scratch.path("model");
    save_model(folder, weights, tokenizer);
    const auto loaded = load_model<float>(folder);
    BOOST_TEST((loaded.config() == config));
    BOOST_TEST(std::equal(weights.flat().begin(), weights.flat().end(), loaded.flat().begin(), loaded.flat().end()));
    BOOST_TEST((load_tokenizer(folder) == tokenizer));

    save_model(folder, weights, tokenizer, StoreAs::bf16);
    const auto rounded = load_model<float>(folder);
    double worst = 0.0;
    for (std::size_t i = 0; i < weights.flat().size(); ++i) {
      const double exact = static_cast<double>(weights.flat()[i]);
      worst = std::max(worst, std::abs(static_cast<double>(rounded.flat()[i]) - exact) - std::abs(exact) / 256);
    }
    BOOST_TEST(worst <= 0.0);
    BOOST_TEST(load_model<double>(folder).final_norm()[3] == 1.0);
  }
  BOOST_TEST(scratch.entries() == 1u);
}

BOOST_AUTO_TEST_CASE(a_folder_with_other_files_is_not_replaced) {
  const Scratch scratch;
  const auto weights = random_weights<float>(small_config(Architecture::qwen3));
  write_file(scratch.path("thesis.txt"), "precious");
  BOOST_CHECK_THROW(save_model(scratch.path("."), weights, ByteTokenizer()), BadArgument);
  BOOST_TEST(read_file(scratch.path("thesis.txt")) == "precious");
  BOOST_CHECK_THROW(save_model(scratch.path("m"), weights, ByteTokenizer({.vocabulary = 300})), BadArgument);
}

BOOST_AUTO_TEST_CASE(missing_surplus_and_misshapen_tensors_are_named) {
  const Scratch scratch;
  const ModelConfig config = small_config(Architecture::qwen3);
  const auto weights = random_weights<float>(config);
  const std::string path = scratch.path("w.safetensors");
  const std::vector<float> numbers(272 * 24, 0.5f);
  const auto store = [&](const std::string& leave_out, const std::string& reshape, const std::string& add) {
    SafetensorsWriter writer;
    for (std::size_t i = 0; i < weights.layout().size(); ++i) {
      const TensorSpec& tensor = weights.layout()[i];
      std::vector<std::size_t> shape = tensor.shape();
      if (tensor.name == leave_out) continue;
      if (tensor.name == reshape) std::reverse(shape.begin(), shape.end());
      writer.add<float>(tensor.name, shape, weights.values(i));
    }
    if (!add.empty()) writer.add<float>(add, {272, 24}, numbers);
    writer.write(path);
    return refusal<BadFile>([&] { load_weights<float>(path, config); });
  };
  BOOST_TEST(store("", "", "").empty());
  for (const char* name :
       {"model.embed_tokens.weight", "model.norm.weight", "model.layers.1.self_attn.q_norm.weight"}) {
    const std::string message = store(name, "", "");
    BOOST_TEST(message.find("missing") != std::string::npos, message);
    BOOST_TEST(message.find(name) != std::string::npos, message);
  }
  for (const char* name : {"model.embed_tokens.weight", "model.layers.0.mlp.down_proj.weight"}) {
    const std::string message = store("", name, "");
    BOOST_TEST(message.find(std::string(name) + "\" has shape") != std::string::npos, message);
  }
  BOOST_TEST(store("", "", "model.layers.2.input_layernorm.weight").find("does not have: \"model.layers.2.input") !=
             std::string::npos);
  BOOST_TEST(store("", "", "lm_head.weight").find("lm_head.weight") != std::string::npos);

  SafetensorsWriter writer;
  for (std::size_t i = 0; i < weights.layout().size(); ++i) {
    detail::add_tensor(writer, weights, i, Dtype::f32);
    if (weights.layout()[i].kind == TensorKind::embedding) {
      writer.add<float>("lm_head.weight", {272, 24}, weights.values(i));
    }
  }
  writer.write(path);
  BOOST_TEST(refusal<BadFile>([&] { load_weights<float>(path, config); }).empty());

  ModelConfig greedy = config;
  greedy.vocabulary = 16'000'000;
  greedy.intermediate = 1'000'000;
  greedy.layers = 4000;
  BOOST_TEST(!refusal<BadFile>([&] { load_weights<float>(path, greedy); }).empty());

  auto broken = weights;
  broken.final_norm()[3] = std::numeric_limits<float>::quiet_NaN();
  save_weights(path, broken);
  BOOST_TEST(refusal<BadFile>([&] { load_weights<float>(path, config); }).find("model.norm.weight") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(models_saved_without_a_head_and_old_frequencies_are_read) {
  const Scratch scratch;
  const ModelConfig config = small_config(Architecture::qwen3);
  const auto weights = random_weights<float>(config);
  const std::string folder = scratch.path("model");
  save_model(folder, weights, ByteTokenizer({.vocabulary = 272}));
  const std::vector<float> frequencies(4, 1.0f);
  const auto store = [&](bool twice) {
    SafetensorsWriter writer;
    for (std::size_t i = 0; i < weights.layout().size(); ++i) {
      const TensorSpec& tensor = weights.layout()[i];
      BOOST_REQUIRE(tensor.name.starts_with("model."));
      writer.add<float>(tensor.name.substr(6), tensor.shape(), weights.values(i));
      if (twice && i == 1) writer.add<float>(tensor.name, tensor.shape(), weights.values(i));
    }
    writer.add<float>("layers.0.self_attn.rotary_emb.inv_freq", {4}, frequencies);
    writer.write(folder + "/model.safetensors");
  };
  store(false);
  const auto loaded = load_model<float>(folder);
  BOOST_TEST(std::equal(weights.flat().begin(), weights.flat().end(), loaded.flat().begin(), loaded.flat().end()));
  store(true);
  BOOST_TEST(refusal<BadFile>([&] { load_model<float>(folder); }).find("twice, under two names") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_saved_folder_keeps_the_settings_of_its_checkpoint) {
  const Scratch scratch;
  const auto weights = random_weights<float>(small_config(Architecture::qwen3));
  const ByteTokenizer tokenizer({.vocabulary = 272});
  const std::string folder = scratch.path("model");
  save_model(folder, weights, tokenizer);
  OrderedJson config = OrderedJson::parse(read_file(folder + "/config.json"));
  config["architectures"] = {"Qwen3Model"};
  config["something_of_mine"] = {1, 2};
  config["auto_map"]["AutoConfig"] = "mine.Config";
  config.erase("dtype");
  write_file(folder + "/config.json", config.dump());
  const std::string generation = R"({"eos_token_id": 257, "do_sample": true, "temperature": 0.7, "top_p": 0.8})";
  write_file(folder + "/generation_config.json", generation);

  const auto trained = load_model<float>(folder);
  const FolderTexts texts = read_folder_texts(folder);
  const auto saved = [&](std::vector<std::int32_t> stops) {
    save_model(folder, trained, tokenizer, {.store = StoreAs::bf16, .texts = texts, .stop_tokens = std::move(stops)});
    return Json::parse(read_file(folder + "/generation_config.json"));
  };
  Json wanted = Json::parse(generation);
  BOOST_TEST(saved({257}) == wanted);
  wanted["eos_token_id"] = {257, 258};
  BOOST_TEST(saved({257, 258}) == wanted);
  Json after = Json::parse(read_file(folder + "/config.json"));
  config["architectures"] = {"Qwen3ForCausalLM"};
  config["torch_dtype"] = "bfloat16";
  config.erase("auto_map");
  BOOST_TEST(after == Json::parse(config.dump()));
  BOOST_CHECK_THROW(save_model(scratch.path("other"), random_weights<float>(small_config(Architecture::llama)),
                               tokenizer, {.texts = texts}),
                    BadArgument);
}

BOOST_AUTO_TEST_CASE(a_folder_without_weights_is_refused) {
  const Scratch scratch;
  write_file(scratch.path("config.json"), config_text(small_config(Architecture::qwen3)));
  BOOST_TEST(refusal<IoError>([&] { load_model<float>(scratch.path(".")); }).find("model.safetensors") !=
             std::string::npos);
  write_file(scratch.path("model.safetensors.index.json"), "{}");
  BOOST_TEST(refusal<BadFile>([&] { load_model<float>(scratch.path(".")); }).find("'weight_map' is missing") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(tokenizer_json_round_trips_and_refuses_others) {
  for (const std::size_t vocabulary : {std::size_t{259}, std::size_t{272}, std::size_t{1000}}) {
    const ByteTokenizer tokenizer({.vocabulary = vocabulary});
    BOOST_TEST((parse_tokenizer(tokenizer_text(tokenizer), "t") == tokenizer));
  }
  const Json good = Json::parse(tokenizer_text(ByteTokenizer()));
  const auto edited = [&](const char* pointer, const Json& value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    return refusal<Unsupported>([&] { parse_tokenizer(json.dump(), "tokenizer.json"); });
  };
  BOOST_TEST(edited("/version", "1.0").empty());
  BOOST_TEST(edited("/model/merges", Json::array({"a b"})).find("model.merges") != std::string::npos);
  BOOST_TEST(edited("/model/type", "Unigram").find("Unigram") != std::string::npos);
  BOOST_TEST(edited("/model/dropout", 0.1).find("model.dropout") != std::string::npos);
  BOOST_TEST(edited("/model/vocab/a", 98).find("byte 97") != std::string::npos);
  BOOST_TEST(edited("/model/vocab/zz", 256).find("257 tokens") != std::string::npos);
  BOOST_TEST(edited("/normalizer", Json{{"type", "NFC"}}).find("normalizer") != std::string::npos);
  BOOST_TEST(edited("/pre_tokenizer/use_regex", true).find("pre_tokenizer.use_regex") != std::string::npos);
  BOOST_TEST(edited("/pre_tokenizer/type", "Whitespace").find("Whitespace") != std::string::npos);
  BOOST_TEST(edited("/added_tokens/2/content", "<end>").find("<|im_end|>") != std::string::npos);
  BOOST_TEST(edited("/added_tokens", Json::array()).find("added_tokens") != std::string::npos);
  BOOST_TEST(edited("/truncation", Json{{"max_length", 3}}).empty());
  BOOST_TEST(edited("/padding", Json{{"strategy", "BatchLongest"}}).empty());
  BOOST_TEST(!refusal<BadFile>([] { parse_tokenizer("{}", "t"); }).empty());
}

BOOST_AUTO_TEST_SUITE_END()
