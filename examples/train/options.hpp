#pragma once

/// @file
/// The command line of `train` as a struct.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/option.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/trainer/metrics_log.hpp"
#include "maestro/trainer/options.hpp"
#include "maestro/trainer/run.hpp"
#include "train/anchor_options.hpp"
#include "train/model_options.hpp"
#include "train/outside_options.hpp"
#include "train/scalarizer.hpp"

namespace maestro::examples {

/// What --rewards chooses from. The rewards of a run are in this order, whatever the order they were named in.
inline constexpr std::array<std::string_view, 16> reward_names{
    "perplexity", "format", "entropy", "length",  "preference", "exact_match", "repetition", "number",
    "letter",     "chrf",   "bleu",    "brevity", "confidence", "elaboration", "liking",     "paid_judge"};

/// What the length reward asks for.
enum class LengthChoice : std::uint8_t {
  overlong,   ///< DAPO's soft penalty in the last fifth before the length limit
  target,     ///< a response of `length_target` tokens
  reference,  ///< an answer as long as the reference, in characters
};
inline constexpr std::array<std::string_view, 3> length_choice_names{"overlong", "target", "reference"};

enum class DryRun : std::uint8_t { no, yes };

inline constexpr std::array<std::string_view, 2> resume_names{"auto", "never"};
inline constexpr std::array<std::string_view, 2> timing_names{"record", "omit"};

struct TrainOptions {
  std::string model = "examples/models/base";
  std::string reward_model = "examples/models/reward";  ///< empty: none
  std::string prompts;                                  ///< JSONL file; empty: the built-in task families
  ModelOptions model_options{};
  std::vector<std::string> tasks{"arithmetic", "story", "emotion"};
  std::uint32_t num_prompts = 768;  ///< training prompts, of `tasks` in turn
  std::string output = "runs/train";

  std::uint32_t steps = 100;
  TrainerOptions trainer{};

  std::vector<std::string> presets{};  ///< see presets.hpp; already applied
  std::vector<std::string> rewards{"perplexity", "format", "entropy", "length", "preference"};
  OutsideOptions outside{};
  std::uint32_t proxy_sync_steps = 6;
  LengthChoice length_shape = LengthChoice::overlong;
  double length_target = 128.0;              ///< tokens, for LengthChoice::target
  std::string scalarization = "own_weight";  ///< with `normalize`, DefaultScalarization
  std::string normalize = "z_score";
  ScalarizerOptions scalarizer{};
  std::string conductor = "linear";
  LearnedConductorOptions learned{};
  RandomWeightsOptions random{};
  Saw saw{};
  Exp3Options exp3{};
  PredictabilityOptions predictability{};
  AnchoredOptions anchored{};
  AnchorSettings anchor{};
  std::string weights_column = "weights";  ///< prompt: the key of a prompt's weights in its line
  std::vector<double> weights{};  ///< fixed, contrast, and scheduled at its start: one for each of `rewards`, in order
  std::vector<double> weights_end{};     ///< scheduled at its end
  std::uint32_t weights_start_step = 1;  ///< scheduled: the last step, from 1, that has `weights`
  std::uint32_t weights_end_step = 0;    ///< scheduled: the first step that has `weights_end`; 0: the run's last

  std::uint32_t save_steps = 0;
  std::size_t save_total_limit = 2;
  Resume resume = Resume::automatic;
  LogTimings timings = LogTimings::record;
  int threads = 0;  ///< 0: as many as the machine has
  DryRun dry_run = DryRun::no;
};

/// The part of the list below that says what is rewarded, and how the rewards become advantages.
template <OptionsOf<TrainOptions> S, class F>
constexpr void visit_weight_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  constexpr std::string_view group = "Rewards and their weights";
  f({.name = "preset",
     .help = "Sets of options, listed below, in turn; options given beside them win",
     .group = group,
     .recorded = never},
    o.presets);
  f({.name = "rewards",
     .help = "Rewards of the run, of {}; none: those from outside alone",
     .group = group,
     .values = reward_names},
    o.rewards);
  f({.name = "proxy_sync_steps", .help = "Steps between syncs of the perplexity reward's proxy", .group = group},
    o.proxy_sync_steps);
  f({.name = "length_shape",
     .help = "Length reward: overlong (penalty near the limit), target, reference (as long as it)",
     .group = group,
     .values = length_choice_names,
     .list = "length_shape"},
    o.length_shape);
  f({.name = "length_target",
     .help = "Tokens of a response, for --length-shape target",
     .group = group,
     .list = "length_shape"},
    o.length_target);
  f({.name = "scalarization",
     .help = "Rewards to advantages, by an estimator or as another framework has it: {}; group, unless given, with "
             "--conductor maestro_paper",
     .group = group,
     .values = scalarization_names},
    o.scalarization);
  f({.name = "normalize",
     .help = "Rewards before weighting: {}; none, unless given, with --conductor maestro_paper",
     .group = group,
     .values = normalizer_names},
    o.normalize);
  f({.name = "scalarizers", .group = group, .recorded = Recorded::unless_default}, o.scalarizer);
}

/// The part of the list below that says which Conductor weighs the rewards, and how.
template <OptionsOf<TrainOptions> S, class F>
constexpr void visit_conductor_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  constexpr std::string_view group = "Rewards and their weights";
  const auto only_for = [&](std::string_view conductor) { return o.conductor == conductor ? Recorded::always : never; };
  const Recorded end = only_for("scheduled");
  const Recorded start = o.conductor == "fixed" || o.conductor == "contrast" ? Recorded::always : end;
  f({.name = "conductor", .help = "Weights of the rewards: {}", .group = group, .values = conductor_names},
    o.conductor);
  f({.name = "weights",
     .help = "For --conductor fixed, the start of scheduled, the base of contrast: one for each of --rewards, such as "
             "0.5,0.3,0.2",
     .group = group,
     .recorded = start},
    o.weights);
  f({.name = "weights_end",
     .help = "The weights that --conductor scheduled moves to, linearly",
     .group = group,
     .recorded = end},
    o.weights_end);
  // A fingerprint has the steps that these two mean: "weights_steps".
  f({.name = "weights_start_step",
     .help = "The last step, from 1, that has --weights",
     .group = group,
     .recorded = never},
    o.weights_start_step);
  f({.name = "weights_end_step",
     .help = "The first step that has --weights-end; 0: the last of the run",
     .group = group,
     .recorded = never},
    o.weights_end_step);
  f({.name = "weights_column",
     .help =
         "For --conductor prompt: key, in a line of --prompts, of an array in the order of --rewards or an object by "
         "their names",
     .group = group,
     .recorded = only_for("prompt")},
    o.weights_column);
  f({.name = "random", .group = group, .recorded = Recorded::unless_default}, o.random);
  f({.name = "saw", .group = group, .recorded = only_for("saw")}, o.saw);
  f({.name = "exp3", .group = group, .recorded = only_for("exp3")}, o.exp3);
  f({.name = "predictability", .group = group, .recorded = only_for("predictability")}, o.predictability);
  f({.name = "learned", .group = group}, o.learned);
  f({.name = "anchored", .group = group, .recorded = only_for("anchored")}, o.anchored);
  f({.name = "anchors", .group = group, .recorded = Recorded::unless_default}, o.anchor);
}

/// The list of the program's options: see OptionList. Of files their content is recorded, not their place.
template <OptionsOf<TrainOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  std::string_view group = "Model and data";
  f({.name = "model",
     .help = "Folder with config.json, weights in safetensors, tokenizer.json",
     .group = group,
     .recorded = never},
    o.model);
  f({.name = "reward_model",
     .help = "Folder of the preference reward's model; empty for none",
     .group = group,
     .recorded = never},
    o.reward_model);
  f({.name = "prompts",
     .help = "JSONL file with prompt, reference, task; empty: the built-in task families",
     .group = group,
     .recorded = never},
    o.prompts);
  f({.name = "tasks", .help = "Built-in task families to train on", .group = group, .recorded = never}, o.tasks);
  f({.name = "num_prompts",
     .help = "Prompts drawn from the families of --tasks, in turn",
     .group = group,
     .recorded = never},
    o.num_prompts);
  f({.name = "output",
     .help = "Folder for metrics, samples, checkpoints and the trained model",
     .group = group,
     .recorded = never},
    o.output);
  f({.name = "model_options", .group = "Checkpoints, adapters and conversations"}, o.model_options);
  f({.name = "steps", .help = "Training steps", .group = "Policy", .recorded = never}, o.steps);
  f({.name = "trainer"}, o.trainer);
  visit_weight_options(o, f);
  visit_conductor_options(o, f);
  f({.name = "outside", .group = "Rewards from outside"}, o.outside);
  group = "Run";
  f({.name = "threads", .help = "Threads; 0: as many as the machine has", .group = group, .recorded = never},
    o.threads);
  f({.name = "save_steps", .help = "Steps between checkpoints; 0: at the end only", .group = group, .recorded = never},
    o.save_steps);
  f({.name = "save_total_limit", .help = "Checkpoints kept", .group = group, .recorded = never}, o.save_total_limit);
  f({.name = "resume",
     .help = "auto: from the newest checkpoint of --output; never: refuse a folder that has one",
     .group = group,
     .values = resume_names,
     .recorded = never},
    o.resume);
  f({.name = "timings",
     .help = "{} (for byte-identical metrics)",
     .group = group,
     .values = timing_names,
     .recorded = never},
    o.timings);
  f({.name = "dry_run",
     .help = "Check all that a run would refuse at its start (options, files, every prompt's size), print the plan",
     .group = group,
     .recorded = never},
    o.dry_run);
}

/// Whether --rewards names this reward.
inline bool uses(const TrainOptions& options, std::string_view reward) {
  return std::find(options.rewards.begin(), options.rewards.end(), reward) != options.rewards.end();
}

/// The rewards that --rewards chooses, in the order of reward_names; none where it says so and some come from outside.
/// @throws BadArgument listing the names there are, where --rewards has another, one twice, or none.
inline std::vector<std::string_view> chosen_rewards(const TrainOptions& options) {
  if (options.rewards == std::vector<std::string>{"none"} && options.outside.any()) return {};
  if (options.rewards.empty()) throw BadArgument("rewards: none chosen; known are " + join_names(reward_names));
  for (const std::string& name : options.rewards) {
    index_of_name("rewards", name, reward_names);
    if (std::count(options.rewards.begin(), options.rewards.end(), name) > 1) {
      throw BadArgument("rewards: '" + name + "' is chosen twice");
    }
  }
  std::vector<std::string_view> chosen;
  for (const std::string_view name : reward_names) {
    if (uses(options, name)) chosen.push_back(name);
  }
  return chosen;
}

/// The names of all rewards in the order in which weights are given: those of --rewards as they stand there, then those
/// from outside. The judge of --anchor-reward is none of them.
/// @throws as chosen_rewards, outside_names and without_judge; BadArgument for more than a Conductor can weigh.
inline std::vector<std::string> named_rewards(const TrainOptions& options) {
  std::vector<std::string> names;
  if (!chosen_rewards(options).empty()) names = options.rewards;
  for (std::string& name : outside_names(options.outside)) names.push_back(std::move(name));
  names = without_judge(options.anchor, std::move(names));
  if (names.size() > AnyConductor::max_actions) {
    throw BadArgument("a run has at most " + std::to_string(AnyConductor::max_actions) + " rewards, and " +
                      std::to_string(names.size()) + " are asked for");
  }
  return names;
}

/// The names of all rewards in the order of the run: those of --rewards in that of reward_names, then those from
/// outside.
inline std::vector<std::string> run_rewards(const TrainOptions& options) {
  static_cast<void>(named_rewards(options));  // refuses what does not fit
  std::vector<std::string> names;
  for (const std::string_view name : chosen_rewards(options)) names.emplace_back(name);
  for (std::string& name : outside_names(options.outside)) names.push_back(std::move(name));
  return without_judge(options.anchor, std::move(names));
}

/// What happens to rewards before they are compared.
/// @throws BadArgument for ideals that are neither one nor one for each reward, and for a gate that is no reward of the
/// run.
inline AdvantagesOptions advantages_options(const TrainOptions& o) {
  const ScalarizerOptions& given = o.scalarizer;
  AdvantagesOptions options{
      .normalizer = {.kind = normalizer_from_name(o.normalize)},
      .scalarizer = {
          .kind = given.kind, .rho = given.rho, .mu = given.mu, .tau = given.tau, .threshold = given.threshold}};
  const std::vector<std::string> rewards = run_rewards(o);
  const std::vector<std::string> given_order = named_rewards(o);
  if (given.ideal.size() > 1 && given.ideal.size() != rewards.size()) {
    throw BadArgument("--scalarizer-ideal has " + std::to_string(given.ideal.size()) + " values for " +
                      std::to_string(rewards.size()) +
                      " rewards; give one for all, or one for each, in the order of --weights");
  }
  for (std::size_t k = 0; k < rewards.size() && !given.ideal.empty(); ++k) {
    const auto place = std::find(given_order.begin(), given_order.end(), rewards[k]) - given_order.begin();
    options.scalarizer.ideal[k] = given.ideal[given.ideal.size() > 1 ? static_cast<std::size_t>(place) : 0];
  }
  if (given.kind == ScalarizerKind::gated) {
    options.scalarizer.gate =
        index_of_name("--scalarizer-gate", given.gate, std::vector<std::string_view>(rewards.begin(), rewards.end()));
  }
  return options;
}

}  // namespace maestro::examples
