#pragma once

/// @file
/// The fingerprint of a run: the text of its options and prompts that a checkpoint stores. Two runs are the same run if
/// their fingerprints agree.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/hash.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/json.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/trainer/options.hpp"

namespace maestro {

/// Gives the text of a hash in a fingerprint.
inline std::string hash_text(std::uint64_t hash) {
  char text[24];
  std::snprintf(text, sizeof text, "fnv1a %016llx", static_cast<unsigned long long>(hash));
  return text;
}

/// Gives a hash of the texts, references, tasks, metadata, messages and features of the prompts, from whatever source
/// they came.
inline std::string prompts_content(std::span<const Prompt> prompts) {
  std::uint64_t hash = fnv1a_start;
  for (const Prompt& prompt : prompts) {
    const auto add = [&](std::string_view field) {
      hash = fnv1a(std::to_string(field.size()) + ":", hash);
      hash = fnv1a(field, hash);
    };
    for (const std::string* field : {&prompt.text, &prompt.reference, &prompt.task, &prompt.metadata}) add(*field);
    for (const Message& message : prompt.messages) {
      add(message.role);
      add(message.content);
    }
    if (!prompt.features.empty()) {
      add({reinterpret_cast<const char*>(prompt.features.data()), prompt.features.size() * sizeof(float)});
    }
  }
  return hash_text(hash);
}

namespace detail {

/// Gives the value of an option in a fingerprint.
template <class T>
OrderedJson recorded_value(const OptionInfo& info, const T& value) {
  if constexpr (std::is_enum_v<T>) {
    const auto place = static_cast<std::size_t>(value);
    if (info.enum_as == EnumAs::name && !info.values.empty()) return info.values[place];
    return place;
  } else {
    return value;
  }
}
template <class T>
OrderedJson recorded_value(const OptionInfo&, const std::optional<T>& value) {
  return value.value_or(T{});
}
template <class Enum>
requires std::is_enum_v<Enum> OrderedJson recorded_value(const OptionInfo& info, const std::vector<Enum>& values) {
  OrderedJson list = OrderedJson::array();
  for (const Enum value : values) list.push_back(recorded_value(info, value));
  return list;
}

/// Gives the options of this kind, each under its key or in its list.
template <OptionList S>
OrderedJson recorded_options(const S& options, Recorded kind) {
  OrderedJson json = OrderedJson::object();
  visit_values(options, [&](const OptionInfo& info, const auto& value) {
    if (info.recorded != kind) return;
    OrderedJson written = recorded_value(info, value);
    if (!info.list.empty()) {
      json[std::string(info.list)].push_back(std::move(written));
    } else {
      json[std::string(info.key.empty() ? info.name : info.key)] = std::move(written);
    }
  });
  return json;
}

}  // namespace detail

/// Adds the options that decide a run's results, under the names of the struct's list (see OptionList). Options of kind
/// Recorded::unless_default are added only if they, or others of their list, differ from the default.
template <OptionList S>
void record_options(OrderedJson& json, const S& options) {
  json.update(detail::recorded_options(options, Recorded::always));
  const S defaults;
  const OrderedJson usual = detail::recorded_options(defaults, Recorded::unless_default);
  const OrderedJson rare = detail::recorded_options(options, Recorded::unless_default);
  for (const auto& [key, value] : rare.items()) {
    if (!usual.contains(key) || usual.at(key) != value) json[key] = value;
  }
}

/// Adds every option of the trainer that decides a run's results, under TRL's name if TRL has the option.
inline void add_options(OrderedJson& json, const TrainerOptions& t) {
  record_options(json, t);
  if (t.objective.reduction == Reduction::dr_grpo &&
      t.objective.max_completion_length != t.sampling.max_completion_length) {
    json["dr_grpo_length"] = t.objective.max_completion_length;
  }
}

/// Gives the fingerprint of a run without one of its own: the trainer's options, the names of the rewards, and the
/// content of the prompts. It does not include the options of policy, rewards and Conductor.
template <class TrainerType>
std::string run_fingerprint(const TrainerType& trainer, std::span<const Prompt> prompts) {
  OrderedJson json;
  json["content of the prompts"] = prompts_content(prompts);
  json["num_prompts"] = prompts.size();
  add_options(json, trainer.options());
  for (const std::string_view name : trainer.rewards().names()) json["rewards"].push_back(name);
  return dump_json(json);
}

}  // namespace maestro
