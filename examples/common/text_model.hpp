#pragma once

/// @file
/// Models as `train` and `generate` take them: a folder in Hugging Face's layout, with its tokenizer and chat format.

#include <string>

#include "common/types.hpp"
#include "maestro/hub/chat_template_file.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/any_tokenizer.hpp"
#include "maestro/text/chat_format.hpp"

namespace maestro::examples {

using TextTokenizer = AnyTokenizer;

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

}  // namespace maestro::examples
