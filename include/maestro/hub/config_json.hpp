#pragma once

/// @file
/// Conversion between ModelConfig and the config.json and generation_config.json of Hugging Face checkpoints.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/config_fields.hpp"
#include "maestro/hub/gguf_config.hpp"
#include "maestro/hub/rope_json.hpp"
#include "maestro/hub/window_json.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

namespace detail {

struct FamilyNames {
  std::string_view model_type;
  std::string_view architecture;
};
/// The names of the families, by Architecture.
inline constexpr std::array<FamilyNames, 4> family_names{{{"llama", "LlamaForCausalLM"},
                                                          {"qwen2", "Qwen2ForCausalLM"},
                                                          {"qwen3", "Qwen3ForCausalLM"},
                                                          {"mistral", "MistralForCausalLM"}}};

/// Tells whether a name is that of a causal model of the family: its own, that of the model without a head, or the
/// spelling of the first converted checkpoints.
inline bool is_causal_name(const FamilyNames& family, std::string_view name) {
  const std::string_view own = family.architecture;
  const std::string_view stem = own.substr(0, own.size() - std::string_view("ForCausalLM").size());
  return name == own || (name.starts_with(stem) && name.substr(stem.size()) == "Model") ||
         (own == "LlamaForCausalLM" && name == "LLaMAForCausalLM");
}

inline Architecture read_family(const JsonFields& fields) {
  const std::string remedy = "which is not implemented; causal language models of llama, mistral, qwen2 and qwen3 are";
  std::string type = fields.text_or("model_type", "");
  std::string architecture;
  if (fields.has("architectures")) {
    const Json& list = fields.at("architectures");
    if (!list.is_array() || list.size() != 1 || !list[0].is_string())
      fields.fail("architectures", "a list of one name");
    architecture = list[0].get<std::string>();
  }
  if (type.empty() && architecture.empty()) fields.at("model_type");
  for (std::size_t i = 0; i < family_names.size(); ++i) {
    if (type.empty() ? is_causal_name(family_names[i], architecture) : type == family_names[i].model_type) {
      if (!architecture.empty() && !is_causal_name(family_names[i], architecture)) {
        fields.unsupported("architectures", remedy);
      }
      return static_cast<Architecture>(i);
    }
  }
  fields.unsupported(type.empty() ? "architectures" : "model_type", remedy);
}

/// Sets the biases. qwen2 has those of queries, keys and values; attention_bias also adds that of the output
/// projection.
inline void read_biases(const JsonFields& fields, ModelConfig& config) {
  const bool qwen2 = config.architecture == Architecture::qwen2;
  const bool llama = config.architecture == Architecture::llama;
  const bool attention =
      (llama || config.architecture == Architecture::qwen3) && fields.boolean_or("attention_bias", false);
  const bool mlp = llama && fields.boolean_or("mlp_bias", false);
  config.qkv_bias = qwen2 || attention ? QkvBias::present : QkvBias::absent;
  config.output_bias = attention ? OutputBias::present : OutputBias::absent;
  config.mlp_bias = mlp ? MlpBias::present : MlpBias::absent;
}

inline std::int32_t read_token(const JsonFields& fields, const std::string& key, const Json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fffffffu) fields.fail(key, "a token id");
  return value.get<std::int32_t>();
}

/// Adds the ids of `eos_token_id`, one or a list, to `tokens` if they are not in it yet.
inline void add_end_tokens(const JsonFields& fields, std::vector<std::int32_t>& tokens) {
  const std::string key = "eos_token_id";
  if (!fields.has(key)) return;
  const auto add = [&](const Json& value) {
    const std::int32_t id = read_token(fields, key, value);
    if (std::find(tokens.begin(), tokens.end(), id) == tokens.end()) tokens.push_back(id);
  };
  const Json& end = fields.at(key);
  if (!end.is_array()) return add(end);
  for (const Json& id : end) add(id);
}

/// Reads pad_token_id. In some files -1 means none.
inline std::int32_t read_pad_token(const JsonFields& fields) {
  const std::string key = "pad_token_id";
  if (!fields.has(key) || fields.at(key) == Json(-1)) return -1;
  return read_token(fields, key, fields.at(key));
}

/// Runs check(config), and reports its error as an error of the file.
inline void check_file(const ModelConfig& config, const std::string& file) {
  try {
    check(config);
  } catch (const BadArgument& error) {
    throw BadFile(file + ": " + error.what());
  }
}

}  // namespace detail

/// Reads the text of a config.json. Fields that transformers' class of the family does not know are ignored, as in
/// transformers; ignored_config_fields lists them.
/// @param file  name of the file, for messages.
/// @throws BadFile naming field and value for a missing or wrong field; Unsupported for what changes the result and is
///         not implemented (RoPE types, other activations, quantization, ...).
inline ModelConfig parse_config(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields fields(json, file);
  constexpr std::size_t most = std::size_t{1} << 30;
  constexpr std::size_t max_layers = 4096;  // each gets a place before check() sees the rest
  ModelConfig config;
  config.architecture = detail::read_family(fields);
  // If a field is absent, transformers' class of the family says what it is.
  const bool llama = config.architecture == Architecture::llama;
  const bool mistral = config.architecture == Architecture::mistral;
  config.layers = fields.positive("num_hidden_layers", max_layers);
  config.max_positions = fields.positive_or("max_position_embeddings", llama ? 2048 : mistral ? 131072 : 32768, most);
  detail::refuse_unimplemented(fields);
  detail::read_windows(fields, config);

  config.vocabulary = fields.positive("vocab_size", most);
  config.hidden = fields.positive("hidden_size", most);
  config.heads = fields.positive("num_attention_heads", most);
  config.intermediate = fields.positive("intermediate_size", most);
  // Null always means one per query head.
  const bool null_or_llama = llama || json.contains("num_key_value_heads");
  config.kv_heads = fields.positive_or("num_key_value_heads", null_or_llama ? config.heads : mistral ? 8 : 32, most);
  if (fields.has("head_dim")) {
    config.head_dim = fields.positive("head_dim", most);
  } else if (config.architecture == Architecture::qwen3 && !json.contains("head_dim")) {
    config.head_dim = 128;
  } else {
    if (config.hidden % config.heads != 0)
      fields.fail("hidden_size", "a multiple of num_attention_heads, or head_dim given");
    config.head_dim = config.hidden / config.heads;
  }
  config.norm_eps = fields.number_or("rms_norm_eps", 1e-6);
  detail::read_rope(fields, config);
  config.head = fields.boolean_or("tie_word_embeddings", false) ? HeadWeights::tied : HeadWeights::separate;
  detail::read_biases(fields, config);
  config.query_key_norm = config.architecture == Architecture::qwen3 ? QueryKeyNorm::present : QueryKeyNorm::absent;
  if (fields.has("bos_token_id")) {
    config.begin_token = detail::read_token(fields, "bos_token_id", fields.at("bos_token_id"));
  }
  detail::add_end_tokens(fields, config.end_tokens);
  config.pad_token = detail::read_pad_token(fields);
  detail::check_file(config, file);
  return config;
}

/// Gives the sorted names of fields in a config.json's text that have a value and that neither this library nor
/// transformers reads. A program should report them once.
/// @throws BadFile if the text is not a JSON object.
inline std::vector<std::string> ignored_config_fields(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields fields(json, file);
  std::vector<std::string> names = detail::ignored_fields(fields.json());
  detail::add_ignored_rope_fields(json, names);
  return names;
}

/// Adds the end tokens of the text of a generation_config.json after those of `config`. The other fields of the file
/// concern sampling (temperature, top_k, ...), which the caller decides.
/// @throws BadFile naming field and value.
inline void add_generation_config(std::string_view text, const std::string& file, ModelConfig& config) {
  const Json json = parse_json(text, file);
  detail::add_end_tokens(JsonFields(json, file), config.end_tokens);
  detail::check_file(config, file);
}

/// Reads a config.json.
/// @throws IoError; BadFile or Unsupported as parse_config.
inline ModelConfig load_config(const std::string& path) {
  return parse_config(read_file(path, std::size_t{1} << 24), path);
}

/// Reads the config.json of a model folder, and its generation_config.json if there is one; or the metadata of a GGUF
/// file.
/// @throws IoError; BadFile or Unsupported as parse_config, add_generation_config and load_gguf_config.
inline ModelConfig load_model_config(const std::string& folder) {
  if (is_gguf(folder)) return load_gguf_config(GgufFile(folder));
  ModelConfig config = load_config(folder + "/config.json");
  const std::string generation = folder + "/generation_config.json";
  if (path_exists(generation)) add_generation_config(read_file(generation, std::size_t{1} << 24), generation, config);
  return config;
}

/// Gives ignored_config_fields of the config.json of a folder; none for a GGUF file.
/// @throws IoError; BadFile if it is not a JSON object.
inline std::vector<std::string> load_ignored_config_fields(const std::string& folder) {
  if (is_gguf(folder)) return {};
  const std::string path = folder + "/config.json";
  return ignored_config_fields(read_file(path, std::size_t{1} << 24), path);
}

/// Gives the text of a config.json that transformers (4 and 5) and parse_config read.
/// @param dtype  the type in which the weights are stored.
/// @throws Unsupported if the family's config.json cannot express `config`; BadArgument if `config` is not valid.
inline std::string config_text(const ModelConfig& config, std::string_view dtype = "float32") {
  check(config);
  const bool llama = config.architecture == Architecture::llama;
  const bool qwen2 = config.architecture == Architecture::qwen2;
  const bool qwen3 = config.architecture == Architecture::qwen3;
  const bool attention_bias = (llama || qwen3) && config.qkv_bias == QkvBias::present;
  if ((config.qkv_bias == QkvBias::present) != (qwen2 || attention_bias) ||
      (config.output_bias == OutputBias::present) != attention_bias ||
      (config.mlp_bias == MlpBias::present && !llama) || (config.query_key_norm == QueryKeyNorm::present) != qwen3) {
    throw Unsupported(
        "config.json: mistral has no biases, qwen2 those of queries, keys and values, llama and qwen3 none or all of "
        "attention, llama also those of the MLP; qwen3 has query/key norms; another combination cannot be written");
  }
  const auto& names = detail::family_names[static_cast<std::size_t>(config.architecture)];
  OrderedJson json = OrderedJson::object();
  json["architectures"] = std::vector<std::string>{std::string(names.architecture)};
  json["model_type"] = std::string(names.model_type);
  json["vocab_size"] = config.vocabulary;
  json["hidden_size"] = config.hidden;
  json["intermediate_size"] = config.intermediate;
  json["num_hidden_layers"] = config.layers;
  json["num_attention_heads"] = config.heads;
  json["num_key_value_heads"] = config.kv_heads;
  json["head_dim"] = config.head_dim;
  json["hidden_act"] = "silu";
  json["max_position_embeddings"] = config.max_positions;
  json["rms_norm_eps"] = config.norm_eps;
  detail::write_rope(config, json);
  json["tie_word_embeddings"] = config.head == HeadWeights::tied;
  if (llama || qwen3) json["attention_bias"] = attention_bias;
  if (llama) json["mlp_bias"] = config.mlp_bias == MlpBias::present;
  detail::write_windows(config, json);
  json["attention_dropout"] = 0.0;
  json["initializer_range"] = 0.02;
  json["bos_token_id"] = config.begin_token >= 0 ? OrderedJson(config.begin_token) : OrderedJson();
  json["eos_token_id"] = config.end_tokens.empty()       ? OrderedJson()
                         : config.end_tokens.size() == 1 ? OrderedJson(config.end_tokens[0])
                                                         : OrderedJson(config.end_tokens);
  if (config.pad_token >= 0) json["pad_token_id"] = config.pad_token;
  json["dtype"] = std::string(dtype);
  json["torch_dtype"] = std::string(dtype);
  json["use_cache"] = true;
  return dump_json(json, 2) + "\n";
}

}  // namespace maestro
