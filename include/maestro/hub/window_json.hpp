#pragma once

/// @file
/// The sliding windows in Hugging Face's config.json: position i of a windowed layer sees the positions j <= i with i -
/// j < window.
/// Source: the configurations and masks of the families in https://github.com/huggingface/transformers.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro::detail {

inline bool is_qwen(Architecture family) { return family == Architecture::qwen2 || family == Architecture::qwen3; }

/// Tells for each layer whether it has a window, by the rules of transformers' class of the family. Mistral's class
/// gives all layers a window, whatever the list says.
inline std::vector<bool> windowed_layers(const JsonFields& fields, Architecture family, std::size_t layers) {
  std::vector<bool> windowed(layers, !is_qwen(family));
  if (!fields.has("layer_types")) {
    if (!is_qwen(family) || !fields.boolean_or("use_sliding_window", false)) return windowed;
    for (std::size_t l = fields.count_or("max_window_layers", 28); l < layers; ++l) windowed[l] = true;
    return windowed;
  }
  const Json& types = fields.at("layer_types");
  if (!types.is_array() || types.size() != layers) fields.fail("layer_types", "a list with one entry per layer");
  for (std::size_t l = 0; l < layers; ++l) {
    if (types[l] == Json("sliding_attention")) {
      windowed[l] = true;
    } else if (types[l] != Json("full_attention") && types[l] != Json("attention")) {
      throw Unsupported(fields.file() + ": field 'layer_types' holds " + shown(types[l]) +
                        ", which is not implemented; 'full_attention' and 'sliding_attention' are");
    }
  }
  return windowed;
}

/// Gives the window of the layers that have one; 0 if there is none. If a file lacks the field, the default of its
/// class holds.
inline std::size_t read_window(const JsonFields& fields, Architecture family) {
  if (is_qwen(family) && !fields.boolean_or("use_sliding_window", false)) return 0;
  const bool usual = family != Architecture::llama && !fields.json().contains("sliding_window");
  return fields.count_or("sliding_window", usual ? 4096 : 0);
}

/// Sets the windows of the layers. There are none if they hide nothing within the context.
/// @throws BadFile naming a field of another type; Unsupported for layers of other kinds, for windows that the family's
///         class does not have, and for windowed layers without a window.
inline void read_windows(const JsonFields& fields, ModelConfig& config) {
  if (fields.count_or("attention_chunk_size", config.max_positions) < config.max_positions) {
    fields.unsupported("attention_chunk_size", "attention in chunks is not implemented");
  }
  const std::vector<bool> windowed = windowed_layers(fields, config.architecture, config.layers);
  const std::size_t window = read_window(fields, config.architecture);
  if (std::find(windowed.begin(), windowed.end(), true) == windowed.end()) return;
  if (window == 0) {
    if (!is_qwen(config.architecture) || !fields.has("layer_types")) return;
    throw Unsupported(fields.file() + ": field 'layer_types' holds \"sliding_attention\", but no window is given; " +
                      "use_sliding_window and sliding_window say it");
  }
  if (window >= config.max_positions) return;
  if (config.architecture == Architecture::llama) {
    fields.unsupported("sliding_window", "the llama of transformers has no windows; model_type mistral has");
  }
  for (std::size_t l = 0; l < config.layers; ++l) config.windows.push_back(windowed[l] ? window : 0);
}

/// Writes the windows of `config` under the names of its family.
/// @throws Unsupported if the family's config.json cannot express them.
inline void write_windows(const ModelConfig& config, OrderedJson& json) {
  const bool qwen = is_qwen(config.architecture);
  const bool mistral = config.architecture == Architecture::mistral;
  const std::vector<std::size_t>& windows = config.windows;
  const std::size_t window = windows.empty() ? 0 : *std::max_element(windows.begin(), windows.end());
  const bool same =
      std::all_of(windows.begin(), windows.end(), [&](std::size_t w) { return w == window || (qwen && w == 0); });
  if (!same || (window > 0 && !qwen && !mistral)) {
    throw Unsupported(
        "config.json: mistral has one window for all layers, qwen2 and qwen3 one for some, llama none; others cannot "
        "be "
        "written");
  }
  if (qwen) json["use_sliding_window"] = window > 0;
  if (mistral || window > 0) json["sliding_window"] = window > 0 ? OrderedJson(window) : OrderedJson();
  if (!qwen || window == 0) return;
  json["max_window_layers"] = std::find(windows.begin(), windows.end(), window) - windows.begin();
  OrderedJson types = OrderedJson::array();
  for (const std::size_t w : windows) types.push_back(w > 0 ? "sliding_attention" : "full_attention");
  json["layer_types"] = std::move(types);
}

}  // namespace maestro::detail
