// The seven families of contexts as files: prompts with demonstrations, their base model, supervised training, a
// model's responses with what every reward and judge says of them, and a model's held-out scores.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cxxopts.hpp>
#include <exception>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/cheap_rewards.hpp"
#include "common/paid_judge.hpp"
#include "common/types.hpp"
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

namespace {

using maestro::Json;
using maestro::OrderedJson;
using maestro::Prompt;
namespace contexts = maestro::examples::contexts;

struct Options {
  std::string task;
  std::string model;
  std::string split = "held_out";
  std::string weights;
  std::string output;
  std::size_t count = 175;
  std::size_t generations = 4;
  std::uint64_t seed = 7;
  bool hidden = false;
  int threads = 0;
  std::vector<std::string> runs;
  maestro::examples::SupervisedOptions supervised{};
};

maestro::examples::Split split_named(const std::string& name) {
  static constexpr std::array<std::string_view, 3> names{"train", "dev", "held_out"};
  return static_cast<maestro::examples::Split>(maestro::index_of_name("--split", name, names));
}

/// A line for each prompt; with weights of the rewards by family where a file gives them.
void write_prompts(const Options& o) {
  const Json weights =
      o.weights.empty() ? Json::object() : maestro::parse_json(maestro::read_file(o.weights), o.weights);
  maestro::JsonlWriter lines(o.output, maestro::OpenMode::replace);
  for (const contexts::Pair& pair : contexts::make_pairs(split_named(o.split), o.count, o.seed)) {
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
void write_responses(const Options& o) {
  auto policy = maestro::load_policy<float, maestro::examples::Backend>(o.model);
  const std::vector<Prompt> prompts = contexts::make_prompts(split_named(o.split), o.count, o.seed);
  const maestro::RewardSet rewards{
      maestro::examples::Brevity{},     maestro::examples::Confidence{},
      maestro::examples::Elaboration{}, maestro::Likeness{},
      maestro::examples::Liking{},      maestro::Format({.grade = maestro::FormatGrade::graded}),
      maestro::examples::PaidJudge{}};
  const auto names = rewards.names();
  const maestro::Sampling sampling{.num_generations = o.generations, .max_completion_length = 48};
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
      if (o.hidden) {
        line["hidden"] = rounded(rollouts.hidden.row(i));
        line["prompt_hidden"] = rounded(rollouts.prompt_hidden.row(rollouts.groups.group_of(i)));
      }
      lines.write(line);
    }
  }
}

/// The held-out scores of every prompt, greedy and at temperatures 0.5 and 1.
void write_scores(const Options& o) {
  auto policy = maestro::load_policy<float, maestro::examples::Backend>(o.model);
  const std::vector<Prompt> prompts = contexts::make_prompts(split_named(o.split), o.count, o.seed);
  OrderedJson result{{"split", o.split}, {"data_seed", o.seed}, {"tasks", OrderedJson::array()}};
  for (const Prompt& prompt : prompts) result["tasks"].push_back(prompt.task);
  for (const maestro::examples::ContextDecoding& decoding : maestro::examples::context_decodings) {
    const maestro::Evaluation measured =
        maestro::evaluate(policy, std::span<const Prompt>(prompts), maestro::examples::held_out_score,
                          maestro::examples::evaluation_options(decoding, o.generations));
    result[std::string(decoding.key)] = {{"scores", measured.prompt_scores}, {"length", measured.mean_length}};
  }
  maestro::write_file(o.output, maestro::dump_json(result) + "\n");
}

/// Prints a table of models on the held-out prompts; the file gets responses to read.
void write_table(const Options& o) {
  if (o.runs.empty()) throw maestro::BadArgument("--run NAME=FOLDER is missing: the models of the table");
  maestro::examples::ContextTable table(contexts::make_prompts(split_named(o.split), o.count, o.seed), o.generations);
  for (const std::string& run : o.runs) table.add(run);
  std::cout << table.text();
  maestro::write_file(o.output, table.samples());
}

int run(const Options& o) {
  static constexpr std::array<std::string_view, 6> tasks{"prompts", "responses",  "scores",
                                                         "base",    "supervised", "table"};
  if (o.output.empty()) throw maestro::BadArgument("--output FILE or FOLDER is missing");
  const std::size_t task = maestro::index_of_name("--write", o.task, tasks);
  if (task != 0 && task != 3 && task != 5 && o.model.empty()) throw maestro::BadArgument("--model FOLDER is missing");
  if (task == 0) write_prompts(o);
  if (task == 1) write_responses(o);
  if (task == 2) write_scores(o);
  if (task == 5) write_table(o);
  if (task == 3) maestro::examples::make_contexts_base(o.output, o.supervised);
  if (task == 4) {
    auto policy = maestro::load_policy<float, maestro::examples::Backend>(o.model);
    maestro::examples::make_supervised(policy, o.output, o.supervised);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  cxxopts::Options options("contexts",
                           "Writes the seven families of contexts, or what models do on them, to a file.\n");
  options.set_width(110);
  Options o;
  auto add = options.add_options();
  const auto text = [](std::string& value) { return cxxopts::value<std::string>(value)->default_value(value); };
  const auto whole = [](std::size_t& value) {
    return cxxopts::value<std::size_t>(value)->default_value(std::to_string(value));
  };
  add("write",
      "prompts, base (the model to start from), supervised (a model trained on demonstrations), responses (of a model, "
      "with every reward and judge), scores (of a model), table (of several)",
      text(o.task));
  add("model", "Folder of the model, for responses, scores and supervised", text(o.model));
  add("run", "NAME=FOLDER of a model, for table, without a comma; may come several times", cxxopts::value(o.runs));
  add("split", "train, dev, held_out", text(o.split));
  add("weights", "JSON file with weights of the rewards by family, for prompts; empty: none", text(o.weights));
  add("output", "The file, or the folder of a model", text(o.output));
  add("steps", "Steps of base or supervised", whole(o.supervised.steps));
  add("batch", "Responses of a step", whole(o.supervised.batch));
  add("learning-rate", "Its highest", cxxopts::value<double>(o.supervised.learning_rate)->default_value("4e-3"));
  add("demonstrations", "How many different ones, the families in turn", whole(o.supervised.demonstrations));
  add("pairs", "JSONL file with prompt and response for supervised, in place of the demonstrations; empty: none",
      text(o.supervised.pairs));
  add("threads", "Threads; 0: as many as the machine has", cxxopts::value<int>(o.threads)->default_value("0"));
  add("count", "Prompts, the families in turn", whole(o.count));
  add("num-generations", "Responses per prompt", whole(o.generations));
  add("hidden", "Of responses: the terminal hidden states, and those at the ends of the prompts, too",
      cxxopts::value<bool>(o.hidden));
  add("seed", "Seed of the data", cxxopts::value<std::uint64_t>(o.seed)->default_value("7"));
  add("help", "This text");
  try {
    const auto given = options.parse(argc, argv);
    if (given.count("help") > 0) {
      std::cout << options.help() << '\n';
      return 0;
    }
    if (!given.unmatched().empty()) {
      throw maestro::BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
    }
    o.supervised.seed = o.seed;
    maestro::require(o.supervised.steps > 0 && o.supervised.batch > 0 && o.supervised.demonstrations > 0,
                     "--steps, --batch and --demonstrations must be at least 1");
    if (o.threads > 0) maestro::set_threads(o.threads);
    return run(o);
  } catch (const std::exception& error) {
    std::cerr << "contexts: " << error.what() << '\n';
    return 2;
  }
}
