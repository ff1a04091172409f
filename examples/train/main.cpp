// Trains a language model by GRPO on several rewards whose weights a Conductor learns.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cxxopts.hpp>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/stop_signal.hpp"
#include "maestro/core/error.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/io/json.hpp"
#include "train/command_line.hpp"
#include "train/idle_options.hpp"
#include "train/options.hpp"
#include "train/presets.hpp"
#include "train/ranks.hpp"
#include "train/train.hpp"

namespace {

using maestro::examples::TrainOptions;

constexpr std::string_view start_here = "Start here";
constexpr std::array<std::string_view, 16> first_options{"model",
                                                         "prompts",
                                                         "output",
                                                         "rewards",
                                                         "answer-format",
                                                         "reward-model",
                                                         "lora-rank",
                                                         "learning-rate",
                                                         "beta",
                                                         "steps",
                                                         "prompts-per-step",
                                                         "num-generations",
                                                         "max-completion-length",
                                                         "eval-prompts",
                                                         "save-steps",
                                                         "dry-run"};

constexpr const char* description =
    R"(Trains a language model by GRPO on several rewards whose weights are learned. Every option has a default, unless
it says what it is required with. An option that the others leave without effect is refused.

Examples, in the top folder of a checkout:

  train --steps 20 --output runs/try
      the small model and the prompts that come with the repository
  train --model DIR --prompts FILE.jsonl --rewards number,length --answer-format boxed \
      --lora-rank 16 --learning-rate 1e-5 --steps 200 --output runs/mine --dry-run
      a checkpoint of your own: all checks, and how much memory it takes; without --dry-run the run
  train --config runs/mine/run.json --seed 2 --output runs/again
      an earlier run once more, with what is given beside it in the place of what the file says
)";

/// Sets the options of the presets that are given, and of the one that a Conductor brings.
void read_presets(const cxxopts::ParseResult& given, TrainOptions& o) {
  std::vector<std::string> names;
  const bool paper = given.count("conductor") > 0 && given["conductor"].as<std::string>() == "maestro_paper";
  if (paper) names.emplace_back("maestro_paper");  // its reading is raw rewards and TRL's group advantage
  if (given.count("preset") > 0) {
    for (const std::string& name : given["preset"].as<std::vector<std::string>>()) names.push_back(name);
  }
  maestro::examples::apply_presets(names, o);
}

/// What was given; a plan's measured run gives the options that it does not.
cxxopts::ParseResult parse_words(cxxopts::Options& options, maestro::examples::Words words) {
  cxxopts::ParseResult given = maestro::examples::parse<TrainOptions>(options, words);
  if (given.count("plan") == 0 || given.count("plan-from") == 0 || given.count("config") > 0) return given;
  words.push_back("--config=" + given["plan-from"].as<std::vector<std::string>>().front() + "/run.json");
  return maestro::examples::parse<TrainOptions>(options, words);
}

/// What one option says of another setting.
void settle(TrainOptions& o) {
  maestro::LoraOptions& lora = o.model_options.lora;
  if (o.model_options.lora_rank > 0) lora.rank = o.model_options.lora_rank;
  auto& targets = lora.targets;
  for (auto target = targets.begin(); target != targets.end();) {
    target = std::find(targets.begin(), target, *target) == target ? target + 1 : targets.erase(target);
  }
  maestro::TrainerOptions& t = o.trainer;
  t.schedule.total_steps = o.steps;
  t.objective.max_completion_length = t.sampling.max_completion_length;
  if (o.anchor.asked.max_calls > 0) o.anchor.asked.spread_steps = o.steps;
  const bool clips = t.objective.surrogate == maestro::Surrogate::clip;
  if (clips && t.objective.ratio_cap && !(*t.objective.ratio_cap > 1.0 + t.objective.epsilon_high)) {
    throw maestro::BadArgument("--delta must be above 1 + --epsilon-high, or 0 for no cap");
  }
  maestro::require(o.threads >= 0, "--threads must be at least 0; 0 takes as many as the machine has");
}

/// Whether one of several ranks tells what ended it. Rank 0 does at once; the others leave time for what rank 0 knows
/// too, and say nothing of what they heard of another rank.
bool tells(const maestro::examples::Ranks& ranks, const std::exception& error) {
  if (ranks.rank() == 0) return true;
  std::this_thread::sleep_for(std::chrono::seconds(2));
  return dynamic_cast<const maestro::RankFailed*>(&error) == nullptr;
}

/// The program; its exit code.
int run(int argc, char** argv, maestro::examples::Ranks& ranks) {
  try {
    cxxopts::Options options("train", description);
    options.set_width(110);
    maestro::examples::add_options<TrainOptions>(options, start_here, first_options);
    maestro::examples::add_config_and_help(options, start_here);
    const auto given = parse_words(options, {argv + 1, argv + argc});
    if (given.count("help") > 0) {
      std::cout << maestro::examples::help_text(options, start_here) << maestro::examples::describe_presets() << '\n';
      return 0;
    }
    maestro::examples::catch_stop_signals();
    TrainOptions read;
    read_presets(given, read);
    maestro::examples::read_options(given, read);
    read.config = maestro::dump_json(maestro::examples::config_of<TrainOptions>(given), 1) + "\n";
    settle(read);
    maestro::examples::refuse_idle_options(read, [&](const std::string& name) { return given.count(name) > 0; });
    maestro::examples::refuse_unfit_for_ranks(read, ranks.size());
    ranks.share_processors(read.threads);
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    return maestro::examples::train(
        read, terminal ? maestro::examples::Output::terminal : maestro::examples::Output::file, ranks);
  } catch (const std::bad_alloc& error) {
    if (!tells(ranks, error)) return 2;
    std::cerr.clear();
    std::cerr << "train: " << ranks.name()
              << "the system grants no more memory (ulimit -v, or all of it is in use); less is taken with "
                 "--lora-rank, --frozen-dtype bfloat16 or quantized, --activations recompute, --beta 0, fewer or "
                 "shorter responses"
              << std::endl;
  } catch (const std::exception& error) {
    if (!tells(ranks, error)) return 2;
    std::cerr.clear();
    std::cerr << "train: " << ranks.name() << error.what() << std::endl;
  }
  ranks.end_all(2);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    maestro::examples::Ranks ranks(argc, argv);
    if (ranks.rank() > 0) {  // rank 0 speaks for all
      std::cout.setstate(std::ios::failbit);
      std::cerr.setstate(std::ios::failbit);
    }
    return run(argc, argv, ranks);
  } catch (const std::exception& error) {
    std::cerr << "train: " << error.what() << '\n';
    return 2;
  }
}
