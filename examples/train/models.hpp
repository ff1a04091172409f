#pragma once

/// @file
/// The models of a training run: the policy in the form that the options ask for, the reward model, and what both need.

#include <cstddef>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/text_model.hpp"
#include "maestro/hub/folder_texts.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/classifier.hpp"
#include "maestro/policy/memory_estimate.hpp"
#include "maestro/policy/prompt_tokens.hpp"
#include "train/options.hpp"

namespace maestro::examples {

using TextPreferences = RewardModel<float, Backend, TextTokenizer>;

/// What is known of --model before its weights are read.
struct PolicyPlan : FolderPolicyParts {
  explicit PolicyPlan(const TrainOptions& o);

  /// Tokens of each prompt, the longest first.
  std::vector<std::size_t> lengths(std::span<const Prompt> prompts) const;

  /// Leaves prompts of too many tokens out where --on-long-prompt says so; how many.
  /// @throws BadArgument for the first of them otherwise, and where no prompt is left.
  std::size_t leave_out_long(const TrainOptions& o, std::vector<Prompt>& prompts) const;

  std::shared_ptr<PromptTokens> prompt_tokens = std::make_shared<PromptTokens>();  ///< of the policy too
};

/// The adapters' options: those of --adapter where it is given.
LoraOptions lora_options(const TrainOptions& o);

/// Reads --model, and --adapter or fresh adapters where P trains them.
template <class P>
P load_policy(const TrainOptions& o, const PolicyPlan& plan) {
  using Weights = typename P::weights_type;
  if constexpr (std::is_same_v<Weights, ModelWeights<float>>) {
    return P(load_model<float>(o.model), plan.tokenizer, plan.options, plan.prompt_tokens);
  } else {
    auto base = load_frozen<float>(o.model, o.model_options.frozen);
    if (!o.model_options.adapter.empty()) {
      auto factors = load_adapters<float>(o.model_options.adapter, base->config());
      return P(Weights(std::move(base), std::move(factors)), plan.tokenizer, plan.options, plan.prompt_tokens);
    }
    return P(Weights(std::move(base), o.model_options.lora, o.trainer.seed), plan.tokenizer, plan.options,
             plan.prompt_tokens);
  }
}

/// Parameters that are trained.
template <class P>
std::size_t trained_parameters(P& policy) {
  std::size_t count = 0;
  policy.visit([&](const auto& parameter) { count += parameter.values.size(); });
  return count;
}

/// The type of the saved model's tensors.
StoreAs store_as(const TrainOptions& o);

/// Leaves the trained model in the output folder, adapters in PEFT's layout.
template <class P>
void save_result(const TrainOptions& o, const P& policy, const FolderTexts& texts) {
  const SaveOptions options{.store = store_as(o), .texts = texts, .stop_tokens = policy.stop_tokens()};
  if constexpr (std::is_same_v<typename P::weights_type, ModelWeights<float>>) {
    save_model(o.output + "/model", policy.weights(), policy.tokenizer(), options);
  } else {
    save_adapters(o.output + "/adapter", policy.weights().factors(), o.model, o.model_options.adapter_files);
    std::cout << "the adapters are in " << o.output << "/adapter\n";
    if (o.model_options.merge == MergeAdapters::no) return;
    save_model(o.output + "/model", policy.weights().merged(), policy.tokenizer(), options);
  }
  std::cout << "the trained model is in " << o.output << "/model\n";
}

/// The model of the preference reward.
/// @throws BadArgument where --reward-model is missing, and as load_classifier and load_any_tokenizer.
TextPreferences load_preferences(const TrainOptions& o);

/// Refuses the toy reward model, which judges bytes, for a policy that writes anything else: it was made for the small
/// base model alone, and its scores of other texts mean nothing. Refuses a head of several labels of which none is
/// chosen.
/// @throws BadArgument, and as classifier_label.
void check_reward_model(const TrainOptions& o, const PolicyPlan& plan);

/// What the run takes at most, its rewards' models included.
/// @param reference_tokens  of supervised training: those of a step's prompts and references at most; 0: responses are
///                          drawn
MemoryEstimate estimate(const TrainOptions& o, const PolicyPlan& plan, std::span<const Prompt> prompts,
                        std::size_t reference_tokens = 0);

/// @throws BadArgument with the arithmetic where the estimate is above what is available and --memory-check refuses.
void check_memory(const TrainOptions& o, const MemoryEstimate& estimate, std::size_t on_machine = 1);

}  // namespace maestro::examples
