// Measures any models on a prompt file; or scores models on held-out prompts with judges that no training code can
// reach. Prints one table.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "common/text_model.hpp"
#include "common/types.hpp"
#include "evaluate/conductor_kl.hpp"
#include "evaluate/options.hpp"
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
using maestro::examples::EvaluateOptions;

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

std::vector<Candidate> candidates_of(const EvaluateOptions& o) {
  std::vector<Candidate> result;
  if (o.base) result.push_back({.name = "base", .model = *o.base});
  for (const std::string& run : o.runs) {
    const auto [name, folder] = maestro::examples::name_and_folder("--run", run);
    result.push_back({.name = name, .model = folder + "/model", .metrics = folder + "/metrics.jsonl"});
  }
  if (result.empty()) throw maestro::BadArgument("nothing to evaluate: give --base FOLDER or --run NAME=FOLDER");
  return result;
}

void evaluate_families(const EvaluateOptions& o) {
  std::vector<Candidate> candidates = candidates_of(o);
  const auto split = o.split == maestro::examples::UnseenSplit::dev ? maestro::examples::Split::dev
                                                                    : maestro::examples::Split::held_out;
  const std::vector<Prompt> held_out = maestro::examples::make_prompts(split, o.num_prompts, 7);
  const std::vector<Prompt> by_hand = maestro::load_prompts(o.by_hand).prompts;
  const maestro::EvaluationOptions options{.sampling = sampling_of(o), .seed = o.seed};
  std::ofstream samples;
  if (!o.samples.empty()) {
    samples.open(o.samples);
    if (!samples) throw maestro::IoError(o.samples + ": cannot be written");
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
}

constexpr const char* description =
    R"(With --prompts: measures any models on a prompt file, greedy and sampled, with intervals, and the
differences of the later models from the first, the same prompts drawn for both:

  evaluate --prompts gsm8k.jsonl --model base=DIR --model trained=runs/mine/model --metrics number --pass-k 4

Without: scores models on the held-out prompts of the built-in families. KL(q, uniform) is that of the Conductor's
mean action probabilities over the run's last tenth; under 0.05 it has not learned to prefer a reward.
)";

}  // namespace

int main(int argc, char** argv) {
  return maestro::examples::run_program<EvaluateOptions>("evaluate", description, argc, argv,
                                                         [](const EvaluateOptions& o) {
                                                           if (o.prompts) {
                                                             maestro::examples::evaluate_prompt_file(o);
                                                           } else {
                                                             evaluate_families(o);
                                                           }
                                                           return 0;
                                                         });
}
