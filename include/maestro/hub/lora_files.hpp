#pragma once

/// @file
/// A folder of LoRA adapters in PEFT's layout: adapter_config.json and adapter_model.safetensors.
/// Source: https://github.com/huggingface/peft (names and fields of its LoraConfig).

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/lora.hpp"

namespace maestro {

namespace detail {

inline constexpr const char* adapter_config_name = "adapter_config.json";
inline constexpr const char* adapter_weights_name = "adapter_model.safetensors";

/// Reads a module name: "q_proj", or the path of a layer's projection that ends with ".q_proj"; load_adapters then asks
/// for every layer's.
inline LoraTarget lora_target(const JsonFields& fields, const Json& module) {
  if (module.is_string()) {
    std::string name = module.get<std::string>();
    if (name.starts_with("model.layers.")) name.erase(0, name.rfind('.') + 1);
    const auto known = std::find(lora_target_names.begin(), lora_target_names.end(), name);
    if (known != lora_target_names.end()) return static_cast<LoraTarget>(known - lora_target_names.begin());
  }
  throw Unsupported(fields.file() + ": field 'target_modules' has " + shown(module) +
                    ", which is not implemented; it may have " + join_names(lora_target_names));
}

inline std::vector<LoraTarget> lora_targets(const JsonFields& fields) {
  const Json& modules = fields.at("target_modules");
  if (modules == Json("all-linear")) return LoraOptions{}.targets;
  if (!modules.is_array() || modules.empty()) {
    fields.unsupported("target_modules", "which is not implemented; a list of names or \"all-linear\" is");
  }
  std::vector<LoraTarget> targets;
  for (const Json& module : modules) {
    const LoraTarget target = lora_target(fields, module);
    if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(target);
  }
  std::sort(targets.begin(), targets.end());
  return targets;
}

/// Refuses every field that says something and is neither read nor without influence on the result.
inline void refuse_lora_options(const JsonFields& fields) {
  static constexpr std::array read{"peft_type", "r", "lora_alpha", "use_rslora", "target_modules", "bias", "task_type"};
  static constexpr std::array harmless{"base_model_name_or_path",
                                       "revision",
                                       "inference_mode",
                                       "init_lora_weights",
                                       "auto_mapping",
                                       "loftq_config",
                                       "eva_config",
                                       "corda_config",
                                       "runtime_config",
                                       "peft_version",
                                       "qalora_group_size"};
  for (const auto& item : fields.json().items()) {
    const auto same = [&](const char* known) { return item.key() == known; };
    if (std::any_of(read.begin(), read.end(), same) || std::any_of(harmless.begin(), harmless.end(), same)) continue;
    const Json& value = item.value();
    if (value.is_null() || value == Json(false) || value == Json(0) || value == Json(0.0)) continue;
    if (value.is_structured() && value.empty()) continue;
    if (item.key() == "megatron_core") continue;  // a module's name, used only with megatron_config
    fields.unsupported(item.key(), item.key() == "lora_dropout"
                                       ? "and dropout is not implemented; set it to 0 in the file to train without it"
                                       : "which is not implemented");
  }
}

}  // namespace detail

/// Reads the text of an adapter_config.json; `file` is named in messages.
/// @throws BadFile naming field and content, Unsupported naming an option that is switched on and not implemented
///   (dropout, DoRA, biases, patterns of ranks, further trained modules, ...).
inline LoraOptions parse_adapter_config(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields fields(json, file);
  if (fields.text("peft_type") != "LORA") fields.unsupported("peft_type", "which is not implemented; 'LORA' is");
  if (fields.text_or("bias", "none") != "none") fields.unsupported("bias", "which is not implemented; 'none' is");
  if (fields.text_or("task_type", "CAUSAL_LM") != "CAUSAL_LM") {
    fields.unsupported("task_type", "which is not implemented; 'CAUSAL_LM' is");
  }
  detail::refuse_lora_options(fields);
  LoraOptions options;
  options.rank = fields.positive("r", 65536);
  options.alpha = fields.positive_number("lora_alpha");
  options.scaling = fields.boolean_or("use_rslora", false) ? LoraScaling::rank_stabilized : LoraScaling::standard;
  options.targets = detail::lora_targets(fields);
  return options;
}

/// Reads the adapter_config.json of a folder.
/// @throws as parse_adapter_config, and IoError.
inline LoraOptions load_adapter_config(const std::string& folder) {
  const std::string path = folder + "/" + detail::adapter_config_name;
  return parse_adapter_config(read_file(path, std::size_t{1} << 24), path);
}

/// Writes the text of an adapter_config.json that PEFT and parse_adapter_config read.
/// @param base  folder or name of the model that the adapters belong to.
inline std::string adapter_config_text(const LoraOptions& options, const std::string& base) {
  check(options);
  std::vector<std::string> targets;
  for (std::size_t t = 0; t < lora_target_names.size(); ++t) {
    if (options.has(static_cast<LoraTarget>(t))) targets.emplace_back(lora_target_names[t]);
  }
  OrderedJson json = OrderedJson::object();
  json["peft_type"] = "LORA";
  json["task_type"] = "CAUSAL_LM";
  json["base_model_name_or_path"] = base;
  json["inference_mode"] = true;
  json["r"] = options.rank;
  json["lora_alpha"] = options.alpha;
  json["lora_dropout"] = 0.0;
  json["use_rslora"] = options.scaling == LoraScaling::rank_stabilized;
  json["target_modules"] = targets;
  json["bias"] = "none";
  json["fan_in_fan_out"] = false;
  json["modules_to_save"] = nullptr;
  return dump_json(json, 2) + "\n";
}

/// Writes a folder that PEFT's PeftModel.from_pretrained reads. The folder appears at once and replaces an older one.
/// @throws IoError
template <class T>
void save_adapters(const std::string& folder, const LoraFactors<T>& factors, const std::string& base) {
  AtomicFolder files(folder);
  write_file(files.folder() + "/" + detail::adapter_config_name, adapter_config_text(factors.options(), base));
  SafetensorsWriter writer;
  factors.visit([&](const auto& view) { writer.add<T>(std::string(view.name), {view.rows, view.cols}, view.values); });
  writer.set_metadata("format", "pt");
  writer.write(files.folder() + "/" + detail::adapter_weights_name);
  files.commit();
}

/// Reads the adapters of a model with this configuration.
/// @throws IoError, BadFile naming tensors that are missing, surplus, of another shape, or not finite; Unsupported as
/// parse_adapter_config.
template <class T>
LoraFactors<T> load_adapters(const std::string& folder, const ModelConfig& config) {
  const LoraOptions options = load_adapter_config(folder);
  const CheckpointFiles files(folder + "/" + detail::adapter_weights_name);
  const SafetensorsFile& file = files.files().front();
  // The first factor's claimed sizes are compared with the file before all factors are allocated.
  const auto first = std::find_if(file.tensors().begin(), file.tensors().end(),
                                  [](const TensorInfo& tensor) { return tensor.name.ends_with(".lora_A.weight"); });
  if (first == file.tensors().end() || first->shape.size() != 2 || first->shape[0] != options.rank) {
    throw BadFile(file.path() + ": holds no factor lora_A of rank " + std::to_string(options.rank) + ", which " +
                  detail::adapter_config_name + " wants");
  }
  LoraFactors<T> factors(config, options);
  std::unordered_set<std::string> wanted;
  factors.visit([&](auto view) {
    wanted.emplace(view.name);
    detail::read_tensor<T>(files, view.name, std::array{view.rows, view.cols}, view.values);
  });
  std::vector<std::string> surplus;
  for (const TensorInfo& tensor : file.tensors()) {
    if (!wanted.contains(tensor.name)) surplus.push_back(tensor.name);
  }
  if (!surplus.empty()) {
    throw BadFile(file.path() + ": tensors that " + detail::adapter_config_name +
                  " and the model do not have: " + detail::name_list(surplus));
  }
  return factors;
}

}  // namespace maestro
