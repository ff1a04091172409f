#pragma once

/// @file
/// Any models on any prompt file, greedy and sampled, side by side.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/text_model.hpp"
#include "evaluate/judge.hpp"
#include "evaluate/measures.hpp"
#include "evaluate/options.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/tokenizers.hpp"
#include "train/answer_format.hpp"

namespace maestro::examples {

/// One model to measure.
struct NamedModel {
  std::string name;
  std::string folder;
  std::string adapter{};  ///< folder of adapters beside it; empty: none
};

/// The models of --model, with what --adapter puts on them.
/// @throws BadArgument
inline std::vector<NamedModel> named_models(const EvaluateOptions& o) {
  std::vector<NamedModel> models;
  for (const std::string& text : o.models) {
    auto [name, folder] = name_and_folder("--model", text);
    models.push_back({.name = std::move(name), .folder = std::move(folder)});
  }
  for (const std::string& text : o.adapters) {
    const auto adapter = name_and_folder("--adapter", text);
    const std::string& name = adapter.first;
    const auto model = std::find_if(models.begin(), models.end(), [&](const NamedModel& m) { return m.name == name; });
    if (model == models.end()) throw BadArgument("--adapter " + name + "=...: no --model has this name");
    if (!model->adapter.empty())
      throw BadArgument("--adapter " + name + "=...: the model of this name has one already");
    model->adapter = adapter.second;
  }
  return models;
}

/// The measures of one model under one way of decoding.
struct Measured {
  std::string model;
  std::string decoding;
  std::size_t responses = 0;
  std::vector<Measure> measures{};
  double mean_length = 0.0;  ///< tokens
};

/// Generates the responses, and measures them. The draws are keyed apart from training's, as evaluate's are.
template <maestro::Policy P>
Measured measure(P& policy, const std::string& name, const EvaluateOptions& o, std::span<const Prompt> prompts,
                 Decoding decoding, const EvaluationJudge* judge, JsonlWriter* samples) {
  constexpr std::size_t prompts_per_batch = 16;
  Sampling sampling = sampling_of(o);
  sampling.decoding = decoding;
  if (decoding == Decoding::greedy) sampling.num_generations = 1;
  Measured result{name, decoding == Decoding::greedy ? "greedy" : "sampled", sampling.num_generations};
  for (const std::string& metric : o.metrics) result.measures.emplace_back(metric);
  std::size_t tokens = 0;
  for (std::size_t first = 0; first < prompts.size(); first += prompts_per_batch) {
    const auto batch = prompts.subspan(first, std::min(prompts_per_batch, prompts.size() - first));
    const Rollouts rollouts = policy.generate(batch, sampling, DrawKey{.seed = o.seed, .step = 0xFFFFFFFFu});
    std::vector<float> scores(judge != nullptr ? rollouts.size() : 0);
    if (judge != nullptr) (*judge)(rollouts, scores);
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      const auto responses = std::span(rollouts.texts).subspan(rollouts.groups.begin(g), rollouts.groups.size(g));
      for (Measure& each : result.measures) {
        if (each.name() == "judge") {
          each.add_scores(std::span(scores).subspan(rollouts.groups.begin(g), rollouts.groups.size(g)));
        } else {
          each.add(rollouts.prompts[g], responses);
        }
      }
      for (const std::string& response : responses) {
        if (samples == nullptr) break;
        samples->write(OrderedJson{{"model", name},
                                   {"decoding", result.decoding},
                                   {"row", rollouts.prompts[g].row},
                                   {"response", response},
                                   {"reference", rollouts.prompts[g].reference}});
      }
    }
    tokens += rollouts.tokens.size();
    std::cerr << '\r' << name << ", " << result.decoding << ": " << first + batch.size() << " of " << prompts.size()
              << std::flush;
  }
  std::cerr << '\n';
  result.mean_length = static_cast<double>(tokens) / static_cast<double>(prompts.size() * result.responses);
  return result;
}

inline std::string figure_cell(const Interval& interval) {
  char text[80];
  std::snprintf(text, sizeof text, "%.1f (%.1f to %.1f)", interval.mean, interval.low, interval.high);
  return text;
}

/// One row of the table, and the same as JSON.
inline OrderedJson print_row(const std::string& model, const Measured& measured, std::span<const Figure> figures) {
  OrderedJson json{{"model", model},
                   {"decoding", measured.decoding},
                   {"responses", measured.responses},
                   {"mean_length", measured.mean_length}};
  std::cout << "| " << model << " | " << measured.decoding << " |";
  for (const Figure& figure : figures) {
    std::cout << ' ' << figure_cell(figure.interval) << " |";
    json["figures"][figure.name] = {{"value", figure.interval.mean},
                                    {"low", figure.interval.low},
                                    {"high", figure.interval.high},
                                    {"prompts", figure.prompts}};
  }
  char length[32];
  std::snprintf(length, sizeof length, " %.1f |\n", measured.mean_length);
  std::cout << length;
  return json;
}

/// Prints a table for each way of decoding: the models, then the differences of the later ones from the first.
inline void print_tables(const EvaluateOptions& o, std::span<const Measured> all, std::size_t prompts) {
  OrderedJson json{{"prompts", *o.prompts}, {"count", prompts}, {"seed", o.seed}, {"rows", OrderedJson::array()}};
  std::cout << prompts << " prompts of " << *o.prompts << "; percent, with 95 % bootstrap intervals over prompts\n";
  for (const char* decoding : {"greedy", "sampled"}) {
    const Measured* first = nullptr;
    for (const Measured& measured : all) {
      if (measured.decoding != decoding) continue;
      const auto figures = figures_of(measured.measures, o.pass_k, measured.responses, {});
      if (first == nullptr) {
        std::cout << "\n| model | decoding |";
        for (const Figure& figure : figures) std::cout << ' ' << figure.name << " (n=" << figure.prompts << ") |";
        std::cout << " tokens |\n|---|---|---|";
        for (std::size_t i = 0; i < figures.size(); ++i) std::cout << "---|";
        std::cout << '\n';
      }
      json["rows"].push_back(print_row(measured.model, measured, figures));
      if (first == nullptr) {
        first = &measured;
        continue;
      }
      Measured difference = measured;
      difference.mean_length -= first->mean_length;
      json["rows"].push_back(
          print_row(measured.model + " - " + first->model, difference,
                    figures_of(measured.measures, o.pass_k, measured.responses, {}, first->measures)));
    }
  }
  if (!o.json.empty()) write_file(o.json, dump_json(json, 1) + "\n");
}

/// What the responses are measured by.
/// @throws BadArgument
inline std::vector<std::string> measures_of(const EvaluateOptions& o, std::span<const Prompt> prompts) {
  const bool judges = std::find(o.metrics.begin(), o.metrics.end(), "judge") != o.metrics.end();
  if (judges && !o.has_judge()) throw BadArgument("--metrics judge needs --judge-url, --judge-model, --judge-rubric");
  std::vector<std::string> names = o.metrics.empty() ? measures_asked_for(prompts) : o.metrics;
  if (o.has_judge() && !judges) names.emplace_back("judge");
  const auto counts = [](const std::string& name) { return Measure(name).is_right_or_wrong(); };
  if (!o.pass_k.empty() && std::none_of(names.begin(), names.end(), counts)) {
    throw BadArgument("--pass-k has no effect unless --metrics, or the prompts, ask for exact, number or letter");
  }
  return names;
}

/// Measures every model on the prompts of a file.
/// @throws BadArgument, BadFile, IoError
inline void evaluate_prompt_file(EvaluateOptions o) {
  const std::vector<NamedModel> models = named_models(o);
  const std::string instruction = answer_instruction(answer_format(o.answer_format), o.answer_instruction);
  require(!models.empty(), "nothing to evaluate: give --model NAME=FOLDER");
  std::vector<Prompt> prompts = load_prompts(*o.prompts).prompts;
  if (o.limit > 0 && o.limit < prompts.size()) prompts.resize(o.limit);
  add_instruction(prompts, instruction);
  o.metrics = measures_of(o, prompts);
  std::optional<EvaluationJudge> judge;
  if (o.has_judge()) judge.emplace(make_judge(o.judge));
  std::optional<JsonlWriter> samples;
  if (!o.samples.empty()) samples.emplace(o.samples, OpenMode::replace);
  std::vector<Measured> all;
  for (const NamedModel& model : models) {
    const auto run = [&](auto policy) {
      if (o.decoding != DecodingChoice::sampled) {
        all.push_back(measure(policy, model.name, o, prompts, Decoding::greedy, judge ? &*judge : nullptr,
                              samples ? &*samples : nullptr));
      }
      if (o.decoding != DecodingChoice::greedy) {
        all.push_back(measure(policy, model.name, o, prompts, Decoding::sample, judge ? &*judge : nullptr,
                              samples ? &*samples : nullptr));
      }
    };
    say_ignored_fields("evaluate", model.folder);
    if (model.adapter.empty()) {
      run(load_policy<float, Backend>(model.folder));
    } else {
      run(load_policy<float>(model.folder, {.adapter = model.adapter}));
    }
  }
  print_tables(o, all, prompts.size());
}

}  // namespace maestro::examples
