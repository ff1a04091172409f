#pragma once

/// @file
/// A reward model as a folder: config.json, model.safetensors with `score.weight`, and the tokenizer's files.

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/model_files.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/reward/reward_model.hpp"
#include "types.hpp"

namespace maestro::examples {

using Preferences = RewardModel<float, Backend, Tokenizer>;

/// Writes the folder; an older one is replaced at once.
/// @throws IoError
inline void save_reward_model(const std::string& folder, const Preferences& model) {
  AtomicFolder files(folder);
  Json config = parse_json(config_text(model.config()), "config.json");
  config["architectures"] = {"Qwen3ForSequenceClassification"};
  config["num_labels"] = 1;
  write_file(files.folder() + "/config.json", dump_json(config, 2) + "\n");
  SafetensorsWriter writer;
  model.visit([&](const auto& view) {
    const bool vector = view.decay == WeightDecay::skip;
    const std::vector<std::size_t> shape = vector ? std::vector{view.cols} : std::vector{view.rows, view.cols};
    writer.add_as<float>(Dtype::f32, std::string(view.name), shape, view.values);
  });
  writer.set_metadata("format", "pt");
  writer.write(files.folder() + "/model.safetensors");
  write_tokenizer_files(files.folder(), model.tokenizer());
  files.commit();
}

/// Reads such a folder.
/// @throws IoError, BadFile naming file and tensor.
inline Preferences load_reward_model(const std::string& folder) {
  const std::string config_path = folder + "/config.json";
  Json json = parse_json(read_file(config_path), config_path);
  if (!json.is_object()) throw BadFile(config_path + ": is no JSON object");
  json["architectures"] = {"Qwen3ForCausalLM"};
  json.erase("num_labels");
  Preferences model(parse_config(dump_json(json), config_path), load_tokenizer(folder));
  const SafetensorsFile file(folder + "/model.safetensors");
  std::set<std::string> wanted;
  model.visit([&](auto view) {
    wanted.emplace(view.name);
    file.read<float>(view.name, view.values);
    for (const float value : view.values) {
      if (!std::isfinite(value)) {
        throw BadFile(file.path() + ": tensor " + std::string(view.name) + " holds a value that is not finite");
      }
    }
  });
  for (const TensorInfo& tensor : file.tensors()) {
    if (!wanted.contains(tensor.name)) throw BadFile(file.path() + ": tensor " + tensor.name + " is not of this model");
  }
  return model;
}

}  // namespace maestro::examples
