#pragma once

/// @file
/// A model folder in Hugging Face's layout: config.json, generation_config.json, the weights in model.safetensors or in
/// shards with an index, and the tokenizer's tokenizer.json and tokenizer_config.json.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/folder_texts.hpp"
#include "maestro/hub/gguf.hpp"
#include "maestro/hub/tokenizer_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// StoreAs is the element type of stored weights. F32 is exact for models in float. BF16 halves the file and rounds to
/// nearest.
enum class StoreAs : std::uint8_t { f32, bf16 };

/// SaveOptions holds how weights are written.
struct SaveOptions {
  StoreAs store = StoreAs::f32;
  /// The largest number of bytes of tensors in one file. More bytes are written as shards with an index. A larger
  /// tensor has its own shard.
  std::size_t max_shard_size = std::numeric_limits<std::size_t>::max();
  /// The checkpoint's own texts (read_folder_texts), which are written with the changes of training.
  FolderTexts texts{};
  /// Tokens that end responses (TransformerPolicy::stop_tokens), for generation_config.json; if empty, those of the
  /// model.
  std::vector<std::int32_t> stop_tokens{};
};

namespace detail {

inline void check_shape(const CheckpointFiles& files, std::string_view name, std::span<const std::size_t> wanted) {
  const TensorInfo& tensor = files.at(name);
  if (!std::equal(tensor.shape.begin(), tensor.shape.end(), wanted.begin(), wanted.end())) {
    throw BadFile(files.holder(name).path() + ": tensor " + quote_text(name) + " has shape " +
                  shape_text(tensor.shape) + ", config.json wants " + shape_text(wanted));
  }
}

/// Checks that a tied head, if it is stored too, equals the embedding.
inline void check_tied_head(const CheckpointFiles& files) {
  constexpr std::string_view head_name = tensor_name(TensorKind::head);
  constexpr std::string_view embedding_name = tensor_name(TensorKind::embedding);
  const TensorInfo* head = files.find(head_name);
  if (head == nullptr) return;
  const TensorInfo& embedding = files.at(embedding_name);
  if (head->dtype != embedding.dtype || head->shape != embedding.shape ||
      std::memcmp(head->bytes.data(), embedding.bytes.data(), embedding.bytes.size()) != 0) {
    throw BadFile(files.holder(head_name).path() + ": tensor " + quote_text(head_name) + " differs from " +
                  quote_text(embedding_name) +
                  ", but config.json says tie_word_embeddings; set it to false to use the stored head");
  }
  files.release(head_name);
  files.release(embedding_name);
}

/// Reads one tensor of the expected shape, and releases its part of the file.
/// @throws BadFile naming a tensor that is missing, of another shape, or not finite.
template <class T>
void read_tensor(const CheckpointFiles& files, std::string_view name, std::span<const std::size_t> shape,
                 std::span<T> values) {
  check_shape(files, name, shape);
  files.verify(name);
  files.read<T>(name, values);
  bool finite = true;
  if constexpr (std::is_same_v<T, float>) {
    finite = all_finite(values.data(), values.size());
  } else {
    finite = std::all_of(values.begin(), values.end(), [](T value) { return std::isfinite(value); });
  }
  if (!finite) {
    throw BadFile(files.holder(name).path() + ": tensor " + quote_text(name) + " holds a value that is not finite");
  }
  files.release(name);
}

/// Gives the name of a tensor in a checkpoint of a causal model. Models that were saved without a head lack the prefix
/// "model.". Frequencies of RoPE, which old checkpoints store, get no name, since they are computed here.
inline std::string canonical_name(std::string_view name) {
  if (name.ends_with(".rotary_emb.inv_freq")) return {};
  const bool bare = name.starts_with("layers.") || name.starts_with("embed_tokens.") || name.starts_with("norm.");
  return (bare ? "model." : "") + std::string(name);
}

/// Opens the weights of a model folder, with the names of a causal model.
inline CheckpointFiles open_weights(const std::string& folder) {
  CheckpointFiles files = CheckpointFiles::of_folder(folder);
  files.rename(canonical_name);
  return files;
}

/// Gives a list of names for a message: "a", "b" and 3 more.
inline std::string name_list(const std::vector<std::string>& names) {
  std::string text;
  const std::size_t listed = std::min<std::size_t>(names.size(), 5);
  for (std::size_t i = 0; i < listed; ++i) text.append(i > 0 ? ", " : "").append(quote_text(names[i]));
  if (names.size() > listed) text.append(" and ").append(std::to_string(names.size() - listed)).append(" more");
  return text;
}

/// Checks that every tensor of the layout exists with its shape, and that there is no other except those in `others`.
/// It must be called before memory of the sizes in config.json is allocated.
/// @throws BadFile naming the tensors.
inline void check_tensors(const CheckpointFiles& files, const ModelLayout& layout,
                          std::span<const std::string_view> others) {
  std::unordered_set<std::string_view> known(others.begin(), others.end());
  std::vector<std::string> missing;
  std::vector<std::string> surplus;
  for (const TensorSpec& tensor : layout.tensors()) {
    known.insert(tensor.name);
    if (files.find(tensor.name) == nullptr) missing.push_back(tensor.name);
  }
  for (const TensorInfo* tensor : files.tensors()) {
    if (!known.contains(tensor->name)) surplus.push_back(tensor->name);
  }
  std::string message;
  if (!missing.empty()) message += " missing tensors: " + name_list(missing) + ";";
  if (!surplus.empty()) message += " tensors that the model of config.json does not have: " + name_list(surplus) + ";";
  if (!message.empty()) {
    message.pop_back();
    throw BadFile(files.path() + ":" + message);
  }
  for (const TensorSpec& tensor : layout.tensors()) check_shape(files, tensor.name, tensor.shape());
}

/// The tied head, which a file may contain in addition to the embedding.
inline constexpr std::array<std::string_view, 1> tied_head{tensor_name(TensorKind::head)};
inline std::span<const std::string_view> optional_names(const ModelConfig& config) {
  if (config.head == HeadWeights::tied) return tied_head;
  return {};
}

/// Reads every tensor of `weights`.
/// @throws BadFile as read_tensor.
template <class T>
void read_tensors(const CheckpointFiles& files, ModelWeights<T>& weights) {
  for (std::size_t i = 0; i < weights.layout().size(); ++i) {
    const TensorSpec& tensor = weights.layout()[i];
    read_tensor<T>(files, tensor.name, tensor.shape(), weights.values(i));
  }
}

/// Adds a tensor to a file, by its index in the layout.
template <class T>
void add_tensor(SafetensorsWriter& writer, const ModelWeights<T>& weights, std::size_t index, Dtype dtype) {
  const TensorSpec& tensor = weights.layout()[index];
  writer.add_as<T>(dtype, tensor.name, tensor.shape(), weights.values(index));
}

inline Dtype stored_dtype(StoreAs store) { return store == StoreAs::f32 ? Dtype::f32 : Dtype::bf16; }

/// Tells whether save_model writes a file of this name.
inline bool is_model_file(std::string_view name) {
  static constexpr std::array<std::string_view, 12> fixed{"config.json",
                                                          "generation_config.json",
                                                          "tokenizer.json",
                                                          "tokenizer_config.json",
                                                          "chat_template.jinja",
                                                          "chat_template.json",
                                                          "special_tokens_map.json",
                                                          "added_tokens.json",
                                                          "merges.txt",
                                                          "vocab.json",
                                                          CheckpointFiles::single_name,
                                                          CheckpointFiles::index_name};
  return std::find(fixed.begin(), fixed.end(), name) != fixed.end() ||
         (name.starts_with("model-") && is_shard_name(name));
}

/// Gives the name of a shard, such as model-00001-of-00003.safetensors.
inline std::string shard_name(std::size_t index, std::size_t count) {
  const auto five = [](std::size_t number) {
    const std::string digits = std::to_string(number);
    return std::string(digits.size() < 5 ? 5 - digits.size() : 0, '0') + digits;
  };
  return "model-" + five(index + 1) + "-of-" + five(count) + ".safetensors";
}

}  // namespace detail

/// Writes only the weights, in the order and layout of transformers' own checkpoints. A tied head is not written.
/// @throws IoError if the file cannot be written; an older file is then kept.
template <class T>
void save_weights(const std::string& path, const ModelWeights<T>& weights, StoreAs store = StoreAs::f32) {
  SafetensorsWriter writer;
  const Dtype dtype = detail::stored_dtype(store);
  for (std::size_t i = 0; i < weights.layout().size(); ++i) detail::add_tensor(writer, weights, i, dtype);
  writer.set_metadata("format", "pt");
  writer.add_checksums();
  writer.write(path);
}

/// Writes the weights into an existing folder: model.safetensors, or shards of at most options.max_shard_size and their
/// model.safetensors.index.json. Shards are filled in visiting order.
/// @throws IoError; BadArgument if there is already a model.safetensors beside the shards, which readers prefer.
template <class T>
void save_shards(const std::string& folder, const ModelWeights<T>& weights, const SaveOptions& options = {}) {
  const Dtype dtype = detail::stored_dtype(options.store);
  std::vector<std::size_t> shard_of;  // by tensor
  std::size_t count = 1;
  std::size_t filled = 0;
  std::size_t total = 0;
  const ModelLayout& layout = weights.layout();
  for (const TensorSpec& tensor : layout.tensors()) {
    const std::size_t size = tensor.size() * size_of(dtype);
    if (filled > 0 && filled + size > options.max_shard_size) {
      ++count;
      filled = 0;
    }
    shard_of.push_back(count - 1);
    filled += size;
    total += size;
  }
  const std::string single = folder + "/" + CheckpointFiles::single_name;
  if (count == 1) return save_weights(single, weights, options.store);
  if (path_exists(single)) throw BadArgument(single + ": is in the way of shards; remove it or choose another folder");
  Json index;
  index["metadata"]["total_size"] = total;
  for (std::size_t shard = 0; shard < count; ++shard) {
    const std::string name = detail::shard_name(shard, count);
    SafetensorsWriter writer;
    for (std::size_t i = 0; i < layout.size(); ++i) {
      if (shard_of[i] != shard) continue;
      detail::add_tensor(writer, weights, i, dtype);
      index["weight_map"][layout[i].name] = name;
    }
    writer.set_metadata("format", "pt");
    writer.add_checksums();
    writer.write(folder + "/" + name);
  }
  write_file(folder + "/" + CheckpointFiles::index_name, dump_json(index, 2) + "\n");
}

/// Reads the weights of a model with this configuration from F64, F32, F16 or BF16.
/// @throws BadFile naming the file and the tensors that are missing, surplus, of another shape, or not finite.
template <class T>
ModelWeights<T> load_weights(const CheckpointFiles& files, const ModelConfig& config) {
  detail::check_tensors(files, ModelLayout(config), detail::optional_names(config));
  if (config.head == HeadWeights::tied) detail::check_tied_head(files);
  ModelWeights<T> weights(config);
  detail::read_tensors(files, weights);
  return weights;
}
/// Reads the weights from a safetensors file, or from the .json index of several.
/// @throws IoError; what the other overload throws.
template <class T>
ModelWeights<T> load_weights(const std::string& path, const ModelConfig& config) {
  return load_weights<T>(CheckpointFiles(path), config);
}

/// Writes config.json, generation_config.json and the weights into an existing folder. Each file appears complete or
/// not at all. With SaveOptions::texts, the first two are the checkpoint's own, with the changes of training.
/// @throws IoError; Unsupported as config_text; BadArgument as save_shards, and for texts of another model.
template <class T>
void write_model_files(const std::string& folder, const ModelWeights<T>& weights, const SaveOptions& options = {}) {
  const ModelConfig& config = weights.config();
  const std::string dtype = options.store == StoreAs::f32 ? "float32" : "bfloat16";
  const FolderTexts& texts = options.texts;
  write_file(folder + "/config.json", texts.config.empty() ? config_text(config, dtype)
                                                           : detail::updated_config_text(texts.config, config, dtype));
  write_file(folder + "/generation_config.json",
             detail::updated_generation_text(texts.generation, config, options.stop_tokens));
  save_shards(folder, weights, options);
}
/// Does the same with the default options, except for the type of the stored weights.
template <class T>
void write_model_files(const std::string& folder, const ModelWeights<T>& weights, StoreAs store) {
  write_model_files(folder, weights, SaveOptions{.store = store});
}

/// Writes a model folder that transformers' AutoTokenizer and AutoModelForCausalLM read. The folder appears in one
/// step. An older model folder is replaced, and any other folder is refused.
/// @tparam Tok  ByteTokenizer, BpeTokenizer or AnyTokenizer; the files from which it was read are written unchanged.
/// @throws IoError; BadArgument if the folder contains other files, or if the tokenizer makes tokens outside the
///         model's vocabulary; Unsupported as config_text.
template <class T, class Tok>
void save_model(const std::string& folder, const ModelWeights<T>& weights, const Tok& tokenizer,
                const SaveOptions& options = {}) {
  if (path_exists(folder)) {
    for (const std::string& name : detail::names_in(folder)) {
      if (!detail::is_model_file(name)) {
        throw BadArgument(folder + ": holds " + detail::quote_text(name) +
                          ", which is no file of a model; choose a new or an older model folder");
      }
    }
  }
  const std::size_t needed = detail::text_vocabulary_size(tokenizer);
  if (needed > weights.config().vocabulary) {
    throw BadArgument("save_model: the tokenizer makes " + std::to_string(needed) +
                      " tokens of texts, the model only has " + std::to_string(weights.config().vocabulary));
  }
  AtomicFolder files(folder);
  write_model_files(files.folder(), weights, options);
  write_tokenizer_files(files.folder(), tokenizer);
  files.commit();
}
/// Does the same with the default options, except for the type of the stored weights.
template <class T, class Tok>
void save_model(const std::string& folder, const ModelWeights<T>& weights, const Tok& tokenizer, StoreAs store) {
  save_model(folder, weights, tokenizer, SaveOptions{.store = store});
}

/// Reads the model of a folder: its configuration (load_model_config) and its weights, in one file or in shards; or the
/// model of a GGUF file.
/// @throws IoError; BadFile naming file and field or tensor; Unsupported naming what is not implemented.
template <class T>
ModelWeights<T> load_model(const std::string& folder) {
  if (is_gguf(folder)) return load_gguf<T>(folder);
  const ModelConfig config = load_model_config(folder);
  return load_weights<T>(detail::open_weights(folder), config);
}

}  // namespace maestro
