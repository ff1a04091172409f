#pragma once

/// @file
/// The command line of `sft` as a struct.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/optimizer/schedule.hpp"
#include "train/model_options.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// What happens where --output holds the checkpoint of an earlier run.
enum class SftResume : std::uint8_t {
  automatic,  ///< the run goes on from it
  never,      ///< the folder is refused
};
inline constexpr std::array<std::string_view, 2> sft_resume_names{"auto", "never"};

struct SftOptions {
  /// What `train` has and a run without rewards does not need.
  static constexpr std::array<std::string_view, 1> hidden{"reward_chat_format"};

  std::string model = "examples/models/base";
  std::string prompts;  ///< JSONL file whose lines have references
  std::string output = "runs/sft";
  ModelOptions model_options{};
  double num_epochs = 1.0;
  std::uint32_t steps = 0;      ///< in the place of num_epochs; 0: those count
  std::size_t batch_size = 16;  ///< prompts of a step
  double learning_rate = 1e-4;
  ScheduleOptions schedule{.kind = ScheduleKind::cosine};
  OptimizerOptions optimizer{};
  double max_grad_norm = 1.0;
  std::size_t max_completion_length = 1024;  ///< tokens; longer references are cut
  std::size_t micro_batch_tokens = 2048;
  std::string answer_format = "prompts";
  std::string answer_instruction = "auto";
  std::string eval_prompts;  ///< JSONL file whose lines have references; empty: none
  std::uint32_t save_steps = 0;
  std::size_t save_total_limit = 2;
  SftResume resume = SftResume::automatic;
  std::uint64_t seed = 42;
  int threads = 0;
  DryRun dry_run = DryRun::no;
};

/// The list of the program's options: see OptionList. Of files their content is recorded, not their place.
template <OptionsOf<SftOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  constexpr Recorded never = Recorded::never;
  constexpr std::string_view run = "Run";
  constexpr std::string_view data = "Model and data";
  constexpr std::string_view training = "Training";
  f({.name = "model",
     .help = "Folder with config.json, weights in safetensors, tokenizer.json; or a GGUF file",
     .group = data,
     .recorded = never},
    o.model);
  f({.name = "prompts", .help = "JSONL file with prompt and reference (required)", .group = data, .recorded = never},
    o.prompts);
  f({.name = "output",
     .help = "Folder for metrics, checkpoints and the trained model",
     .group = data,
     .recorded = never},
    o.output);
  f({.name = "model_options", .group = "Checkpoints, adapters and conversations"}, o.model_options);
  f({.name = "num_epochs", .help = "Passes over the prompts", .group = training, .recorded = never}, o.num_epochs);
  f({.name = "steps",
     .help = "Training steps, in the place of --num-epochs; 0: those count",
     .group = training,
     .recorded = never},
    o.steps);
  f({.name = "batch_size", .help = "Prompts of a step", .group = training}, o.batch_size);
  f({.name = "learning_rate", .help = "The optimizer's learning rate, at the end of the warm-up", .group = training},
    o.learning_rate);
  f({.name = "schedule", .group = training}, o.schedule);
  f({.name = "optimizer", .group = training}, o.optimizer);
  f({.name = "max_grad_norm", .help = "Global-norm clipping; 0: none", .group = training}, o.max_grad_norm);
  f({.name = "max_completion_length", .help = "Tokens of a reference at most; longer ones are cut", .group = training},
    o.max_completion_length);
  f({.name = "micro_batch_tokens"}, o.micro_batch_tokens);
  f({.name = "answer_format",
     .help = "What --answer-instruction auto asks for: prompts (nothing), none, think_answer, boxed, or tags, as for "
             "train. References are learned as they are",
     .group = data,
     .recorded = never},
    o.answer_format);
  f({.name = "answer_instruction",
     .help = "Put behind every prompt: auto (asks for --answer-format), none, or a text of your own",
     .group = data,
     .recorded = never},
    o.answer_instruction);
  f({.name = "eval_prompts",
     .help = "JSONL file with references that are not trained on: their loss before and after",
     .group = data,
     .recorded = never},
    o.eval_prompts);
  f({.name = "save_steps",
     .help = "Steps between checkpoints; 0: at the end and when the run is stopped",
     .group = run,
     .recorded = never},
    o.save_steps);
  f({.name = "save_total_limit",
     .help = "Newest checkpoints kept; without --save-steps too, since every stop and end leaves one",
     .group = run,
     .recorded = never},
    o.save_total_limit);
  f({.name = "resume",
     .help = "auto: from the newest checkpoint of --output; never: refuse a folder that has one",
     .group = run,
     .values = sft_resume_names,
     .recorded = never},
    o.resume);
  f({.name = "seed", .help = "Seed of the order and of fresh adapters", .group = run}, o.seed);
  f({.name = "threads", .help = "Threads; 0: as many as the machine has", .group = run, .recorded = never}, o.threads);
  f({.name = "dry_run",
     .help = "Check options, files and every prompt's size; train nothing",
     .group = run,
     .recorded = never},
    o.dry_run);
}

/// @throws BadArgument naming an option outside its domain.
inline void check(const SftOptions& o) {
  require(!o.prompts.empty(), "--prompts is required: a JSONL file whose lines have prompt and reference");
  require(o.batch_size > 0, "--batch-size must be at least 1");
  require(o.num_epochs > 0.0, "--num-epochs must be above 0");
  require(o.max_completion_length > 0, "--max-completion-length must be at least 1");
  require(o.max_grad_norm >= 0.0, "--max-grad-norm must be at least 0");
  require(o.learning_rate > 0.0, "--learning-rate must be above 0");
  require(o.save_total_limit > 0, "--save-total-limit must be at least 1");
  require(o.threads >= 0, "--threads must be at least 0; 0 takes as many as the machine has");
  maestro::check(o.schedule);
}

/// What the parts that `sft` shares with `train` read.
inline TrainOptions as_train_options(const SftOptions& o) {
  TrainOptions t;
  t.model = o.model;
  t.reward_model.clear();
  t.rewards = {"length"};  // no reward's model is counted
  t.output = o.output;
  t.model_options = o.model_options;
  t.answer_format = o.answer_format;
  t.answer_instruction = o.answer_instruction;
  t.eval_prompts = o.eval_prompts;
  t.trainer.seed = o.seed;
  t.trainer.prompts_per_step = o.batch_size;
  t.trainer.sampling.num_generations = 1;
  t.trainer.sampling.max_completion_length = o.max_completion_length;
  t.trainer.micro_batch_tokens = o.micro_batch_tokens;
  return t;
}

}  // namespace maestro::examples
