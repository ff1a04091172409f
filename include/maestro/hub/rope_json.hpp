#pragma once

/// @file
/// What a config.json of Hugging Face says about RoPE, in the fields of old and new files.

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro::detail {

/// RopeFields is what the top level, `rope_parameters` or `rope_scaling` says.
struct RopeFields {
  std::optional<double> theta;
  std::optional<RopeScaling> scaling;
};

inline RopeType read_rope_type(const JsonFields& rope) {
  const std::string type = rope.text_or("rope_type", rope.text_or("type", "default"));
  if (rope.text_or("type", type) != type) rope.unsupported("type", "which is another type than 'rope_type'");
  if (type == "default") return RopeType::unscaled;
  if (type == "llama3") return RopeType::llama3;
  rope.unsupported(rope.has("rope_type") ? "rope_type" : "type",
                   "which is not implemented; 'default' and 'llama3' are");
}

/// Reads one of the objects.
/// @param max_positions  the old context if the object does not name it, as in transformers.
inline RopeFields read_rope_object(const JsonFields& rope, std::size_t max_positions) {
  static constexpr std::array<std::string_view, 4> common{"rope_type", "type", "rope_theta", "partial_rotary_factor"};
  static constexpr std::array<std::string_view, 4> scaled{"factor", "low_freq_factor", "high_freq_factor",
                                                          "original_max_position_embeddings"};
  const auto has = [](const auto& list, std::string_view name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  RopeScaling scaling;
  scaling.type = read_rope_type(rope);
  for (const auto& item : rope.json().items()) {
    const bool known = has(common, item.key()) || (scaling.type == RopeType::llama3 && has(scaled, item.key()));
    if (!known && rope.has(item.key())) rope.unsupported(item.key(), "a field that is not implemented");
  }
  if (rope.number_or("partial_rotary_factor", 1.0) != 1.0) {
    rope.unsupported("partial_rotary_factor", "which is not implemented; 1 is");
  }
  if (scaling.type == RopeType::llama3) {
    scaling.factor = rope.number("factor");
    scaling.low_freq_factor = rope.number("low_freq_factor");
    scaling.high_freq_factor = rope.number("high_freq_factor");
    scaling.original_max_positions = rope.positive_or("original_max_position_embeddings", max_positions);
  }
  RopeFields read;
  if (rope.has("rope_theta")) read.theta = rope.positive_number("rope_theta");
  read.scaling = scaling;
  return read;
}

/// Sets rope_theta and rope_scaling. Old files have `rope_theta` and `rope_scaling`, newer ones `rope_parameters`; if
/// several say the same thing, they must agree.
inline void read_rope(const JsonFields& fields, ModelConfig& config) {
  RopeFields all;
  if (fields.has("rope_theta")) all.theta = fields.positive_number("rope_theta");
  for (const char* place : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(place)) continue;
    const RopeFields here = read_rope_object(fields.object(place), config.max_positions);
    if (all.theta && here.theta && *all.theta != *here.theta) {
      throw BadFile(fields.file() + ": field 'rope_theta' is given twice with different values");
    }
    if (all.scaling && *all.scaling != *here.scaling) {
      throw BadFile(fields.file() + ": fields 'rope_parameters' and 'rope_scaling' disagree; remove one of them");
    }
    if (here.theta) all.theta = here.theta;
    all.scaling = here.scaling;
  }
  config.rope_theta = all.theta.value_or(10000.0);
  config.rope_scaling = all.scaling.value_or(RopeScaling{});
}

/// Writes the fields of old and new files, so that old and new readers find what they know.
inline void write_rope(const ModelConfig& config, OrderedJson& json) {
  const RopeScaling& s = config.rope_scaling;
  OrderedJson scaling = OrderedJson::object();
  if (s.type == RopeType::llama3) {
    scaling["factor"] = s.factor;
    scaling["low_freq_factor"] = s.low_freq_factor;
    scaling["high_freq_factor"] = s.high_freq_factor;
    scaling["original_max_position_embeddings"] = s.original_max_positions;
  }
  scaling["rope_type"] = s.type == RopeType::llama3 ? "llama3" : "default";
  OrderedJson parameters = OrderedJson::object();
  parameters["rope_theta"] = config.rope_theta;
  for (const auto& item : scaling.items()) parameters[item.key()] = item.value();
  json["rope_theta"] = config.rope_theta;
  json["rope_parameters"] = parameters;
  if (s.type != RopeType::unscaled) json["rope_scaling"] = scaling;
}

}  // namespace maestro::detail
