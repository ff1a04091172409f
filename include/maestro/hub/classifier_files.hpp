#pragma once

/// @file
/// A folder of a sequence classifier with one label (a reward model) in Hugging Face's layout. It is laid out as
/// hub/model_files.hpp says, with the architecture ...ForSequenceClassification and the head `score.weight` (1 x d)
/// instead of an LM head.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/weights.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro {

/// ClassifierWeights is a backbone without LM head (its configuration says tied) and the head of one label.
template <class T>
struct ClassifierWeights {
  ModelWeights<T> backbone;
  AlignedVector<T> score;  ///< (d)
};

namespace detail {

inline constexpr std::string_view causal_suffix = "ForCausalLM";
inline constexpr std::string_view classifier_suffix = "ForSequenceClassification";
inline constexpr std::array<std::string_view, 1> score_name{"score.weight"};

/// Reads the configuration of the backbone from the text of a classifier's config.json.
inline ModelConfig parse_classifier_config(std::string_view text, const std::string& path) {
  Json json = parse_json(text, path);
  const JsonFields fields(json, path);
  const Json& list = fields.at("architectures");
  std::string name = list.is_array() && list.size() == 1 && list[0].is_string() ? list[0].get<std::string>() : "";
  if (!name.ends_with(classifier_suffix)) {
    fields.fail("architectures", "a list of one ...ForSequenceClassification model");
  }
  if (fields.has("id2label") && fields.at("id2label").size() != 1) {
    fields.unsupported("id2label", "which is not implemented; a reward model has one label");
  }
  if (fields.has("num_labels") && fields.count("num_labels", 1u << 20) != 1) {
    fields.unsupported("num_labels", "which is not implemented; a reward model has one label");
  }
  json.erase("num_labels");
  name.replace(name.size() - classifier_suffix.size(), classifier_suffix.size(), causal_suffix);
  json["architectures"] = std::vector<std::string>{name};
  ModelConfig config = parse_config(json.dump(), path);
  config.head = HeadWeights::tied;
  return config;
}

}  // namespace detail

/// Reads the config.json of a classifier's folder, and gives the configuration of its backbone.
/// @throws IoError, BadFile naming the field, Unsupported naming what is not implemented.
inline ModelConfig load_classifier_config(const std::string& folder) {
  if (is_gguf(folder)) {
    throw Unsupported(folder + ": reward models in GGUF are not implemented; take the model's own folder");
  }
  const std::string path = folder + "/config.json";
  return detail::parse_classifier_config(read_file(path, std::size_t{1} << 24), path);
}

/// Reads a classifier's configuration and weights.
/// @throws IoError, BadFile naming file and field or tensor (missing, surplus, misshapen, not finite), Unsupported
/// naming what is not implemented.
template <class T>
ClassifierWeights<T> load_classifier(const std::string& folder) {
  const ModelConfig config = load_classifier_config(folder);
  const CheckpointFiles files = detail::open_weights(folder);
  const std::array<std::size_t, 2> score_shape{1, config.hidden};
  detail::check_tensors(files, ModelLayout(config), detail::score_name);
  detail::check_shape(files, detail::score_name[0], score_shape);
  ClassifierWeights<T> result{ModelWeights<T>(config), AlignedVector<T>(config.hidden)};
  detail::read_tensors(files, result.backbone);
  detail::read_tensor<T>(files, detail::score_name[0], score_shape, result.score);
  return result;
}

/// Gives the padding token that a classifier's config.json names (pad_token_id), or -1. transformers reads the score at
/// the last token that is not the padding token. The value is for RewardModelOptions::pad_token.
/// @throws IoError, BadFile naming the field.
inline std::int32_t classifier_pad_token(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const Json json = parse_json(read_file(path, std::size_t{1} << 24), path);
  const JsonFields fields(json, path);
  if (!fields.has("pad_token_id") || fields.at("pad_token_id") == Json(-1)) return -1;
  return static_cast<std::int32_t>(fields.count("pad_token_id", 0x7fffffffu));
}

/// Writes a folder that transformers' AutoTokenizer and AutoModelForSequenceClassification read. The folder appears at
/// once and replaces an older one.
/// @param score  (d) the head.
/// @throws IoError, Unsupported as config_text, BadArgument if sizes differ.
template <class T>
void save_classifier(const std::string& folder, const ModelWeights<T>& backbone, std::span<const T> score,
                     const ByteTokenizer& tokenizer, StoreAs store = StoreAs::f32) {
  const ModelConfig& config = backbone.config();
  require(score.size() == config.hidden, "save_classifier: the head needs one value per hidden unit");
  const std::string dtype = store == StoreAs::f32 ? "float32" : "bfloat16";
  OrderedJson json = OrderedJson::parse(config_text(config, dtype));
  std::string name = json["architectures"][0].get<std::string>();
  name.replace(name.size() - detail::causal_suffix.size(), detail::causal_suffix.size(), detail::classifier_suffix);
  json["architectures"][0] = name;
  json["id2label"] = OrderedJson{{"0", "LABEL_0"}};
  json["label2id"] = OrderedJson{{"LABEL_0", 0}};

  SafetensorsWriter writer;
  const Dtype stored = detail::stored_dtype(store);
  for (std::size_t i = 0; i < backbone.layout().size(); ++i) detail::add_tensor(writer, backbone, i, stored);
  writer.add_as<T>(stored, std::string(detail::score_name[0]), {1, config.hidden}, score);
  writer.set_metadata("format", "pt");
  writer.add_checksums();

  AtomicFolder files(folder);
  write_file(files.folder() + "/config.json", dump_json(json, 2) + "\n");
  writer.write(files.folder() + "/model.safetensors");
  write_tokenizer_files(files.folder(), tokenizer);
  files.commit();
}

}  // namespace maestro
