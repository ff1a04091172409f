#pragma once

/// @file
/// A folder of LoRA adapters in PEFT's layout: adapter_config.json and adapter_model.safetensors.
/// Source: https://github.com/huggingface/peft (names and fields of its LoraConfig).

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/hub/config_fields.hpp"
#include "maestro/hub/lora_gguf.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/lora.hpp"

namespace maestro {

/// AdapterFiles says in which formats save_adapters writes: PEFT's only, or also adapter.gguf for llama.cpp.
enum class AdapterFiles : std::uint8_t { peft, peft_and_gguf };

namespace detail {

inline constexpr const char* adapter_config_name = "adapter_config.json";
inline constexpr const char* adapter_weights_name = "adapter_model.safetensors";

/// Tells whether save_adapters writes a file of this name.
inline bool is_adapter_file(std::string_view name) {
  return name == adapter_config_name || name == adapter_weights_name || name == adapter_gguf_name;
}

/// Reads a module name: "q_proj"; the end of a projection's path, such as "self_attn.q_proj", which PEFT matches too;
/// or the path of a layer's projection, for which load_adapters then requires every layer's.
inline LoraTarget lora_target(const JsonFields& fields, const Json& module) {
  if (module.is_string()) {
    std::string name = module.get<std::string>();
    if (name.starts_with("model.layers.")) name.erase(0, name.rfind('.') + 1);
    for (const std::string_view parent : {"self_attn.", "mlp."}) {
      if (name.starts_with(parent)) name.erase(0, parent.size());
    }
    const auto known = std::find(lora_target_names.begin(), lora_target_names.end(), name);
    if (known != lora_target_names.end()) return static_cast<LoraTarget>(known - lora_target_names.begin());
  }
  throw Unsupported(fields.file() + ": field 'target_modules' has " + shown(module) +
                    ", which is not implemented; it may have " + join_names(lora_target_names));
}

/// Reads target_modules. A pattern, or a missing field, gives no targets: the tensors in the folder show what it
/// matched.
inline std::vector<LoraTarget> lora_targets(const JsonFields& fields) {
  if (!fields.has("target_modules")) return {};
  const Json& modules = fields.at("target_modules");
  if (modules == Json("all-linear")) return LoraOptions{}.targets;
  if (modules.is_string()) return {};
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

/// Gives the targets whose factors a file contains.
inline std::vector<LoraTarget> stored_targets(const SafetensorsFile& file) {
  std::vector<LoraTarget> targets;
  for (std::size_t t = 0; t < lora_target_count; ++t) {
    const std::string ending = "." + std::string(lora_target_names[t]) + ".lora_A.weight";
    const auto stores = [&](const TensorInfo& tensor) { return std::string_view(tensor.name).ends_with(ending); };
    if (std::any_of(file.tensors().begin(), file.tensors().end(), stores))
      targets.push_back(static_cast<LoraTarget>(t));
  }
  return targets;
}

/// The fields of PEFT's LoraConfig that change what an adapter computes. They are refused if they have a value.
inline constexpr std::array<std::string_view, 18> refused_lora_fields{"use_dora",
                                                                      "lora_bias",
                                                                      "rank_pattern",
                                                                      "alpha_pattern",
                                                                      "modules_to_save",
                                                                      "exclude_modules",
                                                                      "layers_to_transform",
                                                                      "layer_replication",
                                                                      "target_parameters",
                                                                      "trainable_token_indices",
                                                                      "alora_invocation_tokens",
                                                                      "arrow_config",
                                                                      "kasa_config",
                                                                      "monteclora_config",
                                                                      "megatron_config",
                                                                      "use_qalora",
                                                                      "use_bdlora",
                                                                      "enable_lora"};
/// The fields that are read, or that change nothing once an adapter is trained.
inline constexpr std::array<std::string_view, 25> known_lora_fields{"peft_type",         "r",
                                                                    "lora_alpha",        "use_rslora",
                                                                    "target_modules",    "bias",
                                                                    "task_type",         "init_lora_weights",
                                                                    "lora_dropout",      "base_model_name_or_path",
                                                                    "revision",          "inference_mode",
                                                                    "auto_mapping",      "loftq_config",
                                                                    "eva_config",        "corda_config",
                                                                    "lora_ga_config",    "velora_config",
                                                                    "runtime_config",    "peft_version",
                                                                    "qalora_group_size", "fan_in_fan_out",
                                                                    "layers_pattern",    "ensure_weight_tying",
                                                                    "megatron_core"};

/// The beginnings of the names of initializations that change the base too.
inline constexpr std::array<std::string_view, 5> changing_initializations{"pissa", "corda", "olora", "loftq",
                                                                          "lora_ga"};

/// Refuses adapters whose initialization also changed the base. With the published base they compute something other
/// than what was trained, and only this field shows it.
inline void refuse_changed_base(const JsonFields& fields) {
  const std::string key = "init_lora_weights";
  if (!fields.has(key) || fields.at(key).is_boolean()) return;
  std::string name = fields.text(key);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  // B begins at zero, or the product of both factors does.
  static constexpr std::array<std::string_view, 4> harmless{"gaussian", "eva", "orthogonal", "mica"};
  if (std::find(harmless.begin(), harmless.end(), name) != harmless.end()) return;
  const auto starts = [&](std::string_view stem) { return name.starts_with(stem); };
  if (std::any_of(changing_initializations.begin(), changing_initializations.end(), starts)) {
    fields.unsupported(key,
                       "which changed the base too; save the adapter again with PEFT's save_pretrained(..., "
                       "path_initial_model_for_weight_conversion=FOLDER_OF_THE_INITIAL_ADAPTER), which makes a plain "
                       "LoRA of it");
  }
  fields.unsupported(key,
                     "which is not implemented; true, false, \"gaussian\", \"eva\", \"orthogonal\" and \"mica\" are");
}

/// Refuses the fields that change what is computed.
inline void refuse_lora_options(const JsonFields& fields) {
  if (fields.text("peft_type") != "LORA") fields.unsupported("peft_type", "which is not implemented; 'LORA' is");
  if (fields.text_or("bias", "none") != "none") fields.unsupported("bias", "which is not implemented; 'none' is");
  if (fields.text_or("task_type", "CAUSAL_LM") != "CAUSAL_LM") {
    fields.unsupported("task_type", "which is not implemented; 'CAUSAL_LM' is");
  }
  refuse_changed_base(fields);
  for (const std::string_view name : refused_lora_fields) {
    const std::string key(name);
    if (fields.has(key) && !says_nothing(fields.at(key))) fields.unsupported(key, "which is not implemented");
  }
}

}  // namespace detail

/// Reads the text of an adapter_config.json. If target_modules is a pattern or absent, the options have no targets, and
/// load_adapter_config takes those of the stored tensors. Dropout is not an option, since responses are drawn without
/// it; further training is without it too (adapter_remarks reports it).
/// @param file  name of the file, for messages.
/// @throws BadFile naming field and value; Unsupported naming what changes the result and is not implemented (DoRA,
///         biases, patterns of ranks, further trained modules, initializations that change the base, ...).
inline LoraOptions parse_adapter_config(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields fields(json, file);
  detail::refuse_lora_options(fields);
  LoraOptions options;
  options.rank = fields.positive("r", 65536);
  options.alpha = fields.positive_number("lora_alpha");
  options.scaling = fields.boolean_or("use_rslora", false) ? LoraScaling::rank_stabilized : LoraScaling::standard;
  options.targets = detail::lora_targets(fields);
  return options;
}

/// Gives remarks for the user about the text of an adapter_config.json, one sentence each: dropout without which
/// training continues, and fields that are ignored since neither maestro nor PEFT knows them.
/// @throws BadFile if the text is not a JSON object.
inline std::vector<std::string> adapter_remarks(std::string_view text, const std::string& file) {
  const Json json = parse_json(text, file);
  const JsonFields fields(json, file);
  std::vector<std::string> remarks;
  const double dropout = fields.number_or("lora_dropout", 0.0);
  if (dropout != 0.0) {
    remarks.push_back("it was trained with lora_dropout " + fields.at("lora_dropout").dump() +
                      "; dropout is not implemented, so training goes on without it");
  }
  for (const auto& item : json.items()) {
    const auto is = [&](std::string_view name) { return item.key() == name; };
    if (detail::says_nothing(item.value()) ||
        std::any_of(detail::known_lora_fields.begin(), detail::known_lora_fields.end(), is) ||
        std::any_of(detail::refused_lora_fields.begin(), detail::refused_lora_fields.end(), is)) {
      continue;
    }
    remarks.push_back("field " + detail::quote_text(item.key()) + " is ignored, since PEFT does not know it");
  }
  return remarks;
}

/// Gives adapter_remarks of the adapter_config.json of a folder.
/// @throws IoError; BadFile if it is not a JSON object.
inline std::vector<std::string> load_adapter_remarks(const std::string& folder) {
  const std::string path = folder + "/" + detail::adapter_config_name;
  return adapter_remarks(read_file(path, std::size_t{1} << 24), path);
}

/// Reads the adapter_config.json of a folder. If its target_modules is a pattern or absent, the targets are the
/// projections whose factors are in adapter_model.safetensors.
/// @throws IoError; BadFile or Unsupported as parse_adapter_config.
inline LoraOptions load_adapter_config(const std::string& folder) {
  const std::string path = folder + "/" + detail::adapter_config_name;
  LoraOptions options = parse_adapter_config(read_file(path, std::size_t{1} << 24), path);
  if (!options.targets.empty()) return options;
  const CheckpointFiles files(folder + "/" + detail::adapter_weights_name);
  options.targets = detail::stored_targets(files.files().front());
  if (options.targets.empty()) {
    throw BadFile(files.path() +
                  ": holds no factor of a projection that may have one: " + join_names(lora_target_names));
  }
  return options;
}

/// Gives the text of an adapter_config.json that PEFT and parse_adapter_config read.
/// @param base  folder or name of the model to which the adapters belong.
/// @throws BadArgument for options outside their domains.
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

/// Writes a folder that PEFT's PeftModel.from_pretrained reads. The folder appears in one step. An older folder of
/// adapters is replaced, and any other folder is refused. With AdapterFiles::peft_and_gguf it also contains
/// adapter.gguf (save_lora_gguf), which PEFT does not read.
/// @throws IoError; BadArgument if the folder contains other files.
template <class T>
void save_adapters(const std::string& folder, const LoraFactors<T>& factors, const std::string& base,
                   AdapterFiles formats = AdapterFiles::peft) {
  for (const std::string& name : detail::names_in(folder)) {
    if (detail::is_adapter_file(name)) continue;
    throw BadArgument(folder + ": holds " + detail::quote_text(name) +
                      ", which is no file of adapters; choose a new or an older folder of adapters");
  }
  AtomicFolder files(folder);
  write_file(files.folder() + "/" + detail::adapter_config_name, adapter_config_text(factors.options(), base));
  SafetensorsWriter writer;
  factors.visit([&](const auto& view) { writer.add<T>(std::string(view.name), {view.rows, view.cols}, view.values); });
  writer.set_metadata("format", "pt");
  writer.add_checksums();
  writer.write(files.folder() + "/" + detail::adapter_weights_name);
  if (formats == AdapterFiles::peft_and_gguf) save_lora_gguf(files.path(detail::adapter_gguf_name), factors);
  files.commit();
}

/// Reads the adapters of a model with this configuration.
/// @throws IoError; BadFile naming tensors that are missing, surplus, of another shape, or not finite; Unsupported as
///         parse_adapter_config.
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
  std::uint64_t stored = 0;
  for (const TensorInfo& tensor : file.tensors()) stored += tensor.count;
  const std::uint64_t wanted_values = adapter_parameters(ModelLayout(config), options);
  if (wanted_values / 1024 > stored) {  // a small file must not make a large allocation
    throw BadFile(file.path() + ": holds " + std::to_string(stored) + " values, and " + detail::adapter_config_name +
                  " wants " + std::to_string(wanted_values));
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
