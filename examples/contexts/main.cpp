// The seven families of contexts as files: prompts with demonstrations, their base model, supervised training, a
// model's responses with what every reward and judge says of them, and a model's held-out scores.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/cheap_rewards.hpp"
#include "common/paid_judge.hpp"
#include "common/types.hpp"
#include "contexts/options.hpp"
#include "contexts/supervised.hpp"
#include "contexts/table.hpp"
#include "evaluation/held_out_judge.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/reward/likeness.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/tokenizers.hpp"
#include "maestro/trainer/evaluation.hpp"
#include "tasks/contexts.hpp"
#include "train/command_line.hpp"

namespace {

using maestro::Json;
using maestro::OrderedJson;
using maestro::Prompt;
using maestro::examples::ContextsOptions;
namespace contexts = maestro::examples::contexts;

/// A line for each prompt; with weights of the rewards by family where a file gives them.
void write_prompts(const ContextsOptions& o) {
  const Json weights =
      o.weights.empty() ? Json::object() : maestro::parse_json(maestro::read_file(o.weights), o.weights);
  maestro::JsonlWriter lines(o.output, maestro::OpenMode::replace);
  for (const contexts::Pair& pair : contexts::make_pairs(o.split, o.count, o.seed)) {
    OrderedJson line{{"prompt", pair.prompt.text}, {"reference", pair.prompt.reference}, {"task", pair.prompt.task}};
    line.update(maestro::parse_ordered_json(pair.prompt.metadata, "the prompt's metadata"));
    line["demonstration"] = pair.response;
    if (!o.weights.empty()) line["weights"] = weights.at(pair.prompt.task);
    lines.write(line);
  }
}

/// Values with four digits behind the point.
std::vector<double> rounded(std::span<const float> values) {
  std::vector<double> result;
  for (const float value : values) result.push_back(std::round(double{value} * 1e4) / 1e4);
  return result;
}

/// A line for each of the responses that a model gives at temperature 1: the rewards and both judges.
void write_responses(const ContextsOptions& o) {
  auto policy = maestro::load_policy<float, maestro::examples::Backend>(o.model);
  const std::vector<Prompt> prompts = contexts::make_prompts(o.split, o.count, o.seed);
  const maestro::RewardSet rewards{
      maestro::examples::Brevity{},     maestro::examples::Confidence{},
      maestro::examples::Elaboration{}, maestro::Likeness{},
      maestro::examples::Liking{},      maestro::Format({.grade = maestro::FormatGrade::graded}),
      maestro::examples::PaidJudge{}};
  const auto names = rewards.names();
  const maestro::Sampling sampling{.num_generations = o.num_generations, .max_completion_length = 48};
  maestro::JsonlWriter lines(o.output, maestro::OpenMode::replace);
  for (std::size_t first = 0; first < prompts.size(); first += 28) {
    const auto part = std::span(prompts).subspan(first, std::min<std::size_t>(28, prompts.size() - first));
    const maestro::Rollouts rollouts = policy.generate(part, sampling, {.seed = o.seed, .step = 0xFFFFFFFDu});
    maestro::Matrix<float> scores(rollouts.size(), names.size());
    rewards.evaluate(rollouts, scores.view());
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      const maestro::Completion completion = rollouts.completion(i);
      OrderedJson line{{"row", completion.prompt.row},
                       {"task", completion.prompt.task},
                       {"prompt", completion.prompt.text},
                       {"response", maestro::replace_invalid_utf8(completion.text)}};
      for (std::size_t k = 0; k < names.size(); ++k) line[std::string(names[k])] = scores(i, k);
      const maestro::examples::Remark remark = maestro::examples::held_out_remark(completion.prompt, completion.text);
      line["judge"] = remark.score;
      line["rules"] = remark.rules;
      if (o.hidden_states) {
        line["hidden"] = rounded(rollouts.hidden.row(i));
        line["prompt_hidden"] = rounded(rollouts.prompt_hidden.row(rollouts.groups.group_of(i)));
      }
      lines.write(line);
    }
  }
}

/// The held-out scores of every prompt, greedy and at temperatures 0.5 and 1.
void write_scores(const ContextsOptions& o) {
  auto policy = maestro::load_policy<float, maestro::examples::Backend>(o.model);
  const std::vector<Prompt> prompts = contexts::make_prompts(o.split, o.count, o.seed);
  OrderedJson result{{"split", maestro::examples::split_names[static_cast<std::size_t>(o.split)]},
                     {"data_seed", o.seed},
                     {"tasks", OrderedJson::array()}};
  for (const Prompt& prompt : prompts) result["tasks"].push_back(prompt.task);
  for (const maestro::examples::ContextDecoding& decoding : maestro::examples::context_decodings) {
    const maestro::Evaluation measured =
        maestro::evaluate(policy, std::span<const Prompt>(prompts), maestro::examples::held_out_score,
                          maestro::examples::evaluation_options(decoding, o.num_generations));
    result[std::string(decoding.key)] = {{"scores", measured.prompt_scores}, {"length", measured.mean_length}};
  }
  maestro::write_file(o.output, maestro::dump_json(result) + "\n");
}

/// Prints a table of models on the held-out prompts; the file gets responses to read.
void write_table(const ContextsOptions& o) {
  maestro::examples::ContextTable table(contexts::make_prompts(o.split, o.count, o.seed), o.num_generations);
  for (const std::string& run : o.runs) table.add(run);
  std::cout << table.text();
  maestro::write_file(o.output, table.samples());
}

/// Makes a model on demonstrations: from nothing, or from another one.
void write_model(const ContextsOptions& o) {
  const maestro::examples::SupervisedOptions options{.seed = o.seed,
                                                     .steps = o.steps,
                                                     .batch = o.batch,
                                                     .learning_rate = o.learning_rate,
                                                     .demonstrations = o.demonstrations,
                                                     .pairs = o.pairs};
  if (o.task() == maestro::examples::ContextsTask::base) {
    return maestro::examples::make_contexts_base(o.output, options);
  }
  auto policy = maestro::load_policy<float, maestro::examples::Backend>(o.model);
  maestro::examples::make_supervised(policy, o.output, options);
}

void run(const ContextsOptions& o) {
  using enum maestro::examples::ContextsTask;
  switch (o.task()) {
    case prompts:
      return write_prompts(o);
    case responses:
      return write_responses(o);
    case scores:
      return write_scores(o);
    case table:
      return write_table(o);
    case base:
    case supervised:
      return write_model(o);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return maestro::examples::run_program<ContextsOptions>(
      "contexts", "Writes the seven families of contexts, or what models do on them, to a file.\n", argc, argv,
      [](const ContextsOptions& o) {
        if (o.threads > 0) maestro::set_threads(o.threads);
        run(o);
        return 0;
      });
}
