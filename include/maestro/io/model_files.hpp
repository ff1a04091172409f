#pragma once

/// @file
/// A model folder in Hugging Face's layout: config.json, model.safetensors, generation_config.json, and the tokenizer's
/// tokenizer.json and tokenizer_config.json.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/config_json.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/io/tokenizer_json.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro {

/// Element type of stored weights. F32 is exact for models in float; BF16 halves the file and rounds to nearest.
enum class StoreAs : std::uint8_t { f32, bf16 };

namespace detail {

/// Norms and biases are vectors in checkpoints, everything else a matrix.
template <class View>
std::vector<std::size_t> stored_shape(const View& view) {
  if (view.rows == 1 && view.decay == WeightDecay::skip) return {view.cols};
  return {view.rows, view.cols};
}

inline void check_shape(const SafetensorsFile& file, std::string_view name, std::span<const std::size_t> wanted) {
  const TensorInfo& tensor = file.at(name);
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), wanted.begin(), wanted.end())) {
    throw BadFile(file.path() + ": tensor " + quote_text(name) + " has shape " + shape_text(tensor.shape) +
                  ", config.json wants " + shape_text(wanted));
  }
}

/// Compares the sizes that config.json claims with the file before anything of that size is allocated.
inline void check_sizes(const SafetensorsFile& file, const ModelConfig& c) {
  check_shape(file, "model.embed_tokens.weight", std::array{c.vocabulary, c.hidden});
  for (std::size_t l = 0; l < c.layers; ++l) {
    const std::string prefix = "model.layers." + std::to_string(l) + ".";
    check_shape(file, prefix + "self_attn.q_proj.weight", std::array{c.query_size(), c.hidden});
    check_shape(file, prefix + "self_attn.k_proj.weight", std::array{c.key_size(), c.hidden});
    check_shape(file, prefix + "mlp.gate_proj.weight", std::array{c.intermediate, c.hidden});
  }
}

/// A tied head may be stored too, as long as it is the embedding.
inline void check_tied_head(const SafetensorsFile& file) {
  const TensorInfo* head = file.find("lm_head.weight");
  if (head == nullptr) return;
  const TensorInfo& embedding = file.at("model.embed_tokens.weight");
  if (head->dtype != embedding.dtype || head->shape != embedding.shape ||
      std::memcmp(head->bytes.data(), embedding.bytes.data(), embedding.bytes.size()) != 0) {
    throw BadFile(file.path() +
                  ": tensor \"lm_head.weight\" differs from \"model.embed_tokens.weight\", but config.json says "
                  "tie_word_embeddings; set it to false to use the stored head");
  }
}

/// "a", "b" and 3 more.
inline std::string name_list(const std::vector<std::string>& names) {
  std::string text;
  const std::size_t listed = std::min<std::size_t>(names.size(), 5);
  for (std::size_t i = 0; i < listed; ++i) text.append(i > 0 ? ", " : "").append(quote_text(names[i]));
  if (names.size() > listed) text.append(" and ").append(std::to_string(names.size() - listed)).append(" more");
  return text;
}

/// Every tensor that the model wants is there, and no other.
template <class T>
void check_names(const SafetensorsFile& file, const ModelWeights<T>& weights) {
  std::unordered_set<std::string> wanted;
  std::vector<std::string> missing;
  std::vector<std::string> surplus;
  weights.visit([&](const auto& view) {
    wanted.emplace(view.name);
    if (file.find(view.name) == nullptr) missing.emplace_back(view.name);
  });
  if (weights.config().head == HeadWeights::tied) wanted.emplace("lm_head.weight");
  for (const TensorInfo& tensor : file.tensors()) {
    if (!wanted.contains(tensor.name)) surplus.push_back(tensor.name);
  }
  std::string message;
  if (!missing.empty()) message += " missing tensors: " + name_list(missing) + ";";
  if (!surplus.empty()) message += " tensors that the model of config.json does not have: " + name_list(surplus) + ";";
  if (message.empty()) return;
  message.pop_back();
  throw BadFile(file.path() + ":" + message);
}

}  // namespace detail

/// Writes the weights alone, in the order and layout of transformers' own checkpoints; a tied head is left out.
/// @throws IoError; an older file survives.
template <class T>
void save_weights(const std::string& path, const ModelWeights<T>& weights, StoreAs store = StoreAs::f32) {
  SafetensorsWriter writer;
  const Dtype dtype = store == StoreAs::f32 ? Dtype::f32 : Dtype::bf16;
  weights.visit([&](const auto& view) {
    writer.add_as<T>(dtype, std::string(view.name), detail::stored_shape(view), view.values);
  });
  writer.set_metadata("format", "pt");
  writer.write(path);
}

/// Reads the weights of a model with this configuration from a safetensors file in F64, F32, F16 or BF16.
/// @throws BadFile naming tensors that are missing, surplus, of another shape, or not finite; IoError.
template <class T>
ModelWeights<T> load_weights(const std::string& path, const ModelConfig& config) {
  const SafetensorsFile file(path);
  detail::check_sizes(file, config);
  ModelWeights<T> weights(config);
  detail::check_names(file, weights);
  weights.visit([&](auto view) {
    detail::check_shape(file, view.name, detail::stored_shape(view));
    file.read<T>(view.name, view.values);
    for (const T value : view.values) {
      if (!std::isfinite(value)) {
        throw BadFile(path + ": tensor " + detail::quote_text(view.name) + " holds a value that is not finite");
      }
    }
  });
  if (config.head == HeadWeights::tied) detail::check_tied_head(file);
  return weights;
}

/// Writes config.json, generation_config.json and model.safetensors into an existing folder, each at once or not at
/// all.
/// @throws IoError, Unsupported as config_text.
template <class T>
void write_model_files(const std::string& folder, const ModelWeights<T>& weights, StoreAs store = StoreAs::f32) {
  const ModelConfig& config = weights.config();
  write_file(folder + "/config.json", config_text(config, store == StoreAs::f32 ? "float32" : "bfloat16"));
  OrderedJson generation = OrderedJson::object();
  if (config.begin_token >= 0) generation["bos_token_id"] = config.begin_token;
  if (!config.end_tokens.empty()) {
    generation["eos_token_id"] = config.end_tokens;
    generation["pad_token_id"] = config.end_tokens.front();
  }
  write_file(folder + "/generation_config.json", dump_json(generation, 2) + "\n");
  save_weights(folder + "/model.safetensors", weights, store);
}

/// Writes tokenizer.json and tokenizer_config.json into an existing folder. @throws IoError
inline void write_tokenizer_files(const std::string& folder, const ByteTokenizer& tokenizer) {
  write_file(folder + "/tokenizer.json", tokenizer_text(tokenizer));
  OrderedJson json = OrderedJson::object();
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  json["add_prefix_space"] = false;
  json["clean_up_tokenization_spaces"] = false;
  json["eos_token"] = tokenizer.special_name(tokenizer.end_token());
  json["pad_token"] = std::string(ByteTokenizer::special_names[0]);
  write_file(folder + "/tokenizer_config.json", dump_json(json, 2) + "\n");
}

/// Reads the tokenizer of a model folder; the end token is the `eos_token` of tokenizer_config.json, where that exists.
/// @throws IoError, BadFile, Unsupported for any tokenizer but the byte-level one.
inline ByteTokenizer load_tokenizer(const std::string& folder) {
  constexpr std::size_t limit = std::size_t{1} << 28;
  std::string end = "<|endoftext|>";
  const std::string config_path = folder + "/tokenizer_config.json";
  if (path_exists(config_path)) {
    const Json json = parse_json(read_file(config_path, limit), config_path);
    const JsonFields fields(json, config_path);
    if (fields.has("eos_token")) {
      end = fields.at("eos_token").is_object() ? fields.object("eos_token").text("content") : fields.text("eos_token");
    }
  }
  return parse_tokenizer(read_file(folder + "/tokenizer.json", limit), folder + "/tokenizer.json", end);
}

/// Writes a model folder that transformers' AutoTokenizer and AutoModelForCausalLM read. The folder appears at once; an
/// older model folder is replaced, any other is refused.
/// @throws IoError, BadArgument when the folder holds other files, Unsupported as config_text.
template <class T>
void save_model(const std::string& folder, const ModelWeights<T>& weights, const ByteTokenizer& tokenizer,
                StoreAs store = StoreAs::f32) {
  static constexpr std::array<std::string_view, 5> ours{"config.json", "generation_config.json", "model.safetensors",
                                                        "tokenizer.json", "tokenizer_config.json"};
  if (path_exists(folder)) {
    for (const std::string& name : detail::names_in(folder)) {
      if (std::find(ours.begin(), ours.end(), name) == ours.end()) {
        throw BadArgument(folder + ": holds " + detail::quote_text(name) +
                          ", which is no file of a model; choose a new or an older model folder");
      }
    }
  }
  if (tokenizer.vocabulary_size() != weights.config().vocabulary) {
    throw BadArgument("save_model: the tokenizer has " + std::to_string(tokenizer.vocabulary_size()) +
                      " tokens, the model " + std::to_string(weights.config().vocabulary));
  }
  AtomicFolder files(folder);
  write_model_files(files.folder(), weights, store);
  write_tokenizer_files(files.folder(), tokenizer);
  files.commit();
}

/// Reads the model of a folder: its configuration and weights.
/// @throws IoError, BadFile naming file and field or tensor, Unsupported naming what is not implemented.
template <class T>
ModelWeights<T> load_model(const std::string& folder) {
  const ModelConfig config = load_config(folder + "/config.json");
  const std::string path = folder + "/model.safetensors";
  if (!path_exists(path) && path_exists(path + ".index.json")) {
    throw Unsupported(path + ".index.json: checkpoints in several files are not implemented; join them into one file");
  }
  return load_weights<T>(path, config);
}

}  // namespace maestro
