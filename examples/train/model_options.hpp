#pragma once

/// @file
/// The options of `train` that say how a checkpoint is trained: whole or by adapters, in which form it is held, how its
/// prompts are written.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cxxopts.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/names.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/model/lora.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/chat_format.hpp"

namespace maestro::examples {

/// The type in which frozen weights are held.
enum class FrozenStore : std::uint8_t { automatic, float32, bfloat16 };
inline constexpr std::array<std::string_view, 3> frozen_store_names{"auto", "float32", "bfloat16"};

/// What a memory estimate above what is available does.
enum class MemoryCheck : std::uint8_t { refuse, warn };
inline constexpr std::array<std::string_view, 2> memory_check_names{"refuse", "warn"};

/// Whether a LoRA run also leaves the model with its adapters merged.
enum class MergeAdapters : std::uint8_t { yes, no };
inline constexpr std::array<std::string_view, 2> merge_names{"yes", "no"};

struct ModelOptions {
  std::size_t lora_rank = 0;  ///< 0: every parameter is trained
  LoraOptions lora{};
  std::string adapter;  ///< folder of adapters to go on from; empty: fresh ones
  FrozenStore frozen = FrozenStore::automatic;
  MergeAdapters merge = MergeAdapters::yes;
  StoreAs save_as = StoreAs::f32;
  Activations activations = Activations::keep;
  MemoryCheck memory = MemoryCheck::refuse;
  std::string chat_format = "auto";
  std::string reward_chat_format = "auto";
  Thinking thinking = Thinking::on;
  PromptFileOptions prompt_file{};

  bool trains_adapters() const { return lora_rank > 0 || !adapter.empty(); }
};

namespace detail {
inline constexpr std::array<std::string_view, 2> bad_line_names{"stop", "skip"};
inline constexpr std::array<std::string_view, 2> last_answer_names{"refuse", "reference"};
inline constexpr std::array<std::string_view, 2> activation_names{"keep", "recompute"};
inline constexpr std::array<std::string_view, 2> save_names{"float32", "bfloat16"};
inline constexpr std::array<std::string_view, 2> thinking_names{"on", "off"};
inline constexpr std::array<std::string_view, 2> lora_scaling_names{"standard", "rank_stabilised"};
}  // namespace detail

/// @param add  add(name, help, default): declares an option.
template <class Add>
void add_model_options(const Add& add) {
  using detail::last_answer_names;
  const auto text = [](const char* value) { return cxxopts::value<std::string>()->default_value(value); };
  add("lora-rank", "Rank of LoRA adapters, the rest frozen; 0: every parameter is trained",
      cxxopts::value<std::size_t>()->default_value("0"));
  add("lora-alpha", "LoRA's alpha: the adapters' product counts alpha / rank", text("32"));
  add("lora-target-modules", "Projections with adapters, of " + join_names(lora_target_names),
      cxxopts::value<std::vector<std::string>>()->default_value(
          "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"));
  add("lora-scaling", "standard: alpha / rank; rank_stabilised: alpha / sqrt(rank)", text("standard"));
  add("adapter", "Folder of LoRA adapters to go on from, in PEFT's layout", text(""));
  add("frozen-dtype", "How LoRA holds the frozen weights: float32, bfloat16, auto (bfloat16 where the checkpoint is)",
      text("auto"));
  add("merge-adapters", "Whether a LoRA run also saves the merged model: yes, no", text("yes"));
  add("save-dtype", "Of the saved model: float32, bfloat16", text("float32"));
  add("activations", "keep, recompute (gradient checkpointing: more time, less memory)", text("keep"));
  add("memory-check", "What an estimate above the available memory does: refuse, warn", text("refuse"));
  add("chat-format", "How prompts are written: auto (the checkpoint's own template), " + chat_format_names(),
      text("auto"));
  add("thinking", "Qwen3: on, off (an empty thought before each answer)", text("on"));
  add("reward-chat-format", "The same for --reward-model", text("auto"));
  add("on-bad-line", "What a bad line of --prompts does: stop, skip", text("stop"));
  add("prompt-column", "Key of the prompt in a line of --prompts", text("prompt"));
  add("messages-column", "Key of a conversation there", text("messages"));
  add("reference-column", "Key of the reference answer there", text("reference"));
  add("task-column", "Key of the task's name there", text("task"));
  add("last-answer", "An assistant's message at the end of a conversation: refuse, reference (becomes the reference)",
      text("refuse"));
}

inline ModelOptions read_model_options(const cxxopts::ParseResult& given) {
  const auto text = [&](const char* name) { return given[name].as<std::string>(); };
  const auto choose = [&](const char* name, const auto& names) {
    return index_of_name(std::string("--") + name, text(name), names);
  };
  ModelOptions o;
  o.lora_rank = given["lora-rank"].as<std::size_t>();
  if (o.lora_rank > 0) o.lora.rank = o.lora_rank;
  const std::string alpha = text("lora-alpha");
  std::size_t end = 0;
  try {
    o.lora.alpha = std::stod(alpha, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  if (end != alpha.size() || alpha.empty()) throw BadArgument("--lora-alpha is '" + alpha + "', not a number");
  o.lora.targets.clear();
  for (const std::string& name : given["lora-target-modules"].as<std::vector<std::string>>()) {
    const auto target = static_cast<LoraTarget>(index_of_name("--lora-target-modules", name, lora_target_names));
    if (!o.lora.has(target)) o.lora.targets.push_back(target);
  }
  o.lora.scaling = static_cast<LoraScaling>(choose("lora-scaling", detail::lora_scaling_names));
  o.adapter = text("adapter");
  o.frozen = static_cast<FrozenStore>(choose("frozen-dtype", frozen_store_names));
  o.merge = static_cast<MergeAdapters>(choose("merge-adapters", merge_names));
  o.save_as = static_cast<StoreAs>(choose("save-dtype", detail::save_names));
  o.activations = static_cast<Activations>(choose("activations", detail::activation_names));
  o.memory = static_cast<MemoryCheck>(choose("memory-check", memory_check_names));
  o.chat_format = text("chat-format");
  o.thinking = static_cast<Thinking>(choose("thinking", detail::thinking_names));
  o.reward_chat_format = text("reward-chat-format");
  o.prompt_file = {.on_bad_line = static_cast<OnBadLine>(choose("on-bad-line", detail::bad_line_names)),
                   .last_answer = static_cast<LastAnswer>(choose("last-answer", detail::last_answer_names)),
                   .columns = {.prompt = text("prompt-column"),
                               .messages = text("messages-column"),
                               .reference = text("reference-column"),
                               .task = text("task-column")}};
  return o;
}

}  // namespace maestro::examples
