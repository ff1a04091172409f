#pragma once

/// @file
/// A training run composed from command-line options: model, rewards, Conductor and scalarization chosen at run time.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/cheap_rewards.hpp"
#include "common/paid_judge.hpp"
#include "common/stop_signal.hpp"
#include "common/text_model.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/distributed/any.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/model/classifier.hpp"
#include "maestro/policy/sampler.hpp"
#include "maestro/reward/answer_match.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/reward/entropy.hpp"
#include "maestro/reward/exact_match.hpp"
#include "maestro/reward/fallible.hpp"
#include "maestro/reward/length.hpp"
#include "maestro/reward/likeness.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/proxy_scorer.hpp"
#include "maestro/reward/repetition.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/trainer/checkpoints.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/progress.hpp"
#include "maestro/trainer/run.hpp"
#include "maestro/trainer/trainer.hpp"
#include "maestro/trainer/warnings.hpp"
#include "tasks/tasks.hpp"
#include "train/anchor.hpp"
#include "train/answer_format.hpp"
#include "train/fingerprint.hpp"
#include "train/idle_options.hpp"
#include "train/logs.hpp"
#include "train/models.hpp"
#include "train/option_names.hpp"
#include "train/options.hpp"
#include "train/outside.hpp"
#include "train/plan.hpp"
#include "train/ranks.hpp"
#include "train/rollout.hpp"
#include "train/run_rewards.hpp"
#include "train/scalarization_checks.hpp"
#include "train/train.hpp"
#include "train/weights.hpp"

namespace maestro::examples {

/// The prompts of a file, with the instruction behind each that --answer-format asks for. What was left out or is not
/// seen is said.
inline std::vector<Prompt> prompts_of_file(const TrainOptions& options, const std::string& path) {
  PromptFile file = load_prompts(path, options.model_options.prompt_file);
  if (file.skipped > 0) {
    std::cerr << "train: left out " << file.skipped << " bad lines of " << path << "; the first: " << file.first_skipped
              << '\n';
  }
  add_instruction(file.prompts, answer_instruction(answer_format(options.answer_format), options.answer_instruction));
  return std::move(file.prompts);
}

/// The training prompts: those of a file, or of the built-in task families that --tasks names.
inline std::vector<Prompt> training_prompts(const TrainOptions& options) {
  if (!options.prompts.empty()) return prompts_of_file(options, options.prompts);
  require(options.num_prompts > 0, "--num-prompts must be at least 1");
  return make_prompts(Split::train, options.num_prompts, options.trainer.seed, options.tasks);
}

/// The options with the steps that --num-epochs means.
/// @throws BadArgument for a number below 0, or more steps than a run may have.
inline TrainOptions with_steps(TrainOptions options, std::size_t prompts) {
  if (options.num_epochs == 0.0) return options;
  const double steps = std::ceil(options.num_epochs * static_cast<double>(prompts) /
                                 static_cast<double>(options.trainer.prompts_per_step));
  require(options.num_epochs > 0.0 && steps < 4e9, "--num-epochs must be above 0, and the steps it means below 4e9");
  options.steps = static_cast<std::uint32_t>(steps);
  options.trainer.schedule.total_steps = options.steps;
  if (options.anchor.asked.max_calls > 0) options.anchor.asked.spread_steps = options.steps;
  return options;
}

/// The length reward that --length-shape names.
inline LengthOptions length_options(const TrainOptions& options) {
  switch (options.length_shape) {
    case LengthChoice::target:
      return {.shape = LengthShape::target, .target = options.length_target};
    case LengthChoice::reference: {
      const AnswerFormat format = answer_format(options.answer_format);
      return {.shape = LengthShape::target,
              .unit = LengthUnit::characters,
              .part = format.place == AnswerPlace::tags ? LengthPart::answer : LengthPart::response,
              .target_of = [](const Prompt& prompt) -> std::optional<double> {
                if (prompt.reference.empty()) return std::nullopt;
                return static_cast<double>(count_characters(prompt.reference));
              },
              .tags = format.tags};
    }
    case LengthChoice::overlong:
      break;
  }
  const auto limit = static_cast<double>(options.trainer.sampling.max_completion_length);
  return {.shape = LengthShape::soft_overlong, .max_length = limit, .cache = limit / 5};
}

/// The rewards that --rewards chooses, those from outside, and the anchor beside them.
template <class P>
auto make_rewards(const TrainOptions& options) {
  static_cast<void>(run_rewards(options));  // refuses what does not fit, a judge that is no reward too
  std::vector<AnyReward<P>> rewards;
  const AnswerFormat answer = answer_format(options.answer_format);
  const ErrorChoice on_error = options.outside.on_error;
  const auto add = [&](auto reward) {
    if (on_error == ErrorChoice::automatic) {
      rewards.emplace_back(std::move(reward));
    } else {
      const FallibleOptions treated{.on_error = on_error_of(on_error, OnError::stop), .retries = 0};
      rewards.emplace_back(Fallible(std::move(reward), treated));
    }
  };
  for (const std::string_view name : chosen_rewards(options)) {
    if (name == "perplexity") {
      add(Perplexity(PolicyProxy({.sync_steps = options.proxy_sync_steps}),
                     {.answer = answer.place, .tags = answer.tags}));
    }
    if (name == "format") {
      add(Format({.answer = answer.place, .tags = answer.tags, .grade = FormatGrade::graded}));
    }
    if (name == "entropy") add(Entropy());
    if (name == "length") add(Length(length_options(options)));
    if (name == "preference") add(Preference(load_preferences(options)));
    if (name == "exact_match") add(ExactMatch({.answer = answer.place, .tags = answer.tags}));
    if (name == "repetition") add(Repetition());
    if (name == "number") add(NumberMatch());
    if (name == "letter") add(LetterMatch());
    if (name == "chrf") add(Likeness());
    if (name == "chrf++") add(Likeness({.metric = LikenessMetric::chrf_plus_plus}));
    if (name == "bleu") add(Likeness({.metric = LikenessMetric::bleu}));
    if (name == "brevity") add(Brevity());
    if (name == "confidence") add(Confidence());
    if (name == "elaboration") add(Elaboration());
    if (name == "liking") add(Liking());
    if (name == "paid_judge") add(PaidJudge({.seed = options.trainer.seed}));
  }
  add_outside_rewards(options, rewards);
  return with_anchor(options, std::move(rewards));
}

/// The line of the plan about the server that draws; empty without one.
inline std::string rollout_plan(const RolloutOptions& o) {
  if (o.url.empty()) return {};
  return "\nresponses  from " + o.url + " (" + std::string(rollout_dialect_names[static_cast<std::size_t>(o.dialect)]) +
         "), " +
         (o.ahead == 0 ? "by the weights of the step" : "drawn up to " + std::to_string(o.ahead) + " updates ahead");
}

/// The line of the plan about the outside signal; empty without one.
inline std::string anchor_plan(const TrainOptions& o) {
  if (o.anchor.source == AnchorSource::none) return {};
  const bool judged = o.anchor.source == AnchorSource::judge;
  const std::string share = std::to_string(o.anchor.asked.share * 100.0);
  return "\nanchor     " +
         (judged ? o.anchor.reward + ", asked about " + share.substr(0, share.find('.') + 2) + " % of the groups"
                 : "the " + o.anchor.column + " of each prompt, as a response from outside");
}

template <class P>
void print_plan(const TrainOptions& o, P& policy, std::span<const Prompt> prompts, std::size_t ranks) {
  const auto has_system = [](const Prompt& prompt) {
    return !prompt.messages.empty() && prompt.messages.front().role == "system";
  };
  const auto systems = std::count_if(prompts.begin(), prompts.end(), has_system);
  const ModelConfig& c = policy.config();
  const TrainerOptions& t = o.trainer;
  const std::string changed = changed_options(o);
  std::cout << "model      " << o.model << ": " << c.layers << " layers, width " << c.hidden << ", vocabulary "
            << c.vocabulary << ", " << trained_parameters(policy)
            << (o.model_options.trains_adapters() ? " parameters of adapters\n" : " parameters\n") << "prompts    "
            << prompts.size() << (o.prompts.empty() ? " of the built-in task families" : " of " + o.prompts)
            << (systems > 0 ? ", " + std::to_string(systems) + " with a system message of their own" : "")
            << "\nstep       " << t.prompts_per_step << " prompts x " << t.sampling.num_generations
            << " responses of at most " << t.sampling.max_completion_length << " tokens, learning rate "
            << t.learning_rate << "\nrewards   ";
  for (const std::string& name : named_rewards(o)) std::cout << ' ' << name;
  std::cout << ", normalized " << o.normalize << ", weighted by " << o.conductor << ", advantages " << o.scalarization
            << anchor_plan(o) << rollout_plan(o.rollout) << "\nrun        " << o.steps << " steps, seed " << t.seed
            << ", " << (ranks > 1 ? std::to_string(ranks) + " ranks of " : "") << max_threads() << " threads, "
            << backend_name << ", into " << o.output << "\noptions   "
            << (changed.empty() ? " all as by default" : changed + ", the others as by default") << std::endl;
}

/// @throws BadArgument for a folder of this name that holds what saving would have to remove.
inline void check_replaceable(const std::string& folder, bool (*is_ours)(std::string_view)) {
  for (const std::string& name : maestro::detail::names_in(folder)) {
    if (is_ours(name)) continue;
    throw BadArgument(folder + ": holds " + maestro::detail::quote_text(name) +
                      ", which the run would remove at its end; move it away, or take another --output");
  }
}

/// @throws IoError where the output folder could not be made, BadArgument where its results could not be saved.
inline void check_output(const TrainOptions& options) {
  const std::string& output = options.output;
  require(!output.empty(), "--output is empty; name a folder");
  std::filesystem::path place = std::filesystem::absolute(output);
  while (!std::filesystem::exists(place) && place.has_relative_path()) place = place.parent_path();
  if (!std::filesystem::is_directory(place)) throw IoError("--output " + output + ": " + place.string() + " is a file");
  if (::access(place.c_str(), W_OK) != 0) throw IoError("--output " + output + ": " + place.string() + " is read-only");
  check_replaceable(output + "/model", maestro::detail::is_model_file);
  if (options.model_options.trains_adapters()) {
    check_replaceable(output + "/adapter", maestro::detail::is_adapter_file);
  }
}

/// @throws BadArgument where --resume does not allow the checkpoint that there is.
inline void check_resume(const TrainOptions& options, const std::optional<std::string>& checkpoint) {
  if (!checkpoint || options.resume != ResumeChoice::never) return;
  throw BadArgument(options.output +
                    " holds the checkpoint of an earlier run; --resume auto continues it, another "
                    "--output starts afresh");
}

/// What may be other than in the checkpoint that a run goes on from.
inline std::vector<std::string> may_change(const TrainOptions& options) {
  if (options.resume != ResumeChoice::new_learning_rate) return {};
  return {"learning_rate", "schedule", "warmup_steps", "steps"};
}

/// What a run still checks before its first step; writes nothing. Gives the checkpoint that it goes on from.
inline std::optional<std::string> check_folder(const TrainOptions& options, const std::string& fingerprint) {
  const auto checkpoint = Checkpoints::newest_whole_in(Run::checkpoints_in(options.output));
  check_resume(options, checkpoint);
  if (checkpoint) Checkpoints::check_fingerprint(*checkpoint, fingerprint, may_change(options));
  return checkpoint;
}

/// Runs the training that the options describe with a policy of type P; the exit code of the program.
template <class P>
int train_as(const TrainOptions& given, Output output, const Ranks& ranks) {
  AnyCommunicator communicator = ranks.communicator;
  if (given.threads > 0) set_threads(given.threads);
  check(given.trainer);
  refuse_unfit_format(given);
  if (given.planned.ranks.empty()) check_output(given);
  std::vector<Prompt> prompts = training_prompts(given);
  say_ignored_fields("train", given.model);
  say_adapter_remarks("train", given.model_options.adapter);
  const PolicyPlan plan(given);
  const std::size_t left_out = plan.leave_out_long(given, prompts);
  if (left_out > 0) std::cerr << "train: left out " << left_out << " prompts of too many tokens\n";
  const TrainOptions options = with_steps(given, prompts.size());
  refuse_idle_rewards(options, prompts);
  refuse_no_demonstrations(options, prompts);
  const std::string unasked = unasked_tags(options, plan.options.chat.kind != ChatKind::none, prompts);
  if (!unasked.empty()) std::cerr << "train: " << unasked << '\n';
  check_reward_model(options, plan);
  if (!options.planned.ranks.empty()) {
    print_prediction(options, plan, prompts, std::cout);
    return 0;
  }
  check_memory(options, estimate(options, plan, prompts), ranks.on_machine);
  const AnyScalarization scalarization(options.scalarization, advantages_options(options));
  refuse_lone_responses(options, scalarization);
  refuse_lost_scale(options, scalarization);
  Trainer trainer{served_policy(load_policy<P>(options, plan), options, plan.texts, prompts),
                  make_rewards<ServedPolicy<P>>(options),
                  make_conductor(options, prompts),
                  scalarization,
                  options.trainer,
                  communicator};
  trainer.check_prompts(prompts);
  std::vector<Prompt> held_out;
  if (!options.eval_prompts.empty()) {
    held_out = prompts_of_file(options, options.eval_prompts);
    trainer.check_prompts(held_out);
  }
  const std::string content = fingerprint(options, prompts);
  require(options.save_total_limit > 0, "--save-total-limit must be at least 1");
  print_plan(options, trainer.policy(), prompts, ranks.size());
  if (options.dry_run == DryRun::yes) {
    if (const auto checkpoint = check_folder(options, content)) {
      std::cout << "the run would continue from " << *checkpoint << '\n';
    }
    std::cout << "dry run: options, files and sizes fit together; nothing was trained\n";
    return 0;
  }

  check_resume(options, Checkpoints::newest_in(Run::checkpoints_in(options.output)));
  const Run run(options.output,
                {.steps = options.steps,
                 .save_every = options.save_steps,
                 .keep = options.save_total_limit,
                 .should_stop = stop_requested,
                 .fingerprint = content,
                 .may_change = may_change(options),
                 .timings = options.timings,
                 .samples = {.responses = 4},
                 .progress = &std::cout,
                 .style = output == Output::terminal ? ProgressStyle::terminal : ProgressStyle::lines},
                communicator);
  FailureLines failures;
  RunWarnings warnings([](const std::string& text) { std::cerr << "\ntrain: " << text << std::endl; });
  Evaluations<decltype(trainer)> evaluations;
  TensorBoard tensorboard;
  Report report(options);
  in_step(communicator, [&] {
    if (ranks.rank() != 0) return;
    check_folder(options, content);  // what is refused leaves the run that is there as it was
    write_file(options.output + "/run.json", options.config);
    evaluations.open(trainer, options, held_out);
    tensorboard.open(options);
  });
  const LoopEnd end = run(trainer, prompts, failures, warnings, evaluations, tensorboard, report);
  if (ranks.rank() != 0) return end == LoopEnd::stopped ? exit_stopped : 0;
  const std::string page = report.write();
  if (!page.empty()) std::cout << (end == LoopEnd::stopped ? "\n" : "") << "the report is " << page << '\n';
  if (end == LoopEnd::stopped) {
    std::cout << "\nstopped after step " << trainer.steps_done() << "; the same command continues from there\n";
    return exit_stopped;
  }
  save_result(options, trainer.policy(), plan.texts);
  return 0;
}

}  // namespace maestro::examples
