#pragma once

/// @file
/// The folder of a sequence classifier (a reward model) in Hugging Face's layout. It is as in hub/model_files.hpp, but
/// with the architecture ...ForSequenceClassification and with the head `score.weight` (labels x d) instead of an LM
/// head. The score is the logit of one label: the only one, or the one that the caller chooses.

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

/// ClassifierWeights holds a backbone without LM head (its configuration says tied) and the head of one label.
template <class T>
struct ClassifierWeights {
  ModelWeights<T> backbone;
  AlignedVector<T> score;  ///< (d)
};

namespace detail {

inline constexpr std::string_view causal_suffix = "ForCausalLM";
inline constexpr std::string_view classifier_suffix = "ForSequenceClassification";
inline constexpr std::array<std::string_view, 1> score_name{"score.weight"};

/// Gives the configuration of the backbone from the text of a classifier's config.json.
inline ModelConfig parse_classifier_config(std::string_view text, const std::string& path) {
  Json json = parse_json(text, path);
  const JsonFields fields(json, path);
  const Json& list = fields.at("architectures");
  std::string name = list.is_array() && list.size() == 1 && list[0].is_string() ? list[0].get<std::string>() : "";
  if (!name.ends_with(classifier_suffix)) {
    fields.fail("architectures", "a list of one ...ForSequenceClassification model");
  }
  name.replace(name.size() - classifier_suffix.size(), classifier_suffix.size(), causal_suffix);
  json["architectures"] = std::vector<std::string>{name};
  ModelConfig config = parse_config(json.dump(), path);
  config.head = HeadWeights::tied;
  return config;
}

/// Gives the names of a head's labels from the text of a classifier's config.json; LABEL_0, ... if it has none.
/// @param rows  number of rows of the head.
inline std::vector<std::string> label_names(std::string_view text, const std::string& path, std::size_t rows) {
  const Json json = parse_json(text, path);
  const JsonFields fields(json, path);
  const std::string wanted = "of " + std::to_string(rows) + " labels, the rows of score.weight";
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows; ++i) names.push_back("LABEL_" + std::to_string(i));
  if (!fields.has("id2label")) {
    if (fields.has("num_labels") && fields.count("num_labels") != rows) fields.fail("num_labels", wanted);
    return names;
  }
  const Json& labels = fields.at("id2label");
  if (!labels.is_object() || labels.size() != rows) fields.fail("id2label", "an object " + wanted);
  for (std::size_t i = 0; i < rows; ++i) {
    const auto at = labels.find(std::to_string(i));
    if (at == labels.end() || !at->is_string()) fields.fail("id2label", "an object " + wanted);
    names[i] = at->get<std::string>();
  }
  return names;
}

/// Gives the index of the label that a text selects by name, else by number.
inline std::size_t chosen_label(const std::vector<std::string>& names, std::string_view label,
                                const std::string& folder) {
  if (label.empty() && names.size() == 1) return 0;
  std::vector<std::size_t> same;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == label) same.push_back(i);
  }
  for (std::size_t i = 0; i < names.size() && same.empty(); ++i) {
    if (std::to_string(i) == label) same.push_back(i);
  }
  if (!label.empty() && same.size() == 1) return same[0];
  std::string list;
  for (std::size_t i = 0; i < names.size() && i < 20; ++i) {
    list += (i == 0 ? "" : ", ") + std::to_string(i) + " " + quote_text(names[i]);
  }
  if (names.size() > 20) list += ", ...";
  const std::string what = label.empty()  ? "no label is chosen"
                           : same.empty() ? "there is no label " + quote_text(label)
                                          : "several labels are named " + quote_text(label);
  throw BadArgument(folder + ": " + what + "; choose one by name or number, of " + list);
}

/// Gives the number of rows of a classifier's head.
inline std::size_t head_rows(const CheckpointFiles& files) {
  for (const TensorInfo* tensor : files.tensors()) {
    if (tensor->name == score_name[0] && !tensor->shape.empty()) return tensor->shape[0];
  }
  return 1;  // the check of the tensors says what is wrong
}

}  // namespace detail

/// Reads the config.json of a classifier's folder, and gives the configuration of its backbone.
/// @throws IoError; BadFile naming the field; Unsupported naming what is not implemented.
inline ModelConfig load_classifier_config(const std::string& folder) {
  if (is_gguf(folder)) {
    throw Unsupported(folder + ": reward models in GGUF are not implemented; take the model's own folder");
  }
  const std::string path = folder + "/config.json";
  return detail::parse_classifier_config(read_file(path, std::size_t{1} << 24), path);
}

/// Gives the index of the label whose logit is the score.
/// @param label  its name in id2label, or its number; empty for the only label.
/// @throws IoError; BadFile naming the field or the head's shape; Unsupported as load_classifier_config; BadArgument
///         listing the labels if the choice matches none or several.
inline std::size_t classifier_label(const std::string& folder, std::string_view label) {
  const ModelConfig config = load_classifier_config(folder);
  const std::string path = folder + "/config.json";
  const CheckpointFiles files = detail::open_weights(folder);
  const std::size_t rows = detail::head_rows(files);
  detail::check_shape(files, detail::score_name[0], std::array<std::size_t, 2>{rows, config.hidden});
  return detail::chosen_label(detail::label_names(read_file(path, std::size_t{1} << 24), path, rows), label, folder);
}

/// Reads a classifier's configuration and weights. The score is the logit of one label, as transformers computes it.
/// @param label  as for classifier_label.
/// @throws IoError; BadFile naming file and field or tensor (missing, surplus, of another shape, not finite);
///         Unsupported naming what is not implemented; BadArgument as classifier_label.
template <class T>
ClassifierWeights<T> load_classifier(const std::string& folder, std::string_view label = {}) {
  const ModelConfig config = load_classifier_config(folder);
  const CheckpointFiles files = detail::open_weights(folder);
  const std::size_t rows = detail::head_rows(files);
  const std::array<std::size_t, 2> score_shape{rows, config.hidden};
  detail::check_tensors(files, ModelLayout(config), detail::score_name);
  detail::check_shape(files, detail::score_name[0], score_shape);
  const std::size_t chosen = classifier_label(folder, label);
  ClassifierWeights<T> result{ModelWeights<T>(config), AlignedVector<T>(config.hidden)};
  detail::read_tensors(files, result.backbone);
  AlignedVector<T> head(rows * config.hidden);
  detail::read_tensor<T>(files, detail::score_name[0], score_shape, head);
  std::copy_n(head.data() + chosen * config.hidden, config.hidden, result.score.data());
  return result;
}

/// Gives the padding token in a classifier's config.json (pad_token_id), or -1. transformers reads the score at the
/// last token that is not the padding token. The value is for RewardModelOptions::pad_token.
/// @throws IoError; BadFile naming the field.
inline std::int32_t classifier_pad_token(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const Json json = parse_json(read_file(path, std::size_t{1} << 24), path);
  const JsonFields fields(json, path);
  if (!fields.has("pad_token_id") || fields.at("pad_token_id") == Json(-1)) return -1;
  return static_cast<std::int32_t>(fields.count("pad_token_id", 0x7fffffffu));
}

/// Writes a folder that transformers' AutoTokenizer and AutoModelForSequenceClassification read. The folder appears in
/// one step and replaces an older one.
/// @param score  (d) the head.
/// @throws IoError; Unsupported as config_text; BadArgument if sizes differ.
template <class T>
void save_classifier(const std::string& folder, const ModelWeights<T>& backbone, std::span<const T> score,
                     const ByteTokenizer& tokenizer, StoreAs store = StoreAs::f32) {
  const ModelConfig& config = backbone.config();
  require(score.size() == config.hidden, "save_classifier: the head needs one value per hidden unit");
  const std::string dtype = store == StoreAs::f32 ? "float32" : "bfloat16";
  OrderedJson json = parse_ordered_json(config_text(config, dtype), "config.json");
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
