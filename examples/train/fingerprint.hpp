#pragma once

/// @file
/// What makes two training runs the same run: the text that a checkpoint keeps.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/conductor/emphasis.hpp"
#include "maestro/conductor/estimators.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/trainer/fingerprint.hpp"
#include "train/options.hpp"
#include "train/weights.hpp"

namespace maestro::examples {

/// The content of a model or adapter folder, wherever it lies.
inline std::string model_content(const std::string& folder) {
  std::uint64_t hash = fnv1a_start;
  std::vector<std::string> names = maestro::detail::names_in(folder);
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!name.ends_with(".json") && !name.ends_with(".safetensors") && !name.ends_with(".jinja")) continue;
    hash = fnv1a(name, hash);
    hash = hash_file(folder + "/" + name, hash);
  }
  return hash_text(hash);
}

/// Everything that decides the run's results, as text: a checkpoint of other settings is refused. Of files their
/// content, not their place.
inline std::string fingerprint(const TrainOptions& o, std::span<const Prompt> prompts) {
  OrderedJson json;
  json["content of --model"] = model_content(o.model);
  json["content of --reward-model"] = uses(o, "preference") ? model_content(o.reward_model) : "not used";
  json["content of the prompts"] = prompts_content(prompts);
  const ModelOptions& m = o.model_options;
  if (m.trains_adapters()) {
    json["content of --adapter"] = m.adapter.empty() ? "not used" : model_content(m.adapter);
    json["lora"] = {m.lora.rank, m.lora.alpha, static_cast<int>(m.lora.scaling)};
    for (const LoraTarget target : m.lora.targets) {
      json["lora_target_modules"].push_back(lora_target_names[static_cast<std::size_t>(target)]);
    }
    json["frozen_dtype"] = frozen_store_names[static_cast<std::size_t>(m.frozen)];
  }
  json["chat"] = {m.chat_format, m.reward_chat_format, static_cast<int>(m.thinking)};
  json["num_prompts"] = prompts.size();
  add_settings(json, o.trainer);
  json["rewards"] = o.rewards;
  json["proxy_sync_steps"] = o.proxy_sync_steps;
  json["length_shape"] = {length_choice_names[static_cast<std::size_t>(o.length_shape)], o.length_target};
  json["scalarization"] = o.scalarization;
  json["normalise"] = o.normalise;
  json["conductor"] = o.conductor;
  if (o.conductor == "fixed" || o.conductor == "scheduled") json["weights"] = o.weights;
  if (o.conductor == "scheduled") {
    const WeightSteps steps(o);
    json["weights_end"] = o.weights_end;
    json["weights_steps"] = {steps.first + 1, steps.last + 1};
  }
  const LearnedConductorOptions& c = o.learned;
  json["conductor_learning_rate"] = c.learning_rate;
  json["conductor_period"] = c.period;
  json["conductor_emphasis"] = {emphasis_names[static_cast<std::size_t>(c.emphasis)], c.strength};
  json["conductor_estimator"] = estimator_names[static_cast<std::size_t>(c.estimator)];
  json["conductor_baseline"] = static_cast<int>(c.baseline);
  json["conductor_floor"] = static_cast<int>(c.floor);
  json["conductor_hidden_scaling"] = static_cast<int>(c.hidden_scaling);
  json["conductor_entropy_bonus"] = c.entropy_bonus;
  return json.dump();
}

}  // namespace maestro::examples
