#pragma once

/// @file
/// Models as `train` and `generate` take them: a folder in Hugging Face's layout, with its tokenizer and chat format.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/types.hpp"
#include "maestro/hub/bpe_tokenizer_json.hpp"
#include "maestro/hub/chat_template_file.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/frozen_files.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/chat_format.hpp"

namespace maestro::examples {

using TextTokenizer = BpeTokenizer;

/// Every parameter is trained.
using FullPolicy = TransformerPolicy<float, Backend, TextTokenizer>;
/// Adapters are trained beside a frozen base, stored as S.
template <class S>
using AdapterPolicy = TransformerPolicy<float, NativeBackend, TextTokenizer, LoraModel<float, S>>;

/// A chat format by name; "auto": that of the folder's own template.
/// @throws as chat_format_from_name and detect_chat_format.
inline ChatFormat chat_format_of(const std::string& folder, const std::string& name) {
  return name == "auto" ? detect_chat_format(folder) : chat_format_from_name(name);
}

/// The tokenizer of a folder. Its end token is the folder's own or, where it names none, the first of `config`.
inline TextTokenizer load_text_tokenizer(const std::string& folder, const ModelConfig& config) {
  BpeTokenizerOptions options;
  if (!config.end_tokens.empty()) options.end_id = config.end_tokens.front();
  return load_bpe_tokenizer(folder, options);
}

/// A prompt without a chat format begins as the tokenizer's own template says.
inline PromptStart prompt_start(const TextTokenizer& tokenizer, const ModelConfig& config) {
  return tokenizer.begin_token() && config.begin_token >= 0 ? PromptStart::begin_token : PromptStart::text;
}

}  // namespace maestro::examples
