#pragma once

/// @file
/// The command line of `pretrain` as a struct.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "train/option_names.hpp"

namespace maestro::examples {

/// Which models are made.
enum class PretrainedModels : std::uint8_t {
  both,
  base,
  reward,  ///< from an existing base
  none,    ///< the base is only reported on
};
inline constexpr std::array<std::string_view, 4> pretrained_model_names{"both", "base", "reward", "none"};

struct PretrainOptions {
  std::string output = "examples/models";  ///< gets the folders base and reward
  PretrainedModels models = PretrainedModels::both;
  std::string prompts = "examples/data/prompts.jsonl";  ///< reported apart; empty: none
  std::uint64_t seed = 1;

  std::size_t steps = 5000;     ///< of the base model
  std::size_t batch = 16;       ///< demonstrations of a step
  double learning_rate = 3e-3;  ///< at the end of the warm-up; then half a cosine to 0
  std::size_t warmup_steps = 50;
  double first_share = 0.7;   ///< of the steps, in which faults are rare
  double first_faults = 0.2;  ///< fault rates there, as a share of those of the rest

  std::size_t reward_steps = 2000;
  std::size_t reward_batch = 16;  ///< preference pairs of a step
  double reward_learning_rate = 1e-3;

  std::size_t report_steps = 200;       ///< between two reports of the loss
  std::size_t evaluation_steps = 1000;  ///< between two evaluations on dev prompts, each with a saved model
  std::size_t evaluation_prompts = 48;
  std::size_t final_prompts = 192;  ///< held out; of the last evaluation
  int threads = 0;                  ///< 0: as many as the machine has

  bool makes_base() const { return models == PretrainedModels::both || models == PretrainedModels::base; }
  bool makes_reward() const { return models == PretrainedModels::both || models == PretrainedModels::reward; }
  bool reports_base() const { return models != PretrainedModels::reward; }
};

/// Lists the options of `pretrain`; see OptionList.
template <OptionsOf<PretrainOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "output", .help = "Folder that gets the folders base and reward"}, o.output);
  f({.name = "models",
     .help = "both, base, reward (from an existing base), none (only report on it)",
     .values = pretrained_model_names},
    o.models);
  f({.name = "prompts", .help = "JSONL file that the report covers too; empty: none"}, o.prompts);
  f({.name = "seed", .help = "Seed of data and weights"}, o.seed);
  f({.name = "steps", .help = "Steps of the base model"}, o.steps);
  f({.name = "batch", .help = "Demonstrations of a step"}, o.batch);
  f({.name = "learning_rate", .help = "Highest learning rate of the base model"}, o.learning_rate);
  f({.name = "warmup_steps", .help = "Steps of linear warm-up"}, o.warmup_steps);
  f({.name = "first_share", .help = "Share of the steps in which faults are rare"}, o.first_share);
  f({.name = "first_faults", .help = "Fault rates there, as a share of those of the rest"}, o.first_faults);
  f({.name = "reward_steps", .help = "Steps of the reward model"}, o.reward_steps);
  f({.name = "reward_batch", .help = "Preference pairs of a step"}, o.reward_batch);
  f({.name = "reward_learning_rate", .help = "Highest learning rate of the reward model"}, o.reward_learning_rate);
  f({.name = "report_steps", .help = "Steps between two reports of the loss"}, o.report_steps);
  f({.name = "evaluation_steps", .help = "Steps between two evaluations"}, o.evaluation_steps);
  f({.name = "evaluation_prompts", .help = "Dev prompts of an evaluation"}, o.evaluation_prompts);
  f({.name = "final_prompts", .help = "Held-out prompts of the last evaluation"}, o.final_prompts);
  f({.name = "threads", .help = "Threads; 0: as many as the machine has"}, o.threads);
}

/// @param given  as in idle_refusal
/// @throws BadArgument naming an option that was given although the others leave it without effect, or one outside its
/// domain.
template <class Given>
void check(const PretrainOptions& o, const Given& given) {
  const auto refuse = idle_refusal(given);
  const std::string with = "with --models " + std::string(pretrained_model_names[static_cast<std::size_t>(o.models)]);
  refuse(!o.makes_base(),
         {"steps", "batch", "learning-rate", "first-share", "first-faults", "evaluation-steps", "evaluation-prompts"},
         with);
  refuse(!o.makes_reward(), {"reward-steps", "reward-batch", "reward-learning-rate"}, with);
  refuse(!o.makes_base() && !o.makes_reward(), {"warmup-steps", "report-steps"}, with);
  refuse(!o.reports_base(), {"prompts", "final-prompts"}, with);
  require(o.batch > 0 && o.reward_batch > 0, "--batch and --reward-batch must be at least 1");
  require(o.steps > 0 && o.reward_steps > 0, "--steps and --reward-steps must be at least 1");
  require(o.report_steps > 0 && o.evaluation_steps > 0, "--report-steps and --evaluation-steps must be at least 1");
  require(o.evaluation_prompts > 0 && o.final_prompts > 0, "--evaluation-prompts and --final-prompts: at least 1");
  require(o.first_faults >= 0.0 && o.first_faults <= 1.0, "--first-faults must be in [0, 1]");
  require(o.first_share >= 0.0 && o.first_share <= 1.0, "--first-share must be in [0, 1]");
  require(o.learning_rate > 0.0 && o.reward_learning_rate > 0.0, "learning rates must be above 0");
  require(o.threads >= 0, "--threads must be at least 0; 0 takes as many as the machine has");
}

}  // namespace maestro::examples
