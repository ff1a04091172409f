#pragma once

/// @file
/// What makes two training runs the same run: the text that a checkpoint keeps.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/hash.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/trainer/fingerprint.hpp"
#include "train/options.hpp"
#include "train/run_rewards.hpp"
#include "train/weights.hpp"

namespace maestro::examples {

/// The content of a model or adapter folder or of a GGUF file, wherever it lies.
inline std::string model_content(const std::string& folder) {
  if (is_gguf(folder)) return hash_text(hash_file(folder));
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

/// What a run reads of its model's files and of its prompts, wherever they lie.
inline OrderedJson content_of_files(const std::string& model, const ModelOptions& m, std::span<const Prompt> prompts) {
  OrderedJson json;
  json["content of --model"] = model_content(model);
  json["content of the prompts"] = prompts_content(prompts);
  json["num_prompts"] = prompts.size();
  if (m.trains_adapters()) json["content of --adapter"] = m.adapter.empty() ? "not used" : model_content(m.adapter);
  if (!m.chat_template.empty()) {
    json["content of --chat-template"] = hash_text(hash_file(m.chat_template, fnv1a_start));
  }
  return json;
}

/// Everything that decides the run's results, as text: a checkpoint of other settings is refused. Of files their
/// content, not their place.
inline std::string fingerprint(const TrainOptions& o, std::span<const Prompt> prompts) {
  OrderedJson json = content_of_files(o.model, o.model_options, prompts);
  json["content of --reward-model"] = uses(o, "preference") ? model_content(o.reward_model) : "not used";
  if (!o.outside.judge_url.empty()) {
    json["content of --judge-rubric"] = hash_text(hash_file(o.outside.judge_rubric));
  }
  if (!o.rollout.url.empty()) json["responses"] = "of a server";
  record_options(json, o);  // the length that dr_grpo divides by is the sampling's, which is recorded
  if (o.conductor == "scheduled") {
    const WeightSteps steps(o);
    json["weights_steps"] = {steps.first + 1, steps.last + 1};
  }
  return json.dump();
}

}  // namespace maestro::examples
