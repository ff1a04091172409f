#pragma once

/// @file
/// The settings of RoPE in Hugging Face's config.json, in the fields of old and new files.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/json.hpp"
#include "maestro/model/config.hpp"

namespace maestro::detail {

/// RopeFields holds the settings of the top level, of `rope_parameters` or of `rope_scaling`.
struct RopeFields {
  std::optional<double> theta;
  std::optional<RopeScaling> scaling;
};

/// RopeTypeName is a rope type with transformers' name, and the members of the object that it reads.
struct RopeTypeName {
  std::string_view name;
  RopeType type;
  std::array<std::string_view, 8> fields;
};
/// The rope types. Type "dynamic" changes nothing within max_position_embeddings, which is the limit of positions here.
inline constexpr std::array<RopeTypeName, 5> rope_type_names{
    {{"default", RopeType::unscaled, {}},
     {"dynamic", RopeType::unscaled, {"factor"}},
     {"linear", RopeType::linear, {"factor"}},
     {"llama3",
      RopeType::llama3,
      {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}},
     {"yarn",
      RopeType::yarn,
      {"factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale",
       "mscale_all_dim", "truncate"}}}};

inline const RopeTypeName& read_rope_type(const JsonFields& rope) {
  const std::string type = rope.text_or("rope_type", rope.text_or("type", "default"));
  if (rope.text_or("type", type) != type) rope.unsupported("type", "which is another type than 'rope_type'");
  for (const RopeTypeName& known : rope_type_names) {
    if (known.name == type) return known;
  }
  rope.unsupported(rope.has("rope_type") ? "rope_type" : "type",
                   "which is not implemented; 'default', 'dynamic', 'linear', 'llama3' and 'yarn' are");
}

/// Tells whether this type reads the member.
inline bool reads_rope_field(const RopeTypeName& type, std::string_view name) {
  if (name == "rope_type" || name == "type" || name == "rope_theta" || name == "partial_rotary_factor") return true;
  return std::find(type.fields.begin(), type.fields.end(), name) != type.fields.end();
}

/// Gives the factor of cosines and sines for type yarn.
inline double yarn_attention_factor(const JsonFields& rope, double factor) {
  if (rope.has("attention_factor")) return rope.positive_number("attention_factor");
  const auto scale = [&](double m) { return factor <= 1.0 ? 1.0 : 0.1 * m * std::log(factor) + 1.0; };
  const double over = rope.number_or("mscale", 0.0);
  const double under = rope.number_or("mscale_all_dim", 0.0);
  return over != 0.0 && under != 0.0 ? scale(over) / scale(under) : scale(1.0);
}

/// Reads one of the objects.
/// @param context  max_position_embeddings, which is also the old context if there is no other value.
inline RopeFields read_rope_object(const JsonFields& rope, std::size_t context) {
  const RopeTypeName& type = read_rope_type(rope);
  for (const auto& item : rope.json().items()) {
    if (item.value().is_object()) rope.unsupported(item.key(), "RoPE by the type of a layer is not implemented");
  }
  if (rope.number_or("partial_rotary_factor", 1.0) != 1.0) {
    rope.unsupported("partial_rotary_factor", "which is not implemented; 1 is");
  }
  RopeScaling scaling;
  scaling.type = type.type;
  if (scaling.type == RopeType::llama3 || scaling.type == RopeType::yarn) {
    scaling.original_max_positions = rope.positive_or("original_max_position_embeddings", context);
  }
  if (scaling.type == RopeType::yarn) {
    const double ratio = static_cast<double>(context) / static_cast<double>(scaling.original_max_positions);
    scaling.factor = rope.json().contains("factor") ? rope.number_or("factor", ratio) : rope.number("factor");
    scaling.attention_factor = yarn_attention_factor(rope, scaling.factor);
    // transformers takes 0 for absent.
    if (rope.number_or("beta_fast", 0.0) != 0.0) scaling.beta_fast = rope.number("beta_fast");
    if (rope.number_or("beta_slow", 0.0) != 0.0) scaling.beta_slow = rope.number("beta_slow");
    scaling.whole_pairs = rope.boolean_or("truncate", true);
  } else if (scaling.type != RopeType::unscaled) {
    scaling.factor = rope.number("factor");
  }
  if (scaling.type == RopeType::llama3) {
    scaling.low_freq_factor = rope.number("low_freq_factor");
    scaling.high_freq_factor = rope.number("high_freq_factor");
  }
  RopeFields read;
  if (rope.has("rope_theta")) read.theta = rope.positive_number("rope_theta");
  read.scaling = scaling;
  return read;
}

/// Adds the members of the objects that their type does not read.
inline void add_ignored_rope_fields(const Json& config, std::vector<std::string>& names) {
  for (const char* place : {"rope_parameters", "rope_scaling"}) {
    const auto object = config.find(place);
    if (object == config.end() || !object->is_object()) continue;
    const RopeTypeName& type = read_rope_type(JsonFields(*object, "config.json"));
    for (const auto& item : object->items()) {
      if (reads_rope_field(type, item.key()) || item.value().is_null()) continue;
      names.push_back(std::string(place) + "." + item.key());
    }
  }
}

/// Sets rope_theta and rope_scaling. Old files have `rope_theta` and `rope_scaling`, newer ones `rope_parameters`.
/// Settings that are given several times must agree.
inline void read_rope(const JsonFields& fields, ModelConfig& config) {
  RopeFields all;
  // transformers prefers the old context of the top level.
  const std::string old_context = "original_max_position_embeddings";
  if (fields.has("rope_theta")) all.theta = fields.positive_number("rope_theta");
  for (const char* place : {"rope_parameters", "rope_scaling"}) {
    if (!fields.has(place)) continue;
    const JsonFields rope = fields.object(place);
    if (rope.json().empty()) continue;
    RopeFields here = read_rope_object(rope, config.max_positions);
    if (fields.has(old_context) && here.scaling->type != RopeType::unscaled && here.scaling->type != RopeType::linear) {
      here.scaling->original_max_positions = fields.positive(old_context);
    }
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

/// Writes the fields of old and new files, so that old and new readers find those that they know.
inline void write_rope(const ModelConfig& config, OrderedJson& json) {
  const RopeScaling& s = config.rope_scaling;
  OrderedJson scaling = OrderedJson::object();
  if (s.type != RopeType::unscaled) scaling["factor"] = s.factor;
  if (s.type == RopeType::llama3) {
    scaling["low_freq_factor"] = s.low_freq_factor;
    scaling["high_freq_factor"] = s.high_freq_factor;
  }
  if (s.type == RopeType::llama3 || s.type == RopeType::yarn) {
    scaling["original_max_position_embeddings"] = s.original_max_positions;
  }
  if (s.type == RopeType::yarn) {
    scaling["attention_factor"] = s.attention_factor;
    scaling["beta_fast"] = s.beta_fast;
    scaling["beta_slow"] = s.beta_slow;
    scaling["truncate"] = s.whole_pairs;
  }
  const auto same = [&](const RopeTypeName& known) { return known.type == s.type; };
  scaling["rope_type"] = std::string(std::find_if(rope_type_names.begin(), rope_type_names.end(), same)->name);
  OrderedJson parameters = OrderedJson::object();
  parameters["rope_theta"] = config.rope_theta;
  for (const auto& item : scaling.items()) parameters[item.key()] = item.value();
  json["rope_theta"] = config.rope_theta;
  json["rope_parameters"] = parameters;
  if (s.type != RopeType::unscaled) json["rope_scaling"] = scaling;
}

}  // namespace maestro::detail
