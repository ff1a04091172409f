#pragma once

/// @file
/// The command line of `train` as a struct.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/option.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/trainer/metrics_log.hpp"
#include "maestro/trainer/options.hpp"
#include "maestro/trainer/run.hpp"
#include "train/anchor_options.hpp"
#include "train/model_options.hpp"
#include "train/option_names.hpp"
#include "train/outside_options.hpp"
#include "train/plan_options.hpp"
#include "train/rollout_options.hpp"
#include "train/scalarizer.hpp"

namespace maestro::examples {

/// What --rewards chooses from. The rewards of a run are in this order, whatever the order they were named in.
inline constexpr std::array<std::string_view, 17> reward_names{
    "perplexity", "format", "entropy", "length",  "preference", "exact_match", "repetition", "number",    "letter",
    "chrf",       "chrf++", "bleu",    "brevity", "confidence", "elaboration", "liking",     "paid_judge"};

/// What the length reward asks for.
enum class LengthChoice : std::uint8_t {
  overlong,   ///< DAPO's soft penalty in the last fifth before the length limit
  target,     ///< a response of `length_target` tokens
  reference,  ///< an answer as long as the reference, in characters
};
inline constexpr std::array<std::string_view, 3> length_choice_names{"overlong", "target", "reference"};

/// Whether report.html is written into the run's folder.
enum class WriteReport : std::uint8_t { yes, no };
inline constexpr std::array<std::string_view, 2> report_names{"yes", "no"};

/// What happens where --output holds the checkpoint of an earlier run.
enum class ResumeChoice : std::uint8_t {
  automatic,          ///< the run goes on from it
  never,              ///< the folder is refused
  new_learning_rate,  ///< the run goes on, at a learning rate and schedule that may be others
};
inline constexpr std::array<std::string_view, 3> resume_names{"auto", "never", "new_learning_rate"};
inline constexpr std::array<std::string_view, 2> timing_names{"record", "omit"};

struct TrainOptions {
  std::string model = "examples/models/base";
  std::string reward_model = "examples/models/reward";  ///< empty: none
  std::string reward_label;                             ///< of its labels, name or number; empty: the only one
  std::string prompts;                                  ///< JSONL file; empty: the built-in task families
  ModelOptions model_options{};
  std::vector<std::string> tasks{"arithmetic", "story", "emotion"};
  std::uint32_t num_prompts = 768;  ///< training prompts, of `tasks` in turn
  std::string output = "runs/train";

  std::uint32_t steps = 100;
  double num_epochs = 0.0;  ///< passes over the prompts, in the place of `steps`; 0: `steps` counts
  TrainerOptions trainer{};

  std::vector<std::string> presets{};  ///< see presets.hpp; already applied
  std::vector<std::string> rewards{"perplexity", "format", "entropy", "length", "preference"};
  std::string answer_format = "prompts";    ///< see answer_format.hpp
  std::string answer_instruction = "auto";  ///< see answer_format.hpp
  OutsideOptions outside{};
  RolloutOptions rollout{};
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
  GradientGuidedOptions gradient{};
  HypervolumeGuidedOptions hypervolume{};
  PredictabilityOptions predictability{};
  AnchoredOptions anchored{.context = GroupContextKind::prompt};
  AnchorSourceOptions anchor{};
  std::string weights_column = "weights";  ///< prompt: the key of a prompt's weights in its line
  std::vector<double> weights{};           ///< fixed, contrast, hypervolume_guided, and scheduled at its start: one for
                                           ///< each of `rewards`, in order
  std::vector<double> weights_end{};       ///< scheduled at its end
  std::uint32_t weights_start_step = 1;    ///< scheduled: the last step, from 1, that has `weights`
  std::uint32_t weights_end_step = 0;      ///< scheduled: the first step that has `weights_end`; 0: the run's last

  std::string eval_prompts{};    ///< JSONL file; empty: no evaluation
  std::uint32_t eval_steps = 0;  ///< 0: before the first step and after the last
  std::uint32_t save_steps = 0;
  std::size_t save_total_limit = 2;
  ResumeChoice resume = ResumeChoice::automatic;
  LogTimings timings = LogTimings::record;
  WriteReport report = WriteReport::yes;
  TensorBoardFiles tensorboard = TensorBoardFiles::no;
  int threads = 0;  ///< 0: as many as the machine has
  DryRun dry_run = DryRun::no;
  PlanOptions planned{};
  std::string config{};  ///< what was given, as the JSON of a file for --config; kept in the run's folder
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
  f({.name = "answer_format",
     .help =
         "Where responses have their answer, for the rewards that look: prompts (<think> and <answer> tags that the "
         "prompts ask for), none, think_answer, boxed, or tags of your own: ANSWER or REASONING,ANSWER",
     .group = group,
     .recorded = Recorded::unless_default},
    o.answer_format);
  f({.name = "answer_instruction",
     .help = "Put behind every prompt: auto (asks for --answer-format), none, or a text of your own",
     .group = group,
     .recorded = never},
    o.answer_instruction);
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

/// Whether the Conductor scales weights that may be given. A template, since the lists of options are.
template <OptionsOf<TrainOptions> S>
constexpr bool scales_weights(const S& o) {
  return o.conductor == "contrast" || o.conductor == "hypervolume_guided";
}

/// The part of the list below that says which Conductor weighs the rewards, and how.
template <OptionsOf<TrainOptions> S, class F>
constexpr void visit_conductor_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  constexpr std::string_view group = "Rewards and their weights";
  const auto only_for = [&](std::string_view conductor) { return o.conductor == conductor ? Recorded::always : never; };
  const Recorded end = only_for("scheduled");
  const Recorded start = o.conductor == "fixed" || scales_weights(o) ? Recorded::always : end;
  f({.name = "conductor", .help = "Weights of the rewards: {}", .group = group, .values = conductor_names},
    o.conductor);
  f({.name = "weights",
     .help =
         "One for each of --rewards, such as 0.5,0.3,0.2: required with --conductor fixed and scheduled (its start), "
         "the base of contrast and hypervolume_guided",
     .group = group,
     .recorded = start},
    o.weights);
  f({.name = "weights_end",
     .help = "The weights that --conductor scheduled moves to, linearly; required with it",
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
  f({.name = "gradient", .group = group, .recorded = only_for("gradient_guided")}, o.gradient);
  f({.name = "hypervolume", .group = group, .recorded = only_for("hypervolume_guided")}, o.hypervolume);
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
     .help = "Folder with config.json, weights in safetensors, tokenizer.json; or a GGUF file",
     .group = group,
     .recorded = never},
    o.model);
  f({.name = "reward_model",
     .help = "Folder of the preference reward's model; empty for none",
     .group = group,
     .recorded = never},
    o.reward_model);
  f({.name = "reward_label",
     .help = "Which label of --reward-model scores, where it has several: a name of id2label, or a number",
     .group = group,
     .recorded = Recorded::unless_default},
    o.reward_label);
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
  f({.name = "num_epochs",
     .help = "Passes over the prompts, in the place of --steps; 0: --steps counts",
     .group = "Policy",
     .recorded = never},
    o.num_epochs);
  f({.name = "trainer"}, o.trainer);
  visit_weight_options(o, f);
  visit_conductor_options(o, f);
  f({.name = "outside", .group = "Rewards from outside"}, o.outside);
  f({.name = "rollout", .group = "Responses from a server"}, o.rollout);
  group = "Run";
  f({.name = "threads", .help = "Threads; 0: as many as the machine has", .group = group, .recorded = never},
    o.threads);
  f({.name = "eval_prompts",
     .help = "JSONL file of prompts that the run does not train on: their rewards go into eval.jsonl",
     .group = group,
     .recorded = never},
    o.eval_prompts);
  f({.name = "eval_steps",
     .help = "Steps between evaluations; 0: before the first step and after the last",
     .group = group,
     .recorded = never},
    o.eval_steps);
  f({.name = "save_steps", .help = "Steps between checkpoints; 0: at the end only", .group = group, .recorded = never},
    o.save_steps);
  f({.name = "save_total_limit",
     .help = "Newest checkpoints kept; without --save-steps too, since every stop and end leaves one",
     .group = group,
     .recorded = never},
    o.save_total_limit);
  f({.name = "resume",
     .help = "auto: from the newest checkpoint of --output; never: refuse a folder that has one; new_learning_rate: as "
             "auto, "
             "with another --learning-rate or schedule than before",
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
  f({.name = "report",
     .help = "Whether report.html in --output shows the run, while it goes on too: {}",
     .group = group,
     .values = report_names,
     .recorded = never},
    o.report);
  f({.name = "tensorboard",
     .help = "Write event files for TensorBoard into --output",
     .group = group,
     .recorded = never},
    o.tensorboard);
  f({.name = "dry_run",
     .help = "Check all that a run would refuse at its start (options, files, every prompt's size), print the plan",
     .group = group,
     .recorded = never},
    o.dry_run);
  f({.name = "planned", .group = "Planning past this machine"}, o.planned);
  f({.name = "config", .recorded = never}, o.config);
}

}  // namespace maestro::examples
