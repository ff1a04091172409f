#pragma once

/// @file
/// Options that the others leave without effect: refused, since a run that ignores one is not the run asked for.

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/reward/anchor.hpp"
#include "train/answer_format.hpp"
#include "train/option_names.hpp"
#include "train/options.hpp"
#include "train/run_rewards.hpp"

namespace maestro::examples {

/// Options of an anchor that the others leave without effect, or that need another.
/// @param refuse  refuse(idle, options, why): throws where one of them was given although it is idle
/// @throws BadArgument
template <class Refuse>
void refuse_idle_anchor(const TrainOptions& o, const Refuse& refuse) {
  const AnchorSourceOptions& a = o.anchor;
  const bool anchored = o.conductor == "anchored";
  refuse(!anchored, option_names(o.anchored), "without --conductor anchored");
  refuse(o.anchored.context == GroupContextKind::global || o.anchored.context == GroupContextKind::task,
         {"anchor-max-features", "anchor-projection"}, "without --anchor-context hidden or prompt");
  std::vector<std::string> of_the_judge = option_names(a.asked);
  of_the_judge.emplace_back("anchor-reward");
  refuse(a.source != AnchorSource::judge, of_the_judge, "without --anchor judge");
  refuse(a.source != AnchorSource::demonstrations, {"anchor-column"}, "without --anchor demonstrations");
  refuse(a.source == AnchorSource::demonstrations && !anchored, {"anchor"},
         "as demonstrations, without --conductor anchored");
  refuse(a.asked.max_calls == 0, {"anchor-kept"}, "without --anchor-max-calls");
  refuse(a.asked.training != AnchorTraining::control, {"anchor-control"}, "without --anchor-train control");
  if (anchored && a.source == AnchorSource::none) {
    throw BadArgument(
        "--conductor anchored learns from an outside signal: give --anchor judge with --anchor-reward, or "
        "--anchor demonstrations");
  }
  if (a.asked.choice != AnchorChoice::random && !anchored) {
    throw BadArgument("--anchor-choice " + std::string(anchor_choice_names[static_cast<std::size_t>(a.asked.choice)]) +
                      " needs --conductor anchored, which knows what it does not know; take random");
  }
}

/// @param ranks  how many share the run.
/// @throws BadArgument naming what several ranks cannot do, or what one has no use for.
inline void refuse_unfit_for_ranks(const TrainOptions& o, std::size_t ranks) {
  const bool plans = !o.planned.ranks.empty();
  require(!plans || ranks == 1, "--plan predicts in one process; start it without mpirun");
  if (ranks == 1 && !plans) {
    require(o.trainer.shard_optimizer == ShardOptimizer::no,
            "--shard-optimizer yes has no effect on one rank; start the program by mpirun -n N, or leave it out");
    return;
  }
  if (!plans && o.trainer.prompts_per_step < ranks) {
    throw BadArgument("--prompts-per-step " + std::to_string(o.trainer.prompts_per_step) + ": each of the " +
                      std::to_string(ranks) + " ranks needs at least one prompt; take more, or fewer ranks");
  }
  require(!o.outside.any(),
          "--reward-command, --reward-url and --judge-url count their calls and keep their answers in one process; "
          "start one rank");
  require(!uses(o, "paid_judge") || o.anchor.takes("paid_judge"),
          "paid_judge counts its calls in one process; start one rank, or make it the anchor");
  require(o.rollout.url.empty(), "--rollout-url serves one process; start one rank");
}

/// Options of rollouts from a server that the others leave without effect, or that need another.
/// @param refuse  as above
/// @throws BadArgument
template <class Refuse>
void refuse_idle_rollouts(const TrainOptions& o, const Refuse& refuse) {
  std::vector<std::string> of_the_server = option_names(o.rollout);
  std::erase(of_the_server, "rollout-url");
  const ImportanceOptions& i = o.trainer.correction;
  const bool corrects = i.correction != ImportanceCorrection::none;
  const bool masks =
      i.correction == ImportanceCorrection::token_mask || i.correction == ImportanceCorrection::sequence_mask;
  refuse(o.rollout.url.empty(), of_the_server, "without --rollout-url");
  refuse(o.rollout.url.empty() && corrects, {"importance-correction"}, "without --rollout-url");
  refuse(!corrects, {"importance-cap"}, "without --importance-correction");
  refuse(!masks, {"importance-floor"}, "unless --importance-correction masks");
  if (o.rollout.url.empty()) return;
  const bool vllm = o.rollout.dialect == RolloutDialect::vllm;
  refuse(!vllm, {"rollout-model"}, "without --rollout-dialect vllm");
  require(!vllm || o.model_options.trains_adapters(),
          "--rollout-dialect vllm takes adapters alone: give --lora-rank or --adapter, or take sglang");
  require(!vllm || !o.rollout.model.empty(),
          "--rollout-dialect vllm needs --rollout-model, the base as GET /v1/models of the server lists it");
  require(o.rollout.ahead == 0 || corrects,
          "--rollout-ahead learns from responses of older weights: say by --importance-correction how they count");
}

/// @param given  given(name), asked for every option that may be idle: whether the option stood on the command line.
/// @throws BadArgument naming an option that was given although the others leave it without effect. A value that only
/// says "none" passes.
template <class Given>
void refuse_idle_options(const TrainOptions& o, const Given& given) {
  const auto refuse = idle_refusal(given);
  const TrainerOptions& t = o.trainer;
  index_of_name("--conductor", o.conductor, conductor_names);

  refuse(o.prompts.empty(), option_names(o.model_options.prompt_file), "without --prompts");
  const ModelOptions& m = o.model_options;
  refuse(!m.trains_adapters(), {"frozen-dtype", "merge-adapters", "save-gguf-adapter"},
         "without --lora-rank or --adapter");
  refuse(m.lora_rank == 0 || !m.adapter.empty(), option_names(m.lora),
         m.adapter.empty() ? "without --lora-rank" : "with --adapter, whose own counts");
  refuse(!m.adapter.empty() && m.lora_rank > 0, {"lora-rank"}, "with --adapter, whose own counts");
  refuse(m.trains_adapters() && m.merge == MergeAdapters::no, {"save-dtype"}, "with --merge-adapters no");
  refuse(!uses(o, "preference"), {"reward-chat-format"}, "unless --rewards has preference");
  refuse(o.num_epochs > 0.0, {"steps"}, "with --num-epochs, which says how many there are");
  refuse(o.eval_prompts.empty(), {"eval-steps"}, "without --eval-prompts");
  refuse(!o.prompts.empty(), {"tasks", "num-prompts"}, "with --prompts, whose prompts are all taken");

  const bool on_policy = t.num_iterations * t.num_minibatches == 1;
  const std::string ratio = "while every ratio is 1: --num-iterations or --num-minibatches must be above 1";
  const bool corrected = t.objective.beta > 0.0 && t.objective.kl_correction == KlCorrection::ratio;
  const Surrogate surrogate = t.objective.surrogate;
  refuse(on_policy && surrogate != Surrogate::clip, {"surrogate"}, ratio);
  refuse(on_policy, {"epsilon", "epsilon-high", "sapo-temperature-pos", "sapo-temperature-neg"}, ratio);
  refuse(on_policy && t.objective.ratio_cap, {"delta"}, ratio);
  refuse(surrogate != Surrogate::clip, {"epsilon", "epsilon-high"}, "without --surrogate clip");
  refuse(surrogate != Surrogate::sapo, {"sapo-temperature-pos", "sapo-temperature-neg"}, "without --surrogate sapo");
  refuse(on_policy && !corrected, {"importance-sampling-level"}, ratio);
  refuse(t.objective.beta == 0.0, {"kl-estimator", "kl-placement"}, "while --beta is 0");
  const bool corrects = t.objective.kl_correction != KlCorrection::none;
  refuse(corrects && t.objective.beta == 0.0, {"kl-correction"}, "while --beta is 0");
  refuse(corrects && t.objective.kl_placement != KlPlacement::loss, {"kl-correction"}, "without --kl-placement loss");
  refuse(t.objective.beta == 0.0 && t.reference_sync_steps > 0, {"ref-sync-steps"}, "while --beta is 0");

  refuse(!uses(o, "preference") && !o.reward_model.empty(), {"reward-model"}, "unless --rewards has preference");
  refuse(!uses(o, "preference"), {"reward-label"}, "unless --rewards has preference");
  refuse(!o.outside.any(), {"reward-timeout", "reward-retries"},
         "without --reward-command, --reward-url or --judge-url");
  std::vector<std::string> of_the_judge;
  for (const std::string& name : option_names(o.outside)) {
    if (name.starts_with("judge-") && name != "judge-url") of_the_judge.push_back(name);
  }
  refuse(o.outside.judge_url.empty(), of_the_judge, "without --judge-url");
  refuse_idle_rollouts(o, refuse);
  refuse(o.planned.ranks.empty(), {"network", "plan-from"}, "without --plan");
  refuse(!o.planned.ranks.empty(), {"dry-run"}, "with --plan, which trains nothing either");
  require(o.planned.ranks.empty() || (!o.planned.network.empty() && !o.planned.from.empty()),
          "--plan needs --network, and --plan-from with the folders of measured runs");
  refuse(!uses(o, "perplexity"), {"proxy-sync-steps"}, "unless --rewards has perplexity");
  refuse(!uses(o, "length"), {"length-shape", "length-target"}, "unless --rewards has length");
  refuse(o.length_shape != LengthChoice::target, {"length-target"}, "without --length-shape target");

  const auto only_with = [&](std::initializer_list<ScalarizerKind> kinds, const char* option) {
    const bool read = std::find(kinds.begin(), kinds.end(), o.scalarizer.kind) != kinds.end();
    std::string names;
    for (const ScalarizerKind kind : kinds) {
      names += (names.empty() ? "" : " or ") + std::string(scalarizer_names[static_cast<std::size_t>(kind)]);
    }
    refuse(!read, {option}, "without --scalarizer " + names);
  };
  using enum ScalarizerKind;
  only_with({tchebycheff, augmented_tchebycheff, smooth_tchebycheff}, "scalarizer-ideal");
  only_with({augmented_tchebycheff}, "scalarizer-rho");
  only_with({smooth_tchebycheff}, "scalarizer-mu");
  only_with({softmin}, "scalarizer-tau");
  only_with({gated}, "scalarizer-gate");
  only_with({gated}, "scalarizer-threshold");

  const bool paper = o.conductor == "maestro_paper";
  const bool learned = o.conductor == "linear" || o.conductor == "mlp";
  refuse(!learned, option_names(o.learned),
         "with --conductor " + o.conductor +
             (paper ? ", which is the paper's reading whatever else is asked; take linear to set it"
                    : ", which does not learn from them"));
  refuse(o.learned.emphasis != Emphasis::blended_uniform && o.learned.emphasis != Emphasis::blended_policy,
         {"conductor-strength"}, "without a blended --conductor-emphasis");
  const auto only_for = [&](const std::string& conductor, const std::vector<std::string>& options) {
    refuse(o.conductor != conductor, options, "without --conductor " + conductor);
  };
  refuse(o.conductor != "scheduled" && o.conductor != "fixed" && !scales_weights(o), {"weights"},
         "without --conductor fixed, scheduled, contrast or hypervolume_guided");
  only_for("scheduled", {"weights-end", "weights-start-step", "weights-end-step"});
  only_for("prompt", {"weights-column"});
  require(o.conductor != "prompt" || !o.prompts.empty(),
          "--conductor prompt needs --prompts, a file whose lines have weights");
  only_for("random", option_names(o.random));
  refuse(o.random.kind != RandomKind::blended_uniform, {"random-strength"}, "without --random-kind blended_uniform");
  only_for("saw", option_names(o.saw));
  only_for("exp3", option_names(o.exp3));
  only_for("gradient_guided", option_names(o.gradient));
  only_for("hypervolume_guided", option_names(o.hypervolume));
  only_for("predictability", option_names(o.predictability));
  refuse_idle_anchor(o, refuse);
}

/// @throws BadArgument for a chosen reward that --answer-format leaves nothing to look at.
inline void refuse_unfit_format(const TrainOptions& o) {
  const AnswerFormat format = answer_format(o.answer_format);
  const std::string start = "--answer-format " + o.answer_format + ": ";
  if (format.place == AnswerPlace::whole && uses(o, "format")) {
    throw BadArgument(start + "there is no format to reward; leave format out of --rewards");
  }
  if (format.place == AnswerPlace::boxed && uses(o, "length") && o.length_shape == LengthChoice::reference) {
    throw BadArgument(start + "--length-shape reference measures a tagged answer or a whole response; choose target");
  }
  if (format.place != AnswerPlace::tags || format.tags.answer == "answer") return;
  for (const char* reward : {"number", "letter", "chrf", "chrf++", "bleu"}) {
    if (uses(o, reward)) {
      throw BadArgument(start + "the " + reward + " reward finds answers in <answer> tags and in \\boxed{} alone");
    }
  }
}

/// What to say of rewards that look into tags which a chat model is never asked for; empty: nothing. Such a model
/// seldom writes them by itself, and then these rewards are the same for every response.
inline std::string unasked_tags(const TrainOptions& o, bool chats, std::span<const Prompt> prompts) {
  const AnswerFormat format = answer_format(o.answer_format);
  if (!chats || o.answer_format != "prompts") return "";
  std::string rewards;
  for (const char* reward : {"perplexity", "format", "exact_match", "length"}) {
    const bool looks = std::string_view(reward) != "length" || o.length_shape == LengthChoice::reference;
    if (looks && uses(o, reward)) rewards += (rewards.empty() ? "" : ", ") + std::string(reward);
  }
  const std::string tag = "<" + format.tags.answer + ">";
  const auto asks = [&](const Prompt& prompt) {
    const auto has = [&](const Message& message) { return message.content.find(tag) != std::string::npos; };
    return prompt.text.find(tag) != std::string::npos ||
           std::any_of(prompt.messages.begin(), prompt.messages.end(), has);
  };
  if (rewards.empty() || o.model_options.system.find(tag) != std::string::npos ||
      std::any_of(prompts.begin(), prompts.end(), asks)) {
    return "";
  }
  return "no prompt asks for " + tag + " tags, and rewards that look into them are chosen (" + rewards +
         "); a response without tags gets their lowest value. --answer-format none takes the whole response as the "
         "answer, think_answer asks for tags";
}

/// @throws BadArgument for a chosen reward that needs references where no prompt has one.
inline void refuse_idle_rewards(const TrainOptions& o, std::span<const Prompt> prompts) {
  const auto has_reference = [](const Prompt& prompt) { return !prompt.reference.empty(); };
  if (std::any_of(prompts.begin(), prompts.end(), has_reference)) return;
  const std::string why = " compares with references, and no prompt has one; ";
  for (const char* reward : {"perplexity", "exact_match", "number", "letter", "chrf", "chrf++", "bleu"}) {
    if (uses(o, reward))
      throw BadArgument("the " + std::string(reward) + " reward" + why + "leave it out of --rewards");
  }
  if (uses(o, "length") && o.length_shape == LengthChoice::reference) {
    throw BadArgument("--length-shape reference" + why + "choose overlong or target");
  }
}

}  // namespace maestro::examples
