#pragma once

/// @file
/// The options of `train` that say how a checkpoint is trained: whole or by adapters, in which form it is held, how its
/// prompts are written.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "maestro/core/option.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/model/frozen_weights.hpp"
#include "maestro/model/lora.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/chat_format.hpp"

namespace maestro::examples {

/// The names of FrozenStore.
inline constexpr std::array<std::string_view, 4> frozen_store_names{"auto", "float32", "bfloat16", "quantized"};

/// The type of the saved model's tensors. Updates may be smaller than the steps of bfloat16, so that a model whose
/// every parameter was trained is saved in float32 unless asked otherwise.
enum class SaveType : std::uint8_t {
  automatic,  ///< of adapters merged into a checkpoint: that of the checkpoint; else float32
  float32,
  bfloat16,
};

/// What a memory estimate above what is available does.
enum class MemoryCheck : std::uint8_t { refuse, warn };
inline constexpr std::array<std::string_view, 2> memory_check_names{"refuse", "warn"};

/// Whether a LoRA run's folder of adapters also has them as a GGUF file.
inline constexpr std::array<std::string_view, 2> adapter_files_names{"no", "yes"};

/// Whether a LoRA run also leaves the model with its adapters merged.
enum class MergeAdapters : std::uint8_t { yes, no };
inline constexpr std::array<std::string_view, 2> merge_names{"yes", "no"};

struct ModelOptions {
  std::size_t lora_rank = 0;  ///< 0: every parameter is trained
  LoraOptions lora{};
  std::string adapter;  ///< folder of adapters to go on from; empty: fresh ones
  FrozenStore frozen = FrozenStore::automatic;
  MergeAdapters merge = MergeAdapters::yes;
  AdapterFiles adapter_files = AdapterFiles::peft;
  SaveType save_as = SaveType::automatic;
  Activations activations = Activations::keep;
  MemoryCheck memory = MemoryCheck::refuse;
  std::string chat_format = "auto";
  std::string reward_chat_format = "auto";
  std::string chat_template;       ///< file of a chat template; empty: the checkpoint's own
  std::string template_variables;  ///< of the chat template, as a JSON object
  std::string system;              ///< of conversations that have no system message
  std::string date = ChatFormat{}.date;
  Thinking thinking = Thinking::by_template;
  PromptFileOptions prompt_file{};
  std::size_t max_prompt_length = 0;  ///< tokens; 0: what the model's positions leave beside a response
  OnBadLine on_long_prompt = OnBadLine::stop;

  bool trains_adapters() const { return lora_rank > 0 || !adapter.empty(); }
};

namespace detail {

inline constexpr std::array<std::string_view, 2> activation_names{"keep", "recompute"};
inline constexpr std::array<std::string_view, 3> save_names{"auto", "float32", "bfloat16"};
inline constexpr std::array<std::string_view, 3> thinking_names{"auto", "on", "off"};
inline constexpr auto chat_format_choices = [] {
  std::array<std::string_view, maestro::detail::chat_names.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = maestro::detail::chat_names[i].name;
  return names;
}();

}  // namespace detail

/// The list of the model's options: see OptionList. What says only how fast a run is, or what it saves, is not
/// recorded.
template <OptionsOf<ModelOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  const Recorded adapters = o.trains_adapters() ? Recorded::always : never;
  f({.name = "lora_rank",
     .help = "Rank of LoRA adapters, the rest frozen; 0: every parameter is trained",
     .recorded = never},
    o.lora_rank);
  f({.name = "lora", .recorded = adapters}, o.lora);
  f({.name = "adapter", .help = "Folder of LoRA adapters to go on from, in PEFT's layout", .recorded = never},
    o.adapter);
  f({.name = "frozen_dtype",
     .help = "How LoRA holds the frozen weights: float32, bfloat16, quantized (as a GGUF file does, F16 too), auto "
             "(as the checkpoint does, but F16 in float32)",
     .values = frozen_store_names,
     .recorded = adapters},
    o.frozen);
  f({.name = "merge_adapters",
     .help = "Whether a LoRA run also saves the merged model: {}",
     .values = merge_names,
     .recorded = never},
    o.merge);
  f({.name = "save_gguf_adapter",
     .help =
         "Whether a LoRA run also saves adapter/adapter.gguf, for llama.cpp's --lora beside the same model in GGUF: {}",
     .values = adapter_files_names,
     .recorded = never},
    o.adapter_files);
  f({.name = "save_dtype",
     .help = "Of the saved model: float32, bfloat16, auto (bfloat16 if adapters are merged into a checkpoint that is)",
     .values = detail::save_names,
     .recorded = never},
    o.save_as);
  f({.name = "activations",
     .help = "For the backward pass: {} (gradient checkpointing: more time, less memory)",
     .values = detail::activation_names,
     .recorded = never},
    o.activations);
  f({.name = "memory_check",
     .help = "What an estimate above the available memory does: {}",
     .values = memory_check_names,
     .recorded = never},
    o.memory);
  f({.name = "chat_format",
     .help = "How prompts are written: auto (the checkpoint's own template), {}",
     .values = detail::chat_format_choices,
     .list = "chat"},
    o.chat_format);
  f({.name = "reward_chat_format", .help = "The same for --reward-model", .list = "chat"}, o.reward_chat_format);
  // Its content is recorded.
  f({.name = "chat_template",
     .help = "File of a chat template (Jinja) in place of the checkpoint's own",
     .recorded = never},
    o.chat_template);
  f({.name = "template_variables",
     .help = "Variables of the chat template, such as {\"reasoning_effort\": \"low\"}",
     .recorded = Recorded::unless_default},
    o.template_variables);
  f({.name = "system", .help = "System message of conversations that have none", .recorded = Recorded::unless_default},
    o.system);
  f({.name = "date", .help = "The day that chat templates write as today", .recorded = Recorded::unless_default},
    o.date);
  f({.name = "thinking",
     .help = "Variable enable_thinking of the chat template: {}; auto leaves it to the template",
     .values = detail::thinking_names,
     .list = "chat",
     .enum_as = EnumAs::number},
    o.thinking);
  f({.name = "prompt_file", .recorded = never}, o.prompt_file);
  f({.name = "max_prompt_length",
     .help = "Tokens of a prompt at most; 0: what the model's positions leave beside a response",
     .recorded = never},
    o.max_prompt_length);
  f({.name = "on_long_prompt",
     .help = "What a prompt of more tokens does: {} (it is left out, and counted)",
     .values = on_bad_line_names,
     .recorded = never},
    o.on_long_prompt);
}

}  // namespace maestro::examples
