#pragma once

/// @file
/// A training run composed from command-line options: model, rewards, Conductor and scalarization chosen at run time.

#include <unistd.h>

#include <algorithm>
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
#include "maestro/io/prompts.hpp"
#include "maestro/model/classifier.hpp"
#include "maestro/policy/sampler.hpp"
#include "maestro/reward/answer_match.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/reward/entropy.hpp"
#include "maestro/reward/exact_match.hpp"
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
#include "tasks/tasks.hpp"
#include "train/anchor.hpp"
#include "train/fingerprint.hpp"
#include "train/idle_options.hpp"
#include "train/models.hpp"
#include "train/option_names.hpp"
#include "train/options.hpp"
#include "train/outside.hpp"
#include "train/train.hpp"
#include "train/weights.hpp"

namespace maestro::examples {

/// The training prompts: those of a file, or of the built-in task families that --tasks names.
inline std::vector<Prompt> training_prompts(const TrainOptions& options) {
  if (!options.prompts.empty()) {
    const PromptFile file = load_prompts(options.prompts, options.model_options.prompt_file);
    if (file.skipped > 0) {
      std::cerr << "train: left out " << file.skipped << " bad lines; the first: " << file.first_skipped << '\n';
    }
    return file.prompts;
  }
  require(options.num_prompts > 0, "--num-prompts must be at least 1");
  return make_prompts(Split::train, options.num_prompts, options.trainer.seed, options.tasks);
}

/// The length reward that --length-shape names.
inline LengthOptions length_options(const TrainOptions& options) {
  switch (options.length_shape) {
    case LengthChoice::target:
      return {.shape = LengthShape::target, .target = options.length_target};
    case LengthChoice::reference:
      return {.shape = LengthShape::target,
              .unit = LengthUnit::characters,
              .part = LengthPart::answer,
              .target_of = [](const Prompt& prompt) -> std::optional<double> {
                if (prompt.reference.empty()) return std::nullopt;
                return static_cast<double>(count_characters(prompt.reference));
              }};
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
  for (const std::string_view name : chosen_rewards(options)) {
    if (name == "perplexity") rewards.emplace_back(Perplexity(PolicyProxy({.sync_steps = options.proxy_sync_steps})));
    if (name == "format") rewards.emplace_back(Format({.grade = FormatGrade::graded}));
    if (name == "entropy") rewards.emplace_back(Entropy());
    if (name == "length") rewards.emplace_back(Length(length_options(options)));
    if (name == "preference") rewards.emplace_back(Preference(load_preferences(options)));
    if (name == "exact_match") rewards.emplace_back(ExactMatch());
    if (name == "repetition") rewards.emplace_back(Repetition());
    if (name == "number") rewards.emplace_back(NumberMatch());
    if (name == "letter") rewards.emplace_back(LetterMatch());
    if (name == "chrf") rewards.emplace_back(Likeness());
    if (name == "bleu") rewards.emplace_back(Likeness({.metric = LikenessMetric::bleu}));
    if (name == "brevity") rewards.emplace_back(Brevity());
    if (name == "confidence") rewards.emplace_back(Confidence());
    if (name == "elaboration") rewards.emplace_back(Elaboration());
    if (name == "liking") rewards.emplace_back(Liking());
    if (name == "paid_judge") rewards.emplace_back(PaidJudge({.seed = options.trainer.seed}));
  }
  add_outside_rewards(options, rewards);
  return with_anchor(options, std::move(rewards));
}

/// Parameters that are trained.
template <class P>
std::size_t trained_parameters(P& policy) {
  std::size_t count = 0;
  policy.visit([&](const auto& parameter) { count += parameter.values.size(); });
  return count;
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
void print_plan(const TrainOptions& o, P& policy, std::span<const Prompt> prompts) {
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
  std::cout << ", normalized " << o.normalize << ", weighed by " << o.conductor << ", advantages " << o.scalarization
            << anchor_plan(o) << "\nrun        " << o.steps << " steps, seed " << t.seed << ", " << max_threads()
            << " threads, " << backend_name << ", into " << o.output << "\noptions   "
            << (changed.empty() ? " all as by default" : changed + ", the others as by default") << '\n';
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
  check_replaceable(output + "/model", maestro::detail::is_model_file);
  if (options.model_options.trains_adapters()) {
    check_replaceable(output + "/adapter", maestro::detail::is_adapter_file);
  }
  std::filesystem::path place = std::filesystem::absolute(output);
  while (!std::filesystem::exists(place) && place.has_relative_path()) place = place.parent_path();
  if (!std::filesystem::is_directory(place)) throw IoError("--output " + output + ": " + place.string() + " is a file");
  if (::access(place.c_str(), W_OK) != 0) throw IoError("--output " + output + ": " + place.string() + " is read-only");
}

/// @throws BadArgument where --resume does not allow the checkpoint that there is.
inline void check_resume(const TrainOptions& options, const std::optional<std::string>& checkpoint) {
  if (!checkpoint || options.resume != Resume::never) return;
  throw BadArgument(options.output +
                    " holds the checkpoint of an earlier run; --resume auto continues it, another "
                    "--output starts afresh");
}

/// What a run would still check before its first step; writes nothing.
inline void check_folder(const TrainOptions& options, const std::string& fingerprint) {
  const auto checkpoint = Checkpoints::newest_whole_in(Run::checkpoints_in(options.output));
  check_resume(options, checkpoint);
  if (!checkpoint) return;
  Checkpoints::check_fingerprint(*checkpoint, fingerprint);
  std::cout << "the run would continue from " << *checkpoint << '\n';
}

/// Leaves the trained model in the output folder, adapters in PEFT's layout.
template <class P>
void save_result(const TrainOptions& o, const P& policy, const FolderTexts& texts) {
  const SaveOptions options{.store = o.model_options.save_as, .texts = texts, .stop_tokens = policy.stop_tokens()};
  if constexpr (std::is_same_v<typename P::weights_type, ModelWeights<float>>) {
    save_model(o.output + "/model", policy.weights(), policy.tokenizer(), options);
  } else {
    save_adapters(o.output + "/adapter", policy.weights().factors(), o.model);
    std::cout << "the adapters are in " << o.output << "/adapter\n";
    if (o.model_options.merge == MergeAdapters::no) return;
    save_model(o.output + "/model", policy.weights().merged(), policy.tokenizer(), options);
  }
  std::cout << "the trained model is in " << o.output << "/model\n";
}

/// Runs the training that the options describe with a policy of type P; the exit code of the program.
template <class P>
int train_as(const TrainOptions& options, Output output) {
  if (options.threads > 0) set_threads(options.threads);
  check(options.trainer);
  check_output(options);
  std::vector<Prompt> prompts = training_prompts(options);
  say_ignored_fields("train", options.model);
  if (!options.model_options.adapter.empty()) {
    for (const std::string& remark : load_adapter_remarks(options.model_options.adapter)) {
      std::cerr << "train: --adapter " << options.model_options.adapter << ": " << remark << '\n';
    }
  }
  const PolicyPlan plan(options);
  const std::size_t left_out = plan.leave_out_long(options, prompts);
  if (left_out > 0) std::cerr << "train: left out " << left_out << " prompts of too many tokens\n";
  refuse_idle_rewards(options, prompts);
  check_memory(options, estimate(options, plan, prompts));
  Trainer trainer{load_policy<P>(options, plan), make_rewards<P>(options), make_conductor(options, prompts),
                  AnyScalarization(options.scalarization, advantages_options(options)), options.trainer};
  trainer.check_prompts(prompts);
  const std::string content = fingerprint(options, prompts);
  require(options.save_total_limit > 0, "--save-total-limit must be at least 1");
  print_plan(options, trainer.policy(), prompts);
  if (options.dry_run == DryRun::yes) {
    check_folder(options, content);
    std::cout << "dry run: options, files and sizes fit together; nothing was trained\n";
    return 0;
  }

  check_resume(options, Checkpoints::newest_in(Run::checkpoints_in(options.output)));
  const Run run(options.output, {.steps = options.steps,
                                 .save_every = options.save_steps,
                                 .keep = options.save_total_limit,
                                 .should_stop = stop_requested,
                                 .fingerprint = content,
                                 .resume = options.resume,
                                 .timings = options.timings,
                                 .progress = &std::cout,
                                 .style = output == Output::terminal ? ProgressStyle::terminal : ProgressStyle::lines});
  FailureLines failures;
  const LoopEnd end = run(trainer, prompts, failures);
  if (end == LoopEnd::stopped) {
    std::cout << "\nstopped after step " << trainer.steps_done() << "; the same command continues from there\n";
    return exit_stopped;
  }
  save_result(options, trainer.policy(), plan.texts);
  return 0;
}

}  // namespace maestro::examples
