#pragma once

/// @file
/// Supervised fine-tuning on the references of a prompt file.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/stop_signal.hpp"
#include "common/text_model.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/folder_lock.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/optimizer/clip.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/policy/snapshot.hpp"
#include "maestro/trainer/checkpoints.hpp"
#include "maestro/trainer/fingerprint.hpp"
#include "maestro/trainer/prompt_order.hpp"
#include "maestro/trainer/run.hpp"
#include "sft/options.hpp"
#include "train/answer_format.hpp"
#include "train/fingerprint.hpp"
#include "train/models.hpp"

namespace maestro::examples {

/// The prompts of a file that have a reference, with the instruction behind each. Those left out are counted aloud.
/// @throws BadArgument where none has one; as load_prompts.
inline std::vector<Prompt> prompts_with_references(const SftOptions& o, const std::string& path) {
  PromptFile file = load_prompts(path, o.model_options.prompt_file);
  const std::size_t all = file.prompts.size();
  std::erase_if(file.prompts, [](const Prompt& prompt) { return prompt.reference.empty(); });
  if (file.prompts.empty()) throw BadArgument(path + ": no prompt has a reference, and references are what is learned");
  if (file.prompts.size() < all || file.skipped > 0) {
    std::cerr << "sft: left out " << all - file.prompts.size() << " prompts of " << path << " without a reference and "
              << file.skipped << " bad lines\n";
  }
  add_instruction(file.prompts, answer_instruction(answer_format(o.answer_format), o.answer_instruction));
  return std::move(file.prompts);
}

/// The references as responses: groups of one, each ended as the model ends its turns.
template <class P>
class References {
 public:
  References(const P& policy, const ChatFormat& chat, std::size_t limit)
      : policy_(&policy),
        end_(turn_end_token(policy.tokenizer(), chat)
                 .value_or(static_cast<std::int32_t>(policy.tokenizer().end_token()))),
        limit_(limit) {}

  /// @throws BadArgument naming the data row of a prompt and reference that are too long together.
  Rollouts batch(std::span<const Prompt> prompts) const {
    Rollouts result;
    result.groups = Groups::uniform(prompts.size(), 1);
    result.prompts.assign(prompts.begin(), prompts.end());
    for (const Prompt& prompt : prompts) {
      const std::vector<std::int32_t> asked = policy_->encode_prompt(prompt);
      std::vector<std::int32_t> tokens = policy_->tokenizer().encode(prompt.reference);
      tokens.push_back(end_);
      const bool cut = tokens.size() > limit_;
      if (cut) tokens.resize(limit_);
      const std::size_t positions = policy_->config().max_positions;
      if (asked.size() + tokens.size() > positions) {
        throw BadArgument("data row " + std::to_string(prompt.row) + ": prompt and reference have " +
                          std::to_string(asked.size() + tokens.size()) + " tokens, the model " +
                          std::to_string(positions) + " positions; shorten it, or lower --max-completion-length");
      }
      result.prompt_tokens.push_row(asked);
      result.tokens.push_row(tokens);
      result.finish.push_back(cut ? Finish::length : Finish::stop);
      result.texts.push_back(prompt.reference);
    }
    result.log_probs.assign(result.tokens.size(), 0.0f);
    result.entropies.assign(result.tokens.size(), 0.0f);
    return result;
  }

 private:
  const P* policy_;
  std::int32_t end_;
  std::size_t limit_;
};

/// Sums of the loss over tokens.
struct SftLoss {
  double sum = 0.0;
  double tokens = 0.0;

  double mean() const { return sum / tokens; }
  void add(std::span<const float> log_probs) {
    for (const float log_prob : log_probs) sum -= static_cast<double>(log_prob);
    tokens += static_cast<double>(log_probs.size());
  }
};

/// One step on the mean negative log-likelihood of the batch's response tokens.
template <class P>
SftLoss sft_step(P& policy, const Rollouts& batch, Optimizer<float>& optimizer, double learning_rate,
                 const SftOptions& o, double& grad_norm) {
  SftLoss loss;
  const float slope = -1.0f / static_cast<float>(batch.tokens.size());
  std::vector<float> all(batch.tokens.size());
  policy.zero_gradients();
  for_each_micro_batch(batch, {0, batch.groups.count()}, o.micro_batch_tokens, [&](GroupRange micro) {
    const std::span<float> log_probs = tokens_of(batch, micro, std::span<float>(all));
    const std::vector<float> slopes(log_probs.size(), slope);
    policy.forward(batch, micro, log_probs, std::span<float>());
    policy.backward(std::span<const float>(slopes), std::span<const float>());
    loss.add(log_probs);
  });
  grad_norm = o.max_grad_norm > 0.0 ? clip_global_norm(policy, o.max_grad_norm) : global_norm(policy);
  optimizer.step(policy, learning_rate);
  return loss;
}

/// Mean negative log-likelihood of references that are not trained on.
template <class P>
double held_out_loss(P& policy, const References<P>& references, std::span<const Prompt> prompts, const SftOptions& o) {
  SftLoss loss;
  for (std::size_t first = 0; first < prompts.size(); first += o.batch_size) {
    const Rollouts batch = references.batch(prompts.subspan(first, std::min(o.batch_size, prompts.size() - first)));
    std::vector<float> all(batch.tokens.size());
    for_each_micro_batch(batch, {0, batch.groups.count()}, o.micro_batch_tokens, [&](GroupRange micro) {
      policy.log_probs(batch, micro, tokens_of(batch, micro, std::span<float>(all)));
    });
    loss.add(all);
  }
  return loss.mean();
}

/// Everything that the next step depends on.
template <class P>
struct SftState {
  P& policy;
  Optimizer<float> optimizer;
  std::uint32_t step = 0;  ///< steps done

  std::uint32_t steps_done() const { return step; }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step);
    v("policy", ParameterValues<P>{policy});
    v("optimizer", optimizer);
  }
};

/// Where the checkpoints of a run lie, and what tells it from other runs.
inline CheckpointOptions sft_checkpoints(const SftOptions& o, std::span<const Prompt> prompts) {
  OrderedJson fingerprint = content_of_files(o.model, o.model_options, prompts);
  record_options(fingerprint, o);
  return {.folder = Run::checkpoints_in(o.output), .keep = o.save_total_limit, .fingerprint = fingerprint.dump()};
}

/// @throws BadArgument, BadFile where --output holds a checkpoint that the run may not go on from.
inline void check_sft_folder(const SftOptions& o, const CheckpointOptions& options) {
  const auto checkpoint = Checkpoints::newest_whole_in(options.folder);
  if (!checkpoint) return;
  if (o.resume == SftResume::never) {
    throw BadArgument(o.output +
                      " holds the checkpoint of an earlier run; --resume auto continues it, another "
                      "--output starts afresh");
  }
  Checkpoints::check_fingerprint(*checkpoint, options.fingerprint);
}

/// Loads the newest checkpoint, if there is one, and takes back what was logged after it.
template <class P>
void resume(const SftOptions& o, Checkpoints& checkpoints, SftState<P>& state) {
  if (checkpoints.resume(state)) std::cout << "resumed after step " << state.step << '\n';
  for (const std::string& damaged : checkpoints.passed_over()) {
    std::cout << "passed over a damaged checkpoint: " << damaged << '\n';
  }
  truncate_after(o.output + "/metrics.jsonl", state.step);
}

/// The steps that are left, with a line of progress now and then.
template <class P>
void sft_loop(SftState<P>& state, Checkpoints& checkpoints, const References<P>& references,
              std::span<const Prompt> prompts, const SftOptions& o) {
  PromptOrder order(prompts, o.batch_size, o.seed);
  JsonlWriter metrics(o.output + "/metrics.jsonl");
  const std::uint32_t line_every = std::max<std::uint32_t>(o.steps / 20, 1);
  SftLoss since;
  bool last = stop_requested();
  while (state.step < o.steps && !last) {
    const Rollouts batch = references.batch(order.batch(state.step));
    const double rate = o.learning_rate * learning_rate_factor(o.schedule, state.step);
    double grad_norm = 0.0;
    const SftLoss loss = sft_step(state.policy, batch, state.optimizer, rate, o, grad_norm);
    ++state.step;
    if (!std::isfinite(loss.sum))
      throw BadData("step " + std::to_string(state.step) + ": the loss is not finite; lower --learning-rate");
    metrics.write(OrderedJson{{"step", state.step},
                              {"epoch", order.epoch(state.step)},
                              {"loss", loss.mean()},
                              {"learning_rate", rate},
                              {"grad_norm", grad_norm}});
    last = state.step == o.steps || stop_requested();
    if (last || (o.save_steps > 0 && state.step % o.save_steps == 0)) {
      metrics.sync();  // before the checkpoint that counts the lines
      checkpoints.save(state);
    }
    since.sum += loss.sum;
    since.tokens += loss.tokens;
    if (state.step % line_every != 0 && !last) continue;
    char line[96];
    std::snprintf(line, sizeof line, "%5u/%u  loss %.4f nats a token", state.step, o.steps, since.mean());
    std::cout << line << std::endl;
    since = {};
  }
}

/// Tokens of a step's prompts and references at most: those of the longest pairs.
inline std::size_t longest_step(const SftOptions& o, const PolicyPlan& plan, std::span<const Prompt> prompts) {
  std::vector<std::size_t> tokens;
  for (const Prompt& prompt : prompts) {
    const std::size_t reference = plan.tokenizer.encode(prompt.reference).size() + 1;
    tokens.push_back(plan.lengths(std::span(&prompt, 1)).front() + std::min(reference, o.max_completion_length));
  }
  std::sort(tokens.rbegin(), tokens.rend());
  tokens.resize(std::min(tokens.size(), o.batch_size));
  return std::accumulate(tokens.begin(), tokens.end(), std::size_t{0});
}

/// Trains a policy of type P on the references; the exit code of the program.
template <class P>
int sft_as(SftOptions o) {
  if (o.threads > 0) set_threads(o.threads);
  const std::vector<Prompt> prompts = prompts_with_references(o, o.prompts);
  const double steps =
      std::ceil(o.num_epochs * static_cast<double>(prompts.size()) / static_cast<double>(o.batch_size));
  if (o.steps == 0) o.steps = static_cast<std::uint32_t>(std::min(steps, 4e9));
  o.schedule.total_steps = o.steps;
  maestro::check(o.schedule);
  std::vector<Prompt> held_out;
  if (!o.eval_prompts.empty()) held_out = prompts_with_references(o, o.eval_prompts);
  TrainOptions shared = as_train_options(o);
  say_ignored_fields("sft", o.model);
  say_adapter_remarks("sft", o.model_options.adapter);
  const PolicyPlan plan(shared);
  std::size_t longest = 0;
  for (const Prompt& prompt : prompts) longest = std::max(longest, plan.tokenizer.encode(prompt.reference).size() + 1);
  shared.trainer.sampling.max_completion_length = std::min(longest, o.max_completion_length);
  check_memory(shared, estimate(shared, plan, prompts, longest_step(o, plan, prompts)), 1);
  P policy = load_policy<P>(shared, plan);
  const References<P> references(policy, plan.options.chat, o.max_completion_length);
  std::size_t cut = 0;
  for (const Prompt& prompt : prompts) {
    cut += references.batch(std::span(&prompt, 1)).finish[0] == Finish::length ? 1u : 0u;
  }
  std::cout << "model      " << o.model << ", " << trained_parameters(policy) << " parameters are trained\nprompts    "
            << prompts.size() << " of " << o.prompts << ", " << cut << " references cut at " << o.max_completion_length
            << " tokens\nrun        " << o.steps << " steps of " << o.batch_size << " prompts, learning rate "
            << o.learning_rate << ", into " << o.output << std::endl;
  const CheckpointOptions place = sft_checkpoints(o, prompts);
  check_sft_folder(o, place);
  if (o.dry_run == DryRun::yes) {
    std::cout << "dry run: options, files and sizes fit together; nothing was trained\n";
    return 0;
  }
  maestro::detail::make_folder(o.output);
  const FolderLock lock(o.output);
  Checkpoints checkpoints(place);
  SftState<P> state{policy, Optimizer<float>(o.optimizer)};
  resume(o, checkpoints, state);
  const auto say_held_out = [&](const char* when) {
    if (held_out.empty()) return;
    char line[96];
    std::snprintf(line, sizeof line, "%s: loss %.4f nats a token on ", when,
                  held_out_loss(policy, references, held_out, o));
    std::cout << line << held_out.size() << " prompts of " << o.eval_prompts << std::endl;
  };
  if (state.step == 0) say_held_out("before");
  sft_loop(state, checkpoints, references, prompts, o);
  if (state.step < o.steps) {
    std::cout << "stopped after step " << state.step << "; the same command continues from there\n";
    return exit_stopped;
  }
  say_held_out("after");
  save_result(shared, policy, plan.texts);
  return 0;
}

}  // namespace maestro::examples
