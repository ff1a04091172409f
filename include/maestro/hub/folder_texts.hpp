#pragma once

/// @file
/// The settings of a checkpoint that training does not change: its config.json and generation_config.json as they were
/// read, for the folder of a trained model.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

/// FolderTexts holds the texts of a model folder's config.json and generation_config.json, each empty if there is none.
struct FolderTexts {
  std::string config{};
  std::string generation{};
};

/// Reads the texts of a model folder, for SaveOptions::texts. A GGUF file has none.
/// @throws IoError if a file cannot be read.
inline FolderTexts read_folder_texts(const std::string& folder) {
  if (is_gguf(folder)) return {};
  FolderTexts texts{.config = read_file(folder + "/config.json", std::size_t{1} << 24)};
  const std::string generation = folder + "/generation_config.json";
  if (path_exists(generation)) texts.generation = read_file(generation, std::size_t{1} << 24);
  return texts;
}

namespace detail {

/// Gives the text of a checkpoint's config.json with the changes of saving: the type of the stored weights, and the
/// name of a causal model. The checkpoint's own code for transformers is not copied, so references to it are removed.
/// @throws BadArgument if the text describes another model than `config`.
inline std::string updated_config_text(const std::string& text, const ModelConfig& config, const std::string& dtype) {
  ModelConfig read = parse_config(text, "config.json");
  read.end_tokens = config.end_tokens;
  if (read != config) throw BadArgument("save_model: the config.json of SaveOptions::texts describes another model");
  OrderedJson json = parse_ordered_json(text, "config.json");
  json["architectures"] =
      std::vector<std::string>{std::string(family_names[static_cast<std::size_t>(config.architecture)].architecture)};
  json.erase("auto_map");
  const bool known = json.contains("dtype") || json.contains("torch_dtype");
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (json.contains(key) || (!known && std::string_view(key) == "dtype")) json[key] = dtype;
  }
  return dump_json(json, 2) + "\n";
}

/// Gives the text of a generation_config.json: the checkpoint's own with the tokens that end responses, or a new one.
inline std::string updated_generation_text(const std::string& text, const ModelConfig& config,
                                           const std::vector<std::int32_t>& stop_tokens) {
  const std::vector<std::int32_t>& ends = stop_tokens.empty() ? config.end_tokens : stop_tokens;
  OrderedJson json = OrderedJson::object();
  if (!text.empty()) {
    json = parse_ordered_json(text, "generation_config.json");
  } else {
    if (config.begin_token >= 0) json["bos_token_id"] = config.begin_token;
    if (!ends.empty()) json["eos_token_id"] = ends;
    if (config.pad_token >= 0) {
      json["pad_token_id"] = config.pad_token;
    } else if (!ends.empty()) {
      json["pad_token_id"] = ends.front();
    }
  }
  const bool same = json.contains("eos_token_id") && ends.size() == 1 && json["eos_token_id"] == OrderedJson(ends[0]);
  if (!ends.empty() && !same) json["eos_token_id"] = ends;
  return dump_json(json, 2) + "\n";
}

}  // namespace detail

}  // namespace maestro
