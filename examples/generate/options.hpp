#pragma once

/// @file
/// The command line of `generate` as a struct.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/text/chat_format.hpp"
#include "train/model_options.hpp"
#include "train/option_names.hpp"

namespace maestro::examples {

struct GenerateOptions {
  std::string model = "examples/models/base";
  std::string adapter;
  std::string chat_format = "auto";
  std::optional<std::string> prompt;  ///< none: standard input
  std::optional<std::string> system;
  std::string chat_template;
  std::string template_variables;
  bool no_thinking = false;
  std::string date = ChatFormat{}.date;
  std::size_t num_generations = 1;
  std::size_t max_completion_length = 192;
  double temperature = 1.0;
  std::size_t top_k = 0;
  double top_p = 1.0;
  double min_p = 0.0;
  bool greedy = false;
  std::uint64_t seed = 0;
};

/// Lists the options of `generate`; see OptionList.
template <OptionsOf<GenerateOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "model", .help = "Folder of the model, or a GGUF file"}, o.model);
  f({.name = "adapter", .help = "Folder of LoRA adapters for it, in PEFT's layout"}, o.adapter);
  f({.name = "chat_format",
     .help = "How the prompt is written: auto (the model's own template), {}",
     .values = detail::chat_format_choices},
    o.chat_format);
  f({.name = "prompt",
     .help = "The prompt; without a chat format a newline is added. Without this option it is read from standard input "
             "as it is"},
    o.prompt);
  f({.name = "system", .help = "A system message before it"}, o.system);
  f({.name = "chat_template", .help = "File of a chat template (Jinja) in place of the model's own"}, o.chat_template);
  f({.name = "template_variables", .help = "Variables of the chat template, as a JSON object"}, o.template_variables);
  f({.name = "no_thinking", .help = "The chat template's enable_thinking is false: an empty thought before the answer"},
    o.no_thinking);
  f({.name = "date", .help = "The day that chat templates write as today"}, o.date);
  f({.name = "num_generations", .help = "Responses"}, o.num_generations);
  f({.name = "max_completion_length", .help = "Tokens of a response at most"}, o.max_completion_length);
  f({.name = "temperature", .help = "Sampling temperature, > 0"}, o.temperature);
  f({.name = "top_k", .help = "Keep the k most probable tokens; 0: all"}, o.top_k);
  f({.name = "top_p", .help = "Keep the smallest set of tokens with this probability"}, o.top_p);
  f({.name = "min_p", .help = "Keep tokens at least this probable, relative to the best"}, o.min_p);
  f({.name = "greedy", .help = "Take the most probable token at each place"}, o.greedy);
  f({.name = "seed", .help = "Seed of the sampling"}, o.seed);
}

/// How responses are drawn.
inline Sampling sampling_of(const GenerateOptions& o) {
  return {.num_generations = o.num_generations,
          .max_completion_length = o.max_completion_length,
          .temperature = o.temperature,
          .top_k = o.top_k,
          .top_p = o.top_p,
          .min_p = o.min_p,
          .decoding = o.greedy ? Decoding::greedy : Decoding::sample};
}

/// @param given  as in idle_refusal
/// @throws BadArgument naming an option that was given although the others leave it without effect, or one outside its
/// domain.
template <class Given>
void check(const GenerateOptions& o, const Given& given) {
  const auto refuse = idle_refusal(given);
  refuse(o.greedy, {"temperature", "top-k", "top-p", "min-p", "seed"}, "with --greedy, which draws nothing");
  refuse(o.greedy && o.num_generations > 1, {"num-generations"}, "with --greedy, whose responses are all the same");
  require(o.temperature > 0.0, "--temperature must be above 0; for the most probable token take --greedy");
}

}  // namespace maestro::examples
