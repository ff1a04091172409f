// Makes the small base model and the reward model of the main job, both from generated data alone.
#include <cxxopts.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "pretrain/base.hpp"
#include "pretrain/options.hpp"
#include "pretrain/reward.hpp"

namespace {

using maestro::examples::PretrainOptions;

cxxopts::Options command_line(PretrainOptions& o, int& threads) {
  cxxopts::Options options("pretrain", "Makes the demo's base model and reward model from generated data.\n");
  options.set_width(110);
  const auto whole = [](std::size_t& value) {
    return cxxopts::value<std::size_t>(value)->default_value(std::to_string(value));
  };
  const auto real = [](double& value) { return cxxopts::value<double>(value)->default_value(std::to_string(value)); };
  const auto text = [](std::string& value) { return cxxopts::value<std::string>(value)->default_value(value); };
  auto add = options.add_options();
  add("output", "Folder that gets the folders base and reward", text(o.output));
  add("models", "both, base, reward (from an existing base), none (only report on it)", text(o.models));
  add("prompts", "JSONL file that the report covers too; empty: none", text(o.prompts));
  add("seed", "Seed of data and weights", cxxopts::value<std::uint64_t>(o.seed)->default_value(std::to_string(o.seed)));
  add("steps", "Steps of the base model", whole(o.steps));
  add("batch", "Demonstrations of a step", whole(o.batch));
  add("learning-rate", "Highest learning rate of the base model", real(o.learning_rate));
  add("warmup-steps", "Steps of linear warm-up", whole(o.warmup_steps));
  add("first-share", "Share of the steps in which faults are rare", real(o.first_share));
  add("first-faults", "Fault rates there, as a share of those of the rest", real(o.first_faults));
  add("reward-steps", "Steps of the reward model", whole(o.reward_steps));
  add("reward-batch", "Preference pairs of a step", whole(o.reward_batch));
  add("reward-learning-rate", "Highest learning rate of the reward model", real(o.reward_learning_rate));
  add("report-steps", "Steps between two reports of the loss", whole(o.report_steps));
  add("evaluation-steps", "Steps between two evaluations", whole(o.evaluation_steps));
  add("evaluation-prompts", "Dev prompts of an evaluation", whole(o.evaluation_prompts));
  add("final-prompts", "Held-out prompts of the last evaluation", whole(o.final_prompts));
  add("threads", "Threads; 0: as many as the machine has", cxxopts::value<int>(threads)->default_value("0"));
  add("help", "This text");
  return options;
}

void check(const PretrainOptions& o) {
  using maestro::require;
  require(o.models == "both" || o.models == "base" || o.models == "reward" || o.models == "none",
          "--models: choose both, base, reward or none");
  require(o.batch > 0 && o.reward_batch > 0, "--batch and --reward-batch must be at least 1");
  require(o.steps > 0 && o.reward_steps > 0, "--steps and --reward-steps must be at least 1");
  require(o.report_steps > 0 && o.evaluation_steps > 0, "--report-steps and --evaluation-steps must be at least 1");
  require(o.evaluation_prompts > 0 && o.final_prompts > 0, "--evaluation-prompts and --final-prompts: at least 1");
  require(o.first_faults >= 0.0 && o.first_faults <= 1.0, "--first-faults must be in [0, 1]");
  require(o.first_share >= 0.0 && o.first_share <= 1.0, "--first-share must be in [0, 1]");
  require(o.learning_rate > 0.0 && o.reward_learning_rate > 0.0, "learning rates must be above 0");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    PretrainOptions options;
    int threads = 0;
    cxxopts::Options line = command_line(options, threads);
    const auto given = line.parse(argc, argv);
    if (given.count("help") > 0) {
      std::cout << line.help() << '\n';
      return 0;
    }
    if (!given.unmatched().empty()) {
      throw maestro::BadArgument("'" + given.unmatched().front() + "' is no option; see --help");
    }
    check(options);
    if (threads > 0) maestro::set_threads(threads);
    std::filesystem::create_directories(options.output);
    const bool both = options.models == "both";
    if (both || options.models == "base") maestro::examples::pretrain_base(options);
    if (options.models != "reward") maestro::examples::report_base(options);
    if (both || options.models == "reward") maestro::examples::pretrain_reward(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "pretrain: " << error.what() << '\n';
    return 2;
  }
}
