#pragma once

/// @file
/// The command line of `evaluate` as a struct.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "evaluate/measures.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/sampling.hpp"
#include "train/option_names.hpp"
#include "train/outside_options.hpp"

namespace maestro::examples {

enum class DecodingChoice : std::uint8_t { greedy, sampled, both };
inline constexpr std::array<std::string_view, 3> decoding_choice_names{"greedy", "sampled", "both"};

/// The prompts of the built-in families that no training run has seen.
enum class UnseenSplit : std::uint8_t { held_out, dev };
inline constexpr std::array<std::string_view, 2> unseen_split_names{"held_out", "dev"};

struct EvaluateOptions {
  /// What belongs to other rewards from outside than the judge, and its name, which is "judge" here.
  static constexpr std::array<std::string_view, 4> hidden{"reward_command", "reward_url", "on_reward_error",
                                                          "judge_name"};

  std::optional<std::string> prompts;  ///< JSONL file; none: the built-in families
  std::vector<std::string> models;     ///< NAME=FOLDER
  std::vector<std::string> adapters;   ///< NAME=FOLDER
  std::vector<std::string> metrics;    ///< empty: as the prompts ask
  std::vector<std::size_t> pass_k;
  DecodingChoice decoding = DecodingChoice::both;
  std::string answer_format = "prompts";    ///< see answer_format.hpp
  std::string answer_instruction = "auto";  ///< see answer_format.hpp
  std::size_t limit = 0;                    ///< the first so many prompts; 0: all
  std::string json;                         ///< empty: none
  std::optional<std::string> base;
  std::vector<std::string> runs;  ///< NAME=FOLDER
  UnseenSplit split = UnseenSplit::held_out;
  std::size_t num_prompts = 240;
  std::string by_hand = "examples/data/prompts.jsonl";
  std::size_t num_generations = 4;
  std::size_t max_completion_length = 192;
  double temperature = 1.0;
  std::uint64_t seed = 1234;
  std::string samples;  ///< empty: none
  OutsideOptions judge{};

  bool has_judge() const { return !judge.judge_url.empty(); }
};

/// Lists the options of `evaluate`; see OptionList.
template <OptionsOf<EvaluateOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "prompts", .help = "JSONL file of prompts with references, as for train"}, o.prompts);
  f({.name = "model", .help = "NAME=FOLDER of a model, or NAME=FILE.gguf, for --prompts; may be given several times"},
    o.models);
  f({.name = "adapter", .help = "NAME=FOLDER of adapters for the model of that name"}, o.adapters);
  f({.name = "metrics",
     .help = "Of {}; unless given, as the field `check` of the prompts says: number, letter, translation (chrf, bleu), "
             "else chrf; judge: the score that a language model gives, which --judge-url asks",
     .values = measure_names},
    o.metrics);
  f({.name = "pass_k", .help = "k of pass@k, such as 2,4, for exact, number and letter"}, o.pass_k);
  f({.name = "decoding", .help = "greedy, sampled or both", .values = decoding_choice_names}, o.decoding);
  f({.name = "answer_format",
     .help = "What is asked for behind every prompt, as for train: prompts (nothing), boxed, ..."},
    o.answer_format);
  f({.name = "answer_instruction", .help = "auto (asks for --answer-format), none, or a text of your own"},
    o.answer_instruction);
  f({.name = "limit", .help = "The first so many prompts of the file; 0: all"}, o.limit);
  f({.name = "json", .help = "File for the figures; empty: none"}, o.json);
  f({.name = "base", .help = "Folder of the untrained model"}, o.base);
  f({.name = "run", .help = "NAME=FOLDER of a training run; may be given several times"}, o.runs);
  f({.name = "split", .help = "Prompts of the built-in families: {}", .values = unseen_split_names}, o.split);
  f({.name = "num_prompts", .help = "Prompts of that split"}, o.num_prompts);
  f({.name = "by_hand", .help = "JSONL file of prompts written by hand"}, o.by_hand);
  f({.name = "num_generations", .help = "Responses per prompt"}, o.num_generations);
  f({.name = "max_completion_length", .help = "Tokens of a response at most"}, o.max_completion_length);
  f({.name = "temperature", .help = "Sampling temperature, > 0"}, o.temperature);
  f({.name = "seed", .help = "Seed of the sampling"}, o.seed);
  f({.name = "samples", .help = "File for samples to read, with --prompts for all responses; empty: none"}, o.samples);
  f({.name = "judge", .group = "A language model as judge"}, o.judge);
}

/// How sampled responses are drawn.
inline Sampling sampling_of(const EvaluateOptions& o) {
  return {.num_generations = o.num_generations,
          .max_completion_length = o.max_completion_length,
          .temperature = o.temperature};
}

/// The parts of NAME=FOLDER.
/// @throws BadArgument naming the option.
inline std::pair<std::string, std::string> name_and_folder(const char* option, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw BadArgument(std::string(option) + " takes NAME=FOLDER, not '" + text + "'");
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

/// @param given  as in idle_refusal
/// @throws BadArgument naming an option that was given although the others leave it without effect.
template <class Given>
void check(const EvaluateOptions& o, const Given& given) {
  const auto refuse = idle_refusal(given);
  std::vector<std::string> of_the_judge = option_names(o.judge);
  refuse(o.prompts.has_value(), {"base", "run", "split", "num-prompts", "by-hand"}, "with --prompts");
  refuse(!o.prompts,
         {"model", "adapter", "metrics", "pass-k", "decoding", "json", "limit", "answer-format", "answer-instruction"},
         "without --prompts");
  refuse(!o.prompts, of_the_judge, "without --prompts");
  std::erase(of_the_judge, "judge-url");
  refuse(!o.has_judge(), of_the_judge, "without --judge-url");
  const bool greedy = o.decoding == DecodingChoice::greedy;
  refuse(greedy, {"temperature", "seed", "pass-k"}, "with --decoding greedy, which draws nothing");
  refuse(greedy && o.num_generations != 1, {"num-generations"}, "with --decoding greedy, which gives one response");
  refuse(o.answer_instruction != "auto", {"answer-format"}, "with an --answer-instruction that does not ask for it");
  for (const std::size_t k : o.pass_k) {
    if (k >= 1 && k <= o.num_generations) continue;
    throw BadArgument("--pass-k is " + std::to_string(k) + ", it must be from 1 to the " +
                      std::to_string(o.num_generations) + " responses of --num-generations");
  }
}

}  // namespace maestro::examples
