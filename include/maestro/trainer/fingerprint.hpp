#pragma once

/// @file
/// What makes two runs the same run: settings and prompts as the text that a checkpoint keeps.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "maestro/core/hash.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/json.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/optimizer/schedule.hpp"
#include "maestro/trainer/settings.hpp"

namespace maestro {

/// The name of a hash in a fingerprint.
inline std::string hash_text(std::uint64_t hash) {
  char text[24];
  std::snprintf(text, sizeof text, "fnv1a %016llx", static_cast<unsigned long long>(hash));
  return text;
}

/// A hash of the prompts as they are trained on, whatever file or generator they came from.
inline std::string prompts_content(std::span<const Prompt> prompts) {
  std::uint64_t hash = fnv1a_start;
  for (const Prompt& prompt : prompts) {
    const auto add = [&](const std::string& field) {
      hash = fnv1a(std::to_string(field.size()) + ":", hash);
      hash = fnv1a(field, hash);
    };
    for (const std::string* field : {&prompt.text, &prompt.reference, &prompt.task, &prompt.metadata}) add(*field);
    for (const Message& message : prompt.messages) {
      add(message.role);
      add(message.content);
    }
  }
  return hash_text(hash);
}

namespace detail {

/// Settings that few runs touch; named if they are not the default.
inline void add_rare_settings(OrderedJson& json, const TrainerSettings& t) {
  const TrainerSettings d;
  const auto add = [&](const char* name, const auto& value, const auto& usual) {
    if (value != usual) json[name] = value;
  };
  add("decoding", static_cast<int>(t.sampling.decoding), static_cast<int>(d.sampling.decoding));
  add("stop_tokens", t.sampling.stop_tokens, d.sampling.stop_tokens);
  add("entropy_bonus", t.objective.entropy_bonus, d.objective.entropy_bonus);
  add("micro_batch_tokens", t.micro_batch_tokens, d.micro_batch_tokens);
  if (t.objective.reduction == Reduction::dr_grpo &&
      t.objective.max_completion_length != t.sampling.max_completion_length) {
    json["dr_grpo_length"] = t.objective.max_completion_length;
  }
  if (t.optimizer.kind == OptimizerKind::sgd) {
    json["sgd"] = {t.optimizer.sgd.momentum, t.optimizer.sgd.weight_decay};
  } else {
    const AdamWSettings& a = t.optimizer.adamw;
    const AdamWSettings usual;
    if (a.beta1 != usual.beta1 || a.beta2 != usual.beta2 || a.epsilon != usual.epsilon) {
      json["adamw"] = {a.beta1, a.beta2, a.epsilon};
    }
  }
}

}  // namespace detail

/// Adds every setting that decides a run's results, under TRL's names if it has one.
inline void add_settings(OrderedJson& json, const TrainerSettings& t) {
  json["seed"] = t.seed;
  json["prompts_per_step"] = t.prompts_per_step;
  json["num_generations"] = t.sampling.num_generations;
  json["max_completion_length"] = t.sampling.max_completion_length;
  json["temperature"] = t.sampling.temperature;
  json["top_k"] = t.sampling.top_k;
  json["top_p"] = t.sampling.top_p;
  json["min_p"] = t.sampling.min_p;
  json["learning_rate"] = t.learning_rate;
  json["schedule"] = schedule_names[static_cast<std::size_t>(t.schedule.kind)];
  json["warmup_steps"] = t.schedule.warmup_steps;
  if (t.schedule.kind != ScheduleKind::constant) json["steps"] = t.schedule.total_steps;
  json["weight_decay"] = t.optimizer.adamw.weight_decay;
  json["max_grad_norm"] = t.max_grad_norm;
  json["num_iterations"] = t.num_iterations;
  json["num_minibatches"] = t.num_minibatches;
  json["loss_type"] = reduction_names[static_cast<std::size_t>(t.objective.reduction)];
  json["importance_sampling_level"] = ratio_level_names[static_cast<std::size_t>(t.objective.ratio_level)];
  json["epsilon"] = {t.objective.epsilon_low, t.objective.epsilon_high};
  json["delta"] = t.objective.ratio_cap.value_or(0.0);
  json["beta"] = t.objective.beta;
  json["kl"] = {kl_estimator_names[static_cast<std::size_t>(t.objective.kl_estimator)],
                kl_placement_names[static_cast<std::size_t>(t.objective.kl_placement)],
                kl_correction_names[static_cast<std::size_t>(t.objective.kl_correction)]};
  json["ref_sync_steps"] = t.reference_sync_steps;
  detail::add_rare_settings(json, t);
}

/// The fingerprint of a run that names none itself: the trainer's settings, the names of the rewards and the content of
/// the prompts. What policy, rewards and Conductor were made from it cannot know.
template <class TrainerType>
std::string run_fingerprint(const TrainerType& trainer, std::span<const Prompt> prompts) {
  OrderedJson json;
  json["content of the prompts"] = prompts_content(prompts);
  json["num_prompts"] = prompts.size();
  add_settings(json, trainer.settings());
  for (const std::string_view name : trainer.rewards().names()) json["rewards"].push_back(name);
  return dump_json(json);
}

}  // namespace maestro
