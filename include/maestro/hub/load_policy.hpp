#pragma once

/// @file
/// Loading a model folder in Hugging Face's layout, or a GGUF file, as a policy.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "maestro/gemm/native.hpp"
#include "maestro/hub/chat_template_file.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/frozen_files.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/hub/tokenizer_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/frozen_weights.hpp"
#include "maestro/model/lm_head.hpp"
#include "maestro/model/lora.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/generation.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/any_tokenizer.hpp"
#include "maestro/text/chat_format.hpp"

namespace maestro {

/// FolderPolicyOptions overrides settings of the folder. A setting that is not set is the folder's.
struct FolderPolicyOptions {
  std::optional<ChatFormat> chat{};  ///< if not set, that of the folder's template (detect_chat_format)
  /// If not set, the begin token is first if the tokenizer's own post-processor puts it before a text.
  std::optional<PromptStart> prompt_start{};
  Activations activations = Activations::keep;
  LmHeadOptions head{};
  GenerationOptions generation{};
};

/// LoraPolicyOptions selects new LoRA adapters, which are trained while the folder's weights stay frozen.
struct LoraPolicyOptions {
  LoraOptions lora{};
  std::uint64_t seed = 0;  ///< of the adapters' initial values
  FrozenStore store = FrozenStore::automatic;
  FolderPolicyOptions policy{};
};

/// AdapterPolicyOptions selects adapters that were trained before, with the folder's frozen weights.
struct AdapterPolicyOptions {
  std::string adapter{};  ///< a folder in PEFT's layout; empty for the frozen weights only, with nothing to train
  FrozenStore store = FrozenStore::automatic;
  FolderPolicyOptions policy{};
};

/// FolderPolicyParts holds all parts of a folder's policy except its weights.
struct FolderPolicyParts {
  ModelConfig config;  ///< with the stop tokens of generation_config.json
  AnyTokenizer tokenizer;
  TransformerPolicyOptions options;
  FolderTexts texts{};  ///< for SaveOptions, so that a trained model is saved with the checkpoint's own settings
};

/// Reads the parts of a folder's policy without the weights.
/// @throws IoError, BadFile or Unsupported as load_model_config, load_any_tokenizer and detect_chat_format.
inline FolderPolicyParts load_policy_parts(const std::string& folder, const FolderPolicyOptions& options = {}) {
  ModelConfig config = load_model_config(folder);
  AnyTokenizer tokenizer = load_any_tokenizer(folder, config.end_tokens);
  const bool begins = tokenizer.begin_token().has_value();
  const TransformerPolicyOptions read{
      .prompt_start = options.prompt_start.value_or(begins ? PromptStart::begin_token : PromptStart::text),
      .activations = options.activations,
      .head = options.head,
      .generation = options.generation,
      .chat = options.chat ? *options.chat : detect_chat_format(folder)};
  return {std::move(config), std::move(tokenizer), read, read_folder_texts(folder)};
}

/// Reads a folder as a policy in which every parameter is trained:
///
///     auto policy = load_policy("examples/models/base");
///
/// Configuration, weights, tokenizer, chat format, prompt start and stop tokens are those of the folder or GGUF file.
/// Byte-level BPE tokenizers need maestro::tokenizers; see load_any_tokenizer.
/// @throws IoError; BadFile naming file and field or tensor; Unsupported naming what is not implemented; BadArgument if
///         the parts do not belong together.
template <class T = float, class Backend = NativeBackend>
TransformerPolicy<T, Backend, AnyTokenizer> load_policy(const std::string& folder,
                                                        const FolderPolicyOptions& options = {}) {
  FolderPolicyParts parts = load_policy_parts(folder, options);
  return {load_model<T>(folder), std::move(parts.tokenizer), parts.options};
}

/// Reads a folder as a policy that trains new LoRA adapters of frozen weights:
///
///     auto policy = load_policy("path/to/Qwen2.5-0.5B-Instruct", {.lora = {.rank = 16}});
///
/// Weights that are quantized in a GGUF file stay so, and weights in bfloat16 stay in bfloat16
/// (LoraPolicyOptions::store).
/// @throws what the overload that trains every parameter throws; BadArgument for LoRA options outside their domains.
template <class T = float>
TransformerPolicy<T, NativeBackend, AnyTokenizer, LoraModel<T>> load_policy(const std::string& folder,
                                                                            const LoraPolicyOptions& options) {
  check(options.lora);
  FolderPolicyParts parts = load_policy_parts(folder, options.policy);
  return {LoraModel<T>(load_frozen<T>(folder, options.store), options.lora, options.seed), std::move(parts.tokenizer),
          parts.options};
}

/// Reads a folder as a policy of frozen weights with the adapters of another folder:
///
///     auto policy = load_policy("path/to/Qwen2.5-0.5B-Instruct", {.adapter = "runs/real/adapter"});
///
/// @throws what the overload that trains every parameter throws; what load_adapters throws.
template <class T = float>
TransformerPolicy<T, NativeBackend, AnyTokenizer, LoraModel<T>> load_policy(const std::string& folder,
                                                                            const AdapterPolicyOptions& options) {
  FolderPolicyParts parts = load_policy_parts(folder, options.policy);
  std::shared_ptr<const FrozenWeights<T>> base = load_frozen<T>(folder, options.store);
  LoraFactors<T> factors =
      options.adapter.empty() ? LoraFactors<T>(parts.config) : load_adapters<T>(options.adapter, parts.config);
  return {LoraModel<T>(std::move(base), std::move(factors)), std::move(parts.tokenizer), parts.options};
}

}  // namespace maestro
