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
#include "maestro/hub/rope_json.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

namespace detail {

struct FamilyNames {
  std::string_view model_type;
  std::string_view architecture;
};
/// The names of the families, by Architecture.
inline constexpr std::array<FamilyNames, 3> family_names{
    {{"llama", "LlamaForCausalLM"}, {"qwen2", "Qwen2ForCausalLM"}, {"qwen3", "Qwen3ForCausalLM"}}};

inline Architecture read_family(const JsonFields& fields) {
  const std::string remedy = "which is not implemented; llama, qwen2 and qwen3 causal language models are";
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
    if (type.empty() ? architecture == family_names[i].architecture : type == family_names[i].model_type) {
      if (!architecture.empty() && architecture != family_names[i].architecture) {
        fields.unsupported("architectures", remedy);
      }
      return static_cast<Architecture>(i);
    }
  }
  fields.unsupported(type.empty() ? "architectures" : "model_type", remedy);
}

/// Refuses switches that change the result and are implemented here in one position only.
inline void refuse_unimplemented(const JsonFields& fields, Architecture family, std::size_t layers) {
  const auto must_be_off = [&](const char* key, const char* why) {
    if (fields.boolean_or(key, false)) fields.unsupported(key, why);
  };
  if (fields.has("hidden_act") && fields.text("hidden_act") != "silu") {
    fields.unsupported("hidden_act", "which is not implemented; 'silu' is");
  }
  if (family != Architecture::qwen2) {
    must_be_off("attention_bias", "which adds a bias to the output projection too; that is not implemented");
  }
  must_be_off("mlp_bias", "biases in the MLP are not implemented");
  must_be_off("rope_interleaved", "RoPE over neighboring elements is not implemented");
  must_be_off("use_sliding_window", "sliding windows are not implemented");
  if (family == Architecture::llama && fields.has("sliding_window")) {
    fields.unsupported("sliding_window", "sliding windows are not implemented");
  }
  if (fields.number_or("partial_rotary_factor", 1.0) != 1.0) {
    fields.unsupported("partial_rotary_factor", "which is not implemented; 1 is");
  }
  if (fields.has("quantization_config")) {
    fields.unsupported("quantization_config", "quantized checkpoints are not implemented; use one in F32, F16 or BF16");
  }
  if (fields.has("layer_types")) {
    const Json& types = fields.at("layer_types");
    if (!types.is_array() || types.size() != layers) fields.fail("layer_types", "a list with one entry per layer");
    for (const Json& type : types) {
      if (type != Json("full_attention")) {
        throw Unsupported(fields.file() + ": field 'layer_types' holds " + shown(type) +
                          ", which is not implemented; 'full_attention' is");
      }
    }
  }
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!fields.has(key)) continue;
    const std::string& dtype = fields.text(key);
    if (dtype != "float32" && dtype != "bfloat16" && dtype != "float16" && dtype != "float64") {
      fields.unsupported(key, "which is not implemented; float32, float16 and bfloat16 are");
    }
  }
}

/// Refuses a field that nothing here knows, since it might change the result, unless it says nothing (null, false, 0,
/// empty).
inline void refuse_unknown(const JsonFields& fields) {
  static constexpr std::array read{"model_type",
                                   "architectures",
                                   "vocab_size",
                                   "hidden_size",
                                   "num_hidden_layers",
                                   "num_attention_heads",
                                   "num_key_value_heads",
                                   "head_dim",
                                   "intermediate_size",
                                   "rope_theta",
                                   "rope_parameters",
                                   "rope_scaling",
                                   "rms_norm_eps",
                                   "max_position_embeddings",
                                   "tie_word_embeddings",
                                   "bos_token_id",
                                   "eos_token_id",
                                   "pad_token_id",
                                   "hidden_act",
                                   "attention_bias",
                                   "mlp_bias",
                                   "rope_interleaved",
                                   "partial_rotary_factor",
                                   "use_sliding_window",
                                   "sliding_window",
                                   "quantization_config",
                                   "layer_types",
                                   "dtype",
                                   "torch_dtype"};
  // These fields are written by transformers and do not change the logits of a plain forward pass.
  static constexpr std::array harmless{"_name_or_path",
                                       "transformers_version",
                                       "use_cache",
                                       "initializer_range",
                                       "attention_dropout",
                                       "sep_token_id",
                                       "decoder_start_token_id",
                                       "pretraining_tp",
                                       "max_window_layers",
                                       "_attn_implementation",
                                       "_attn_implementation_autoset",
                                       "attn_implementation",
                                       "_commit_hash",
                                       "auto_map",
                                       "task_specific_params",
                                       "problem_type",
                                       "id2label",
                                       "label2id",
                                       "return_dict",
                                       "output_hidden_states",
                                       "output_attentions",
                                       "torchscript",
                                       "chunk_size_feed_forward",
                                       "do_sample",
                                       "temperature",
                                       "top_k",
                                       "top_p",
                                       "typical_p",
                                       "repetition_penalty",
                                       "length_penalty",
                                       "num_beams",
                                       "num_beam_groups",
                                       "num_return_sequences",
                                       "max_length",
                                       "min_length",
                                       "early_stopping",
                                       "diversity_penalty",
                                       "is_decoder",
                                       "tokenizer_class",
                                       "prefix",
                                       "finetuning_task",
                                       "no_repeat_ngram_size",
                                       "encoder_no_repeat_ngram_size",
                                       "exponential_decay_length_penalty",
                                       "begin_suppress_tokens",
                                       "suppress_tokens",
                                       "bad_words_ids",
                                       "forced_bos_token_id",
                                       "forced_eos_token_id",
                                       "remove_invalid_values",
                                       "output_scores",
                                       "return_dict_in_generate",
                                       "is_llama_config",
                                       "transformers.js_config",
                                       "unsloth_fixed",
                                       "unsloth_version"};
  for (const auto& item : fields.json().items()) {
    const std::string& key = item.key();
    const Json& value = item.value();
    const auto same = [&](const char* known) { return key == known; };
    if (std::any_of(read.begin(), read.end(), same) || std::any_of(harmless.begin(), harmless.end(), same)) continue;
    const bool empty = value.is_structured() && value.empty();
    if (value.is_null() || value == Json(false) || value == Json(0) || empty) continue;
    throw Unsupported(fields.file() + ": field " + quote_text(key) + " (" + shown(value) +
                      ") is not known here and might change the result; remove it from the file if it does not");
  }
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

/// Reads pad_token_id. Some files say -1 for none.
inline std::int32_t read_pad_token(const JsonFields& fields) {
  const std::string key = "pad_token_id";
  if (!fields.has(key) || fields.at(key) == Json(-1)) return -1;
  return read_token(fields, key, fields.at(key));
}

/// Runs check(config), and reports its error as one of the file.
inline void validate_file(const ModelConfig& config, const std::string& file) {
  try {
    check(config);
  } catch (const BadArgument& error) {
    throw BadFile(file + ": " + error.what());
  }
}

}  // namespace detail

/// Reads the text of a config.json; `file` is named in messages.
/// @throws BadFile naming field and content for what is missing or wrong, Unsupported for what would change the result
///   and is not implemented (sliding windows, RoPE types, other activations, quantization, unknown fields).
inline ModelConfig parse_config(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields fields(json, file);
  constexpr std::size_t most = std::size_t{1} << 30;
  ModelConfig config;
  config.architecture = detail::read_family(fields);
  const bool llama = config.architecture == Architecture::llama;
  config.layers = fields.positive("num_hidden_layers", most);
  detail::refuse_unimplemented(fields, config.architecture, config.layers);
  detail::refuse_unknown(fields);

  config.vocabulary = fields.positive("vocab_size", most);
  config.hidden = fields.positive("hidden_size", most);
  config.heads = fields.positive("num_attention_heads", most);
  config.intermediate = fields.positive("intermediate_size", most);
  // If a field is absent, transformers' class of the family says what it is; null always means one per query head.
  const bool null_or_llama = llama || json.contains("num_key_value_heads");
  config.kv_heads = fields.positive_or("num_key_value_heads", null_or_llama ? config.heads : 32, most);
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
  config.max_positions = fields.positive_or("max_position_embeddings", llama ? 2048 : 32768, most);
  detail::read_rope(fields, config);
  config.head = fields.boolean_or("tie_word_embeddings", false) ? HeadWeights::tied : HeadWeights::separate;
  config.qkv_bias = config.architecture == Architecture::qwen2 ? QkvBias::present : QkvBias::absent;
  config.query_key_norm = config.architecture == Architecture::qwen3 ? QueryKeyNorm::present : QueryKeyNorm::absent;
  if (fields.has("bos_token_id")) {
    config.begin_token = detail::read_token(fields, "bos_token_id", fields.at("bos_token_id"));
  }
  detail::add_end_tokens(fields, config.end_tokens);
  config.pad_token = detail::read_pad_token(fields);
  detail::validate_file(config, file);
  return config;
}

/// Adds the end tokens of the text of a generation_config.json after those of `config`. Such a file otherwise says how
/// to draw (temperature, top_k, ...), which is the caller's choice.
/// @throws BadFile naming field and content.
inline void add_generation_config(std::string_view text, const std::string& file, ModelConfig& config) {
  const Json json = parse_json(text, file);
  detail::add_end_tokens(JsonFields(json, file), config.end_tokens);
  detail::validate_file(config, file);
}

/// Reads a config.json.
/// @throws as parse_config, and IoError.
inline ModelConfig load_config(const std::string& path) {
  return parse_config(read_file(path, std::size_t{1} << 24), path);
}

/// Reads the config.json of a model folder, and its generation_config.json if there is one.
/// @throws as parse_config and add_generation_config, and IoError.
inline ModelConfig load_model_config(const std::string& folder) {
  ModelConfig config = load_config(folder + "/config.json");
  const std::string generation = folder + "/generation_config.json";
  if (path_exists(generation)) add_generation_config(read_file(generation, std::size_t{1} << 24), generation, config);
  return config;
}

/// Writes the text of a config.json that transformers (4 and 5) and parse_config read. `dtype` is the type in which the
/// weights are stored.
/// @throws Unsupported if the family's config.json cannot say what `config` says.
inline std::string config_text(const ModelConfig& config, std::string_view dtype = "float32") {
  check(config);
  const bool llama = config.architecture == Architecture::llama;
  const bool qwen2 = config.architecture == Architecture::qwen2;
  const bool qwen3 = config.architecture == Architecture::qwen3;
  if ((config.qkv_bias == QkvBias::present) != qwen2 || (config.query_key_norm == QueryKeyNorm::present) != qwen3) {
    throw Unsupported(
        "config.json: llama has neither biases nor query/key norms, qwen2 has q/k/v biases, qwen3 has query/key norms; "
        "another combination cannot be written");
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
  if (!qwen2) json["attention_bias"] = false;
  if (llama) json["mlp_bias"] = false;
  if (!llama) json["use_sliding_window"] = false;
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
