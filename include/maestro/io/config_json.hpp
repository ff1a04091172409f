#pragma once

/// @file
/// config.json of Hugging Face checkpoints <-> ModelConfig.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

namespace detail {

struct FamilyNames {
  std::string_view model_type;
  std::string_view architecture;
};
/// By Architecture.
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

/// The object of RoPE parameters, in its new place (`rope_parameters`) or old one (`rope_scaling`): only the default
/// type.
inline void read_rope_object(const JsonFields& fields, const char* key, double& theta, bool& found) {
  if (!fields.has(key)) return;
  const JsonFields rope = fields.object(key);
  for (const auto& [name, value] : rope.json().items()) {
    if (value.is_null()) continue;
    if (name == "rope_type" || name == "type") {
      if (rope.text(name) != "default") rope.unsupported(name, "which is not implemented; 'default' is");
    } else if (name == "rope_theta") {
      const double given = rope.positive_number(name);
      if (found && given != theta) {
        throw BadFile(fields.file() + ": field 'rope_theta' is given twice with different values");
      }
      theta = given;
      found = true;
    } else if (name == "partial_rotary_factor") {
      if (rope.number(name) != 1.0) rope.unsupported(name, "which is not implemented; 1 is");
    } else {
      rope.unsupported(name, "a field that is not implemented");
    }
  }
}

inline double read_rope(const JsonFields& fields) {
  double theta = 10000.0;
  bool found = fields.has("rope_theta");
  if (found) theta = fields.positive_number("rope_theta");
  read_rope_object(fields, "rope_parameters", theta, found);
  read_rope_object(fields, "rope_scaling", theta, found);
  return theta;
}

/// Switches that change the result and exist here in one position only.
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
  must_be_off("use_sliding_window", "sliding windows are not implemented");
  if (family == Architecture::llama && fields.has("sliding_window")) {
    fields.unsupported("sliding_window", "sliding windows are not implemented");
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

/// A field that nothing here knows might change the result: refused, unless it says nothing (null, false, 0).
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
                                   "hidden_act",
                                   "attention_bias",
                                   "mlp_bias",
                                   "use_sliding_window",
                                   "sliding_window",
                                   "quantization_config",
                                   "layer_types",
                                   "dtype",
                                   "torch_dtype"};
  // What transformers writes and what does not change the logits of a plain forward pass.
  static constexpr std::array harmless{"_name_or_path",
                                       "transformers_version",
                                       "use_cache",
                                       "initializer_range",
                                       "attention_dropout",
                                       "pad_token_id",
                                       "sep_token_id",
                                       "decoder_start_token_id",
                                       "pretraining_tp",
                                       "max_window_layers",
                                       "_attn_implementation",
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
                                       "unsloth_fixed",
                                       "unsloth_version"};
  for (const auto& item : fields.json().items()) {
    const std::string& key = item.key();
    const Json& value = item.value();
    const auto same = [&](const char* known) { return key == known; };
    if (std::any_of(read.begin(), read.end(), same) || std::any_of(harmless.begin(), harmless.end(), same)) continue;
    if (value.is_null() || value == Json(false) || value == Json(0)) continue;
    throw Unsupported(fields.file() + ": field " + quote_text(key) + " (" + shown(value) +
                      ") is not known here and might change the result; remove it from the file if it does not");
  }
}

inline std::int32_t read_token(const JsonFields& fields, const std::string& key, const Json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > 0x7fffffffu) fields.fail(key, "a token id");
  return value.get<std::int32_t>();
}

}  // namespace detail

/// Reads the text of a config.json; `file` is named in messages.
/// @throws BadFile naming field and content for what is missing or wrong, Unsupported for what would change the result
///         and is not implemented (sliding windows, RoPE types, other activations, quantization, unknown fields).
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
  // Where a field is absent, transformers' class of the family says what it is; null always means one per query head.
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
  config.rope_theta = detail::read_rope(fields);
  config.norm_eps = fields.number_or("rms_norm_eps", 1e-6);
  config.max_positions = fields.positive_or("max_position_embeddings", llama ? 2048 : 32768, most);
  config.head = fields.boolean_or("tie_word_embeddings", false) ? HeadWeights::tied : HeadWeights::separate;
  config.qkv_bias = config.architecture == Architecture::qwen2 ? QkvBias::present : QkvBias::absent;
  config.query_key_norm = config.architecture == Architecture::qwen3 ? QueryKeyNorm::present : QueryKeyNorm::absent;
  if (fields.has("bos_token_id")) {
    config.begin_token = detail::read_token(fields, "bos_token_id", fields.at("bos_token_id"));
  }
  if (fields.has("eos_token_id")) {
    const Json& end = fields.at("eos_token_id");
    if (end.is_array()) {
      for (const Json& id : end) config.end_tokens.push_back(detail::read_token(fields, "eos_token_id", id));
    } else {
      config.end_tokens.push_back(detail::read_token(fields, "eos_token_id", end));
    }
  }
  try {
    validate(config);
  } catch (const BadArgument& error) {
    throw BadFile(file + ": " + error.what());
  }
  return config;
}

/// Reads a config.json. @throws as parse_config, and IoError.
inline ModelConfig load_config(const std::string& path) {
  return parse_config(read_file(path, std::size_t{1} << 24), path);
}

/// The text of a config.json that transformers (4 and 5) and parse_config read; `dtype` is what the weights are stored
/// as.
/// @throws Unsupported when the family's config.json cannot say what `config` says.
inline std::string config_text(const ModelConfig& config, std::string_view dtype = "float32") {
  validate(config);
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
  json["rope_theta"] = config.rope_theta;
  json["rope_parameters"] = OrderedJson{{"rope_theta", config.rope_theta}, {"rope_type", "default"}};
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
  json["dtype"] = std::string(dtype);
  json["torch_dtype"] = std::string(dtype);
  json["use_cache"] = true;
  return dump_json(json, 2) + "\n";
}

}  // namespace maestro
