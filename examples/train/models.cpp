#include "train/models.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/reward/proxy_scorer.hpp"
#include "maestro/tokenizers.hpp"
#include "train/run_rewards.hpp"

namespace maestro::examples {

namespace {

/// ProxyOptions' and RewardModelOptions' micro_batch_tokens, which the run leaves as they are.
constexpr std::uint64_t reward_pass_tokens = 16384;
static_assert(ProxyOptions{}.micro_batch_tokens == reward_pass_tokens);

ChatChoice chat_choice(const TrainOptions& o) {
  const ModelOptions& m = o.model_options;
  return {.format = m.chat_format,
          .source = {.file = m.chat_template, .variables = m.template_variables},
          .thinking = m.thinking,
          .system = m.system,
          .date = m.date};
}

}  // namespace

PolicyPlan::PolicyPlan(const TrainOptions& o)
    : FolderPolicyParts(load_policy_parts(
          o.model, {.chat = chat_format_of(o.model, chat_choice(o)), .activations = o.model_options.activations})) {}

std::vector<std::size_t> PolicyPlan::lengths(std::span<const Prompt> prompts) const {
  std::vector<std::size_t> lengths;
  const auto encode = [&](const Prompt& prompt) { return encode_prompt(tokenizer, config, options, prompt); };
  for (const Prompt& prompt : prompts) lengths.push_back(prompt_tokens->get(prompt, encode).size());
  std::sort(lengths.rbegin(), lengths.rend());
  return lengths;
}

std::size_t PolicyPlan::leave_out_long(const TrainOptions& o, std::vector<Prompt>& prompts) const {
  const std::size_t completion = o.trainer.sampling.max_completion_length;
  std::size_t most = config.max_positions > completion ? config.max_positions - completion : 0;
  if (o.model_options.max_prompt_length > 0) most = std::min(most, o.model_options.max_prompt_length);
  const auto encode = [&](const Prompt& prompt) { return encode_prompt(tokenizer, config, options, prompt); };
  const auto is_long = [&](const Prompt& prompt) {
    const std::size_t tokens = prompt_tokens->get(prompt, encode).size();
    if (tokens <= most) return false;
    if (o.model_options.on_long_prompt == OnBadLine::skip) return true;
    throw BadArgument("the prompt of data row " + std::to_string(prompt.row) + " has " + std::to_string(tokens) +
                      " tokens, more than the " + std::to_string(most) + " that --max-prompt-length and the model's " +
                      std::to_string(config.max_positions) + " positions allow beside --max-completion-length " +
                      std::to_string(completion) + "; --on-long-prompt skip leaves such prompts out");
  };
  const std::size_t left_out = std::erase_if(prompts, is_long);
  if (prompts.empty()) {
    throw BadArgument("every prompt has more than " + std::to_string(most) +
                      " tokens; raise --max-prompt-length or shorten --max-completion-length");
  }
  for (std::size_t i = 0; i < prompts.size(); ++i) prompts[i].row = static_cast<std::int64_t>(i);
  return left_out;
}

StoreAs store_as(const TrainOptions& o) {
  const ModelOptions& m = o.model_options;
  if (m.save_as != SaveType::automatic) return m.save_as == SaveType::bfloat16 ? StoreAs::bf16 : StoreAs::f32;
  return m.trains_adapters() && stores_bf16(o.model) ? StoreAs::bf16 : StoreAs::f32;
}

LoraOptions lora_options(const TrainOptions& o) {
  return o.model_options.adapter.empty() ? o.model_options.lora : load_adapter_config(o.model_options.adapter);
}

TextPreferences load_preferences(const TrainOptions& o) {
  if (o.reward_model.empty()) {
    throw BadArgument("--rewards has preference, which needs --reward-model DIR; give one, or leave preference out");
  }
  auto weights = load_classifier<float>(o.reward_model, o.reward_label);
  TextTokenizer tokenizer = load_any_tokenizer(o.reward_model, weights.backbone.config().end_tokens);
  RewardModelOptions options;
  options.chat = chat_format_of(o.reward_model, {.format = o.model_options.reward_chat_format});
  options.pad_token = classifier_pad_token(o.reward_model);
  return TextPreferences(std::move(weights.backbone), std::move(weights.score), std::move(tokenizer), options);
}

void check_reward_model(const TrainOptions& o, const PolicyPlan& plan) {
  if (!uses(o, "preference") || o.reward_model.empty()) return;
  try {
    classifier_label(o.reward_model, o.reward_label);
  } catch (const BadArgument& error) {
    throw BadArgument(std::string("--reward-label: ") + error.what());
  }
  if (plan.tokenizer.get_if<Tokenizer>() != nullptr) return;
  const TextTokenizer judge = load_any_tokenizer(o.reward_model, load_classifier_config(o.reward_model).end_tokens);
  if (judge.get_if<Tokenizer>() == nullptr) return;
  throw BadArgument("--reward-model " + o.reward_model + " is a byte-level toy for examples/models/base" +
                    ", and its scores of " + o.model +
                    "'s responses would mean nothing; give the folder of a real reward model, or leave preference out "
                    "of --rewards");
}

MemoryEstimate estimate(const TrainOptions& o, const PolicyPlan& plan, std::span<const Prompt> prompts,
                        std::size_t reference_tokens) {
  const TrainerOptions& t = o.trainer;
  const LoraOptions lora = lora_options(o);
  const std::vector<std::size_t> lengths = plan.lengths(prompts);
  const auto step = static_cast<std::ptrdiff_t>(std::min(t.prompts_per_step, lengths.size()));
  const bool several = t.num_iterations > 1 || t.num_minibatches > 1;
  const bool evaluated = reference_tokens > 0 && !o.eval_prompts.empty();
  MemoryRequest request{.copies = (t.objective.beta != 0.0 ? 1u : 0u) + (uses(o, "perplexity") ? 1u : 0u),
                        .kept_gradients = o.conductor == "gradient_guided" ? run_rewards(o).size() : 0u,
                        .activations = o.model_options.activations,
                        .responses = reference_tokens > 0 ? ResponseSource::references : ResponseSource::rollouts,
                        .scores_itself = several || evaluated ? ScoresItself::yes : ScoresItself::no,
                        .prompts = t.prompts_per_step,
                        .generations = t.sampling.num_generations,
                        .prompt_tokens = lengths.front(),
                        .completion_tokens = t.sampling.max_completion_length,
                        .micro_batch_tokens = t.micro_batch_tokens,
                        .step_prompt_tokens = std::accumulate(lengths.begin(), lengths.begin() + step, std::size_t{0}),
                        .step_tokens = reference_tokens};
  if (o.model_options.trains_adapters()) {
    request.lora = &lora;
    request.frozen = frozen_matrix_bytes(o.model, plan.config, frozen_store(o.model, o.model_options.frozen));
  }
  MemoryEstimate estimate = estimate_memory(plan.config, request);
  if (o.model_options.trains_adapters() && o.model_options.merge == MergeAdapters::yes) {
    estimate.parts.push_back({"merged model, at the end", model_bytes(plan.config)});
  }
  // Rewards score many groups in one pass.
  const std::uint64_t group = request.prompt_tokens + request.generations * request.completion_tokens;
  const std::uint64_t rows = std::min(std::max<std::uint64_t>(reward_pass_tokens, group), request.prompts * group);
  if (uses(o, "perplexity")) {
    estimate.parts.push_back({"pass of the proxy", scoring_bytes(plan.config, rows)});
  }
  if (uses(o, "preference") && !o.reward_model.empty()) {
    std::uint64_t bytes = 0;
    const CheckpointFiles files = CheckpointFiles::of_folder(o.reward_model);
    for (const TensorInfo* tensor : files.tensors()) bytes += tensor->count * sizeof(float);
    estimate.parts.push_back({"reward model", bytes});
    const ModelConfig config = load_classifier_config(o.reward_model);
    estimate.parts.push_back({"pass of the reward model", scoring_bytes(config, rows)});
  }
  return estimate;
}

void check_memory(const TrainOptions& o, const MemoryEstimate& estimate, std::size_t on_machine) {
  std::string text = "memory     at most " + memory_text(estimate.total());
  if (on_machine > 1) text += " for each of the " + std::to_string(on_machine) + " ranks on this machine";
  const std::optional<std::uint64_t> available = available_memory();
  if (available) text += " of " + memory_text(*available) + " available";
  text += ":";
  for (const MemoryPart& part : estimate.parts) text += "\n             " + memory_text(part.bytes) + "  " + part.name;
  if (!available || estimate.total() * on_machine <= *available || o.model_options.memory == MemoryCheck::warn) {
    std::cout << text << '\n';
    return;
  }
  throw BadArgument("the run may not fit into memory\n" + text +
                    "\nless is taken with --lora-rank, --frozen-dtype bfloat16 or quantized, --activations recompute, "
                    "--beta 0, fewer "
                    "or shorter responses, --merge-adapters no; --memory-check warn tries nonetheless");
}

}  // namespace maestro::examples
