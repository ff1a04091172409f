#pragma once

/// @file
/// The configuration of a GGUF file's model: the architectures llama (also used for Mistral), qwen2 and qwen3.
/// Source: https://github.com/ggml-org/llama.cpp (names in gguf-py/gguf/constants.py, conversion/llama.py).

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layers/rope.hpp"
#include "maestro/model/layout.hpp"

namespace maestro {

namespace detail {

/// The names of tensors in GGUF files, by TensorKind. Those of a layer follow "blk.N.".
inline constexpr std::array<std::string_view, tensor_kinds> gguf_names{
    "token_embd.weight",  "attn_norm.weight", "attn_q.weight",   "attn_k.weight",      "attn_v.weight",
    "attn_q.bias",        "attn_k.bias",      "attn_v.bias",     "attn_q_norm.weight", "attn_k_norm.weight",
    "attn_output.weight", "attn_output.bias", "ffn_norm.weight", "ffn_gate.weight",    "ffn_up.weight",
    "ffn_gate.bias",      "ffn_up.bias",      "ffn_down.weight", "ffn_down.bias",      "output_norm.weight",
    "output.weight"};
inline constexpr std::string_view gguf_rope_factors = "rope_freqs.weight";

inline std::string gguf_name(TensorKind kind, std::size_t layer) {
  const std::string name(gguf_names[static_cast<std::size_t>(kind)]);
  return is_in_layer(kind) ? "blk." + std::to_string(layer) + "." + name : name;
}

/// The architectures that are read, by Architecture.
inline constexpr std::array<std::string_view, 3> gguf_architectures{"llama", "qwen2", "qwen3"};

/// GgufFields reads the metadata of one architecture.
class GgufFields {
 public:
  explicit GgufFields(const GgufFile& file) : file_(file) {
    const auto* name = file.find_value<std::string>("general.architecture");
    if (name == nullptr) refuse("general.architecture");
    prefix_ = *name + ".";
    const auto at = std::find(gguf_architectures.begin(), gguf_architectures.end(), *name);
    if (at == gguf_architectures.end()) {
      throw Unsupported(file.path() + ": general.architecture is " + quote_text(*name) +
                        ", which is not implemented; llama, qwen2 and qwen3 are");
    }
    architecture_ = static_cast<Architecture>(at - gguf_architectures.begin());
  }

  Architecture architecture() const { return architecture_; }
  /// Gives a positive integer, or the fallback if it is missing. With a fallback of 0 it must exist.
  std::size_t size(const std::string& key, std::size_t fallback = 0) const {
    const auto* value = file_.find_value<std::int64_t>(prefix_ + key);
    if (value == nullptr && fallback == 0) refuse(prefix_ + key);
    if (value != nullptr && (*value < 1 || *value > (std::int64_t{1} << 30))) refuse(prefix_ + key);
    return value == nullptr ? fallback : static_cast<std::size_t>(*value);
  }
  double number(const std::string& key, double fallback) const {
    const auto* value = file_.find_value<double>(prefix_ + key);
    return value == nullptr ? fallback : *value;
  }
  std::string text(const std::string& key) const {
    const auto* value = file_.find_value<std::string>(prefix_ + key);
    return value == nullptr ? "" : *value;
  }
  /// Gives the id of a special token, or -1.
  std::int32_t token(const std::string& name) const {
    const std::string key = "tokenizer.ggml." + name + "_token_id";
    const auto* value = file_.find_value<std::int64_t>(key);
    if (value != nullptr && (*value < 0 || *value > 0x7fffffff)) refuse(key);
    return value == nullptr ? -1 : static_cast<std::int32_t>(*value);
  }
  [[noreturn]] void refuse(const std::string& key) const {
    throw BadFile(file_.path() + ": metadata " + quote_text(key) + " is missing or out of its range");
  }
  [[noreturn]] void unsupported(const std::string& key, const std::string& what) const {
    throw Unsupported(file_.path() + ": metadata " + quote_text(prefix_ + key) + ": " + what);
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
  Architecture architecture_ = Architecture::llama;
};

/// Refuses files that do not contain a whole model.
inline void refuse_other_gguf(const GgufFile& file) {
  const auto* type = file.find_value<std::string>("general.type");
  if (type != nullptr && *type != "model") {
    throw Unsupported(file.path() + ": general.type is " + quote_text(*type) + ", wanted a model");
  }
  const auto* parts = file.find_value<std::int64_t>("split.count");
  if (parts != nullptr && *parts > 1) {
    throw Unsupported(file.path() + ": one of " + std::to_string(*parts) +
                      " parts; join them with llama.cpp's llama-gguf-split --merge");
  }
}

/// Finds the scaling of Llama 3 for which a file stores factors instead of its parameters.
inline RopeScaling scaling_of_factors(const GgufFile& file, const GgufTensor& tensor, const ModelConfig& config) {
  std::vector<float> factors(tensor.count);
  file.read(tensor, factors);
  RopeOptions plain = config.rope();
  plain.scaling = {};
  RopeOptions scaled = plain;
  scaled.scaling.type = RopeType::llama3;
  scaled.scaling.factor = factors.empty() ? 1.0 : *std::max_element(factors.begin(), factors.end());
  bool same = factors.size() == config.head_dim / 2 && scaled.scaling.factor >= 1.0;
  for (std::size_t i = 0; i < factors.size() && same; ++i) {
    const double wanted = rope_frequency(plain, i) / rope_frequency(scaled, i);
    same = std::abs(static_cast<double>(factors[i]) - wanted) < 1e-4 * wanted;
  }
  if (!same) {
    throw Unsupported(file.path() + ": tensor " + quote_text(gguf_rope_factors) +
                      " holds other factors than Llama 3's, which is not implemented");
  }
  return scaled.scaling;
}

inline void read_gguf_rope(const GgufFile& file, const GgufFields& fields, ModelConfig& config) {
  config.rope_theta = fields.number("rope.freq_base", 10000.0);
  if (fields.size("rope.dimension_count", config.head_dim) != config.head_dim) {
    fields.unsupported("rope.dimension_count", "turning a part of a head is not implemented");
  }
  RopeScaling& s = config.rope_scaling;
  const std::string type = fields.text("rope.scaling.type");
  if (type == "linear" || type == "yarn") {
    s.type = type == "linear" ? RopeType::linear : RopeType::yarn;
    s.factor = fields.number("rope.scaling.factor", 1.0);
    if (type == "yarn") {
      s.original_max_positions = fields.size("rope.scaling.original_context_length", config.max_positions);
      s.attention_factor = fields.number("rope.scaling.attn_factor", 1.0) * (0.1 * std::log(s.factor) + 1.0);
    }
  } else if (!type.empty() && type != "none") {
    fields.unsupported("rope.scaling.type", quote_text(type) + " is not implemented; \"linear\" and \"yarn\" are");
  }
  if (const GgufTensor* factors = file.find(gguf_rope_factors)) s = scaling_of_factors(file, *factors, config);
}

}  // namespace detail

/// Reads the configuration of a GGUF file's model. Most of it is in the metadata; the tensors show whether the model
/// has biases and a separate head.
/// @throws BadFile naming metadata that are missing or out of range; Unsupported naming what is not implemented (other
///         architectures, one part of several, adapters).
inline ModelConfig load_gguf_config(const GgufFile& file) {
  detail::refuse_other_gguf(file);
  const detail::GgufFields fields(file);
  const auto has = [&](TensorKind kind) { return file.find(detail::gguf_name(kind, 0)) != nullptr; };
  ModelConfig config;
  config.architecture = fields.architecture();
  const GgufTensor* embedding = file.find(detail::gguf_name(TensorKind::embedding, 0));
  if (embedding == nullptr) throw BadFile(file.path() + ": tensor \"token_embd.weight\" is missing");
  config.vocabulary = embedding->shape.front();
  config.layers = fields.size("block_count");
  config.hidden = fields.size("embedding_length");
  config.intermediate = fields.size("feed_forward_length");
  config.heads = fields.size("attention.head_count");
  config.kv_heads = fields.size("attention.head_count_kv", config.heads);
  config.head_dim = fields.size("attention.key_length", std::max<std::size_t>(config.hidden / config.heads, 1));
  config.norm_eps = fields.number("attention.layer_norm_rms_epsilon", 1e-6);
  config.max_positions = fields.size("context_length");
  if (fields.size("attention.sliding_window", config.max_positions) < config.max_positions) {
    fields.unsupported("attention.sliding_window",
                       "the file does not say which layers have it; a folder with a config.json does");
  }
  detail::read_gguf_rope(file, fields, config);
  config.head = has(TensorKind::head) ? HeadWeights::separate : HeadWeights::tied;
  config.qkv_bias = has(TensorKind::query_bias) ? QkvBias::present : QkvBias::absent;
  config.output_bias = has(TensorKind::output_bias) ? OutputBias::present : OutputBias::absent;
  config.mlp_bias = has(TensorKind::gate_bias) ? MlpBias::present : MlpBias::absent;
  config.query_key_norm = has(TensorKind::query_norm) ? QueryKeyNorm::present : QueryKeyNorm::absent;
  config.begin_token = fields.token("bos");
  config.pad_token = fields.token("padding");
  for (const char* end : {"eos", "eot"}) {
    const std::int32_t token = fields.token(end);
    const auto& ends = config.end_tokens;
    if (token >= 0 && std::find(ends.begin(), ends.end(), token) == ends.end()) config.end_tokens.push_back(token);
  }
  try {
    check(config);
  } catch (const BadArgument& error) {
    throw BadFile(file.path() + ": " + error.what());
  }
  return config;
}

}  // namespace maestro
