// Measures any models on a prompt file; or scores models on held-out prompts with judges that no training code can
// reach. Prints one table.
#include <algorithm>
#include <cstdio>
#include <cxxopts.hpp>
#include <exception>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/text_model.hpp"
#include "common/types.hpp"
#include "evaluate/conductor_kl.hpp"
#include "evaluate/prompt_file.hpp"
#include "evaluation/held_out_judge.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/tokenizers.hpp"
#include "maestro/trainer/evaluation.hpp"
#include "tasks/tasks.hpp"
#include "train/command_line.hpp"

namespace {

using maestro::Evaluation;
using maestro::Prompt;

/// A model to judge: the base, or the result of a training run.
struct Candidate {
  std::string name;
  std::string model;      ///< folder of the model
  std::string metrics{};  ///< the run's metrics.jsonl; empty for the base
  Evaluation held_out{};
  Evaluation by_hand{};
};

std::string cell(const maestro::Interval& interval) {
  char text[64];
  std::snprintf(text, sizeof text, "%.1f (%.1f-%.1f)", 100 * interval.mean, 100 * interval.low, 100 * interval.high);
  return text;
}

void print_table(std::ostream& out, const std::vector<Candidate>& candidates) {
  out << "\nJudge score in % on held-out prompts, 95 % bootstrap interval over prompts in brackets\n\n| model |";
  for (const auto& [task, interval] : candidates[0].held_out.per_task) {
    out << ' ' << task << " (n=" << candidates[0].held_out.task_counts.at(task) << ") |";
  }
  out << " all | by hand (n=" << candidates[0].by_hand.prompt_scores.size() << ") | tokens | KL(q, uniform) |\n|---|";
  for (std::size_t i = 0; i < candidates[0].held_out.per_task.size() + 4; ++i) out << "---|";
  out << '\n';
  for (const Candidate& c : candidates) {
    out << "| " << c.name << " |";
    for (const auto& [task, interval] : c.held_out.per_task) out << ' ' << cell(interval) << " |";
    char rest[96];
    std::snprintf(rest, sizeof rest, " %.1f |", c.held_out.mean_length);
    out << ' ' << cell(c.held_out.overall) << " | " << cell(c.by_hand.overall) << " |" << rest;
    out << ' ' << maestro::examples::conductor_kl_cell(maestro::examples::conductor_kl(c.metrics)) << " |\n";
  }
}

/// The first response to a few prompts of each family, with the judge's rules.
void write_samples(std::ostream& out, const std::string& name, const maestro::Rollouts& rollouts,
                   std::map<std::string, int>& left) {
  for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
    const Prompt& prompt = rollouts.prompts[g];
    const auto [entry, is_new] = left.try_emplace(prompt.task, 4);
    if (entry->second-- <= 0) continue;
    const std::size_t i = rollouts.groups.begin(g);
    const auto remark = maestro::examples::held_out_remark(prompt, rollouts.texts[i]);
    out << "### " << name << ", " << prompt.task << ", prompt " << prompt.row << ": score " << remark.score
        << "\n\n```\n"
        << maestro::replace_invalid_utf8(prompt.text) << maestro::replace_invalid_utf8(rollouts.texts[i]) << "\n```\n\n"
        << remark.rules << "\n\n";
  }
}

std::vector<Candidate> candidates_of(const cxxopts::ParseResult& given) {
  std::vector<Candidate> result;
  if (given.count("base") > 0) result.push_back({.name = "base", .model = given["base"].as<std::string>()});
  if (given.count("run") > 0) {
    for (const std::string& run : given["run"].as<std::vector<std::string>>()) {
      const std::size_t equals = run.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw maestro::BadArgument("--run takes NAME=FOLDER, not '" + run + "'");
      }
      const std::string folder = run.substr(equals + 1);
      result.push_back(
          {.name = run.substr(0, equals), .model = folder + "/model", .metrics = folder + "/metrics.jsonl"});
    }
  }
  if (result.empty()) throw maestro::BadArgument("nothing to evaluate: give --base FOLDER or --run NAME=FOLDER");
  return result;
}

/// NAME and what follows it in the values of an option.
std::vector<std::pair<std::string, std::string>> named(const cxxopts::ParseResult& given, const char* option) {
  std::vector<std::pair<std::string, std::string>> result;
  if (given.count(option) == 0) return result;
  for (const std::string& text : given[option].as<std::vector<std::string>>()) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw maestro::BadArgument("--" + std::string(option) + " takes NAME=FOLDER, not '" + text + "'");
    }
    result.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

/// The options of an evaluation on --prompts.
maestro::examples::PromptFileEvaluation prompt_file_options(const cxxopts::ParseResult& given) {
  maestro::examples::PromptFileEvaluation o;
  for (const char* other : {"base", "run", "split", "num-prompts", "by-hand"}) {
    if (given.count(other) > 0) throw maestro::BadArgument("--" + std::string(other) + " has no effect with --prompts");
  }
  o.prompts = given["prompts"].as<std::string>();
  o.limit = given["limit"].as<std::size_t>();
  for (auto& [name, folder] : named(given, "model")) o.models.push_back({.name = name, .folder = folder});
  for (auto& [name, folder] : named(given, "adapter")) {
    const auto model = std::find_if(o.models.begin(), o.models.end(), [&](const auto& m) { return m.name == name; });
    if (model == o.models.end()) throw maestro::BadArgument("--adapter " + name + "=...: no --model has this name");
    model->adapter = folder;
  }
  if (given.count("metrics") > 0) o.metrics = given["metrics"].as<std::vector<std::string>>();
  if (given.count("pass-k") > 0) o.ks = given["pass-k"].as<std::vector<std::size_t>>();
  o.sampling.num_generations = given["num-generations"].as<std::size_t>();
  o.sampling.max_completion_length = given["max-completion-length"].as<std::size_t>();
  o.sampling.temperature = given["temperature"].as<double>();
  const auto decoding = given["decoding"].as<std::string>();
  o.greedy = decoding != "sampled";
  o.sampled = decoding != "greedy";
  if (decoding != "both" && o.greedy == o.sampled) {
    throw maestro::BadArgument("--decoding: '" + decoding + "' is unknown; choose greedy, sampled or both");
  }
  maestro::examples::read_options(given, o.judge);
  o.instruction =
      maestro::examples::answer_instruction(maestro::examples::answer_format(given["answer-format"].as<std::string>()),
                                            given["answer-instruction"].as<std::string>());
  o.seed = given["seed"].as<std::size_t>();
  o.json = given["json"].as<std::string>();
  o.samples = given["samples"].as<std::string>();
  return o;
}

int run(const cxxopts::ParseResult& given) {
  if (given.count("prompts") > 0) {
    maestro::examples::evaluate_prompt_file(prompt_file_options(given));
    return 0;
  }
  std::vector<std::string> others{"model", "adapter",       "metrics",           "pass-k", "decoding", "json",
                                  "limit", "answer-format", "answer-instruction"};
  const maestro::examples::JudgeChoice no_judge;
  for (const std::string& option : maestro::examples::option_names(no_judge)) others.push_back(option);
  for (const std::string& other : others) {
    if (given.count(other) > 0) {
      throw maestro::BadArgument("--" + other + " has no effect without --prompts");
    }
  }
  std::vector<Candidate> candidates = candidates_of(given);
  const auto split_name = given["split"].as<std::string>();
  if (split_name != "held_out" && split_name != "dev") {
    throw maestro::BadArgument("--split: '" + split_name + "' is unknown; choose held_out or dev");
  }
  const auto split = split_name == "dev" ? maestro::examples::Split::dev : maestro::examples::Split::held_out;
  const std::vector<Prompt> held_out =
      maestro::examples::make_prompts(split, given["num-prompts"].as<std::size_t>(), 7);
  const std::vector<Prompt> by_hand = maestro::load_prompts(given["by-hand"].as<std::string>()).prompts;
  maestro::EvaluationOptions options;
  options.sampling.num_generations = given["num-generations"].as<std::size_t>();
  options.sampling.max_completion_length = given["max-completion-length"].as<std::size_t>();
  options.sampling.temperature = given["temperature"].as<double>();
  options.seed = given["seed"].as<std::size_t>();
  const auto samples_path = given["samples"].as<std::string>();
  std::ofstream samples;
  if (!samples_path.empty()) {
    samples.open(samples_path);
    if (!samples) throw maestro::IoError(samples_path + ": cannot be written");
  }
  for (Candidate& c : candidates) {
    maestro::examples::say_ignored_fields("evaluate", c.model);
    auto policy = maestro::load_policy<float, maestro::examples::Backend>(c.model);
    std::map<std::string, int> left;
    c.held_out = maestro::evaluate(policy, std::span<const Prompt>(held_out), maestro::examples::held_out_score,
                                   options, [&](const maestro::Rollouts& rollouts, std::span<const double>) {
                                     if (samples.is_open()) write_samples(samples, c.name, rollouts, left);
                                   });
    c.by_hand = maestro::evaluate(policy, std::span<const Prompt>(by_hand), maestro::examples::held_out_score, options);
  }
  print_table(std::cout, candidates);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cxxopts::Options options(
      "evaluate",
      "With --prompts: measures any models on a prompt file, greedy and sampled, with intervals, and the\n"
      "differences of the later models from the first, the same prompts drawn for both:\n\n"
      "  evaluate --prompts gsm8k.jsonl --model base=DIR --model trained=runs/mine/model --pass-k 4\n\n"
      "Without: scores models on the held-out prompts of the built-in families. KL(q, uniform) is that of the "
      "Conductor's\nmean action probabilities over the run's last tenth; under 0.05 it has not "
      "learned to prefer a reward.\n");
  options.set_width(110);
  auto add = options.add_options();
  add("prompts", "JSONL file of prompts with references, as for train", cxxopts::value<std::string>());
  add("model", "NAME=FOLDER of a model, or NAME=FILE.gguf, for --prompts; may be given several times",
      cxxopts::value<std::vector<std::string>>());
  add("adapter", "NAME=FOLDER of adapters for the model of that name", cxxopts::value<std::vector<std::string>>());
  add("metrics",
      "Of " + maestro::join_names(maestro::examples::measure_names) +
          "; unless given, as the field `check` of the prompts says: number, letter, translation (chrf, bleu), else "
          "chrf; judge: the score that a language model gives, which --judge-url asks",
      cxxopts::value<std::vector<std::string>>());
  add("pass-k", "k of pass@k, such as 2,4, for exact, number and letter", cxxopts::value<std::vector<std::size_t>>());
  add("decoding", "greedy, sampled or both", cxxopts::value<std::string>()->default_value("both"));
  add("answer-format", "What is asked for behind every prompt, as for train: prompts (nothing), boxed, ...",
      cxxopts::value<std::string>()->default_value("prompts"));
  add("answer-instruction", "auto (asks for --answer-format), none, or a text of your own",
      cxxopts::value<std::string>()->default_value("auto"));
  add("limit", "The first so many prompts of the file; 0: all", cxxopts::value<std::size_t>()->default_value("0"));
  add("json", "File for the figures; empty: none", cxxopts::value<std::string>()->default_value(""));
  add("base", "Folder of the untrained model", cxxopts::value<std::string>());
  add("run", "NAME=FOLDER of a training run; may be given several times", cxxopts::value<std::vector<std::string>>());
  add("split", "Prompts of the built-in families: held_out, dev",
      cxxopts::value<std::string>()->default_value("held_out"));
  add("num-prompts", "Prompts of that split", cxxopts::value<std::size_t>()->default_value("240"));
  add("by-hand", "JSONL file of prompts written by hand",
      cxxopts::value<std::string>()->default_value("examples/data/prompts.jsonl"));
  add("num-generations", "Responses per prompt", cxxopts::value<std::size_t>()->default_value("4"));
  add("max-completion-length", "Tokens of a response at most", cxxopts::value<std::size_t>()->default_value("192"));
  add("temperature", "Sampling temperature, > 0", cxxopts::value<double>()->default_value("1"));
  add("seed", "Seed of the sampling", cxxopts::value<std::size_t>()->default_value("1234"));
  add("samples", "File for samples to read, with --prompts for all responses; empty: none",
      cxxopts::value<std::string>()->default_value(""));
  add("help", "This text");
  maestro::examples::add_options<maestro::examples::JudgeChoice>(options);
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::cout << options.help() << '\n';
      return 0;
    }
    if (!given.unmatched().empty()) {
      throw maestro::BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
    }
    return run(given);
  } catch (const std::exception& error) {
    std::cerr << "evaluate: " << error.what() << '\n';
    return 2;
  }
}
