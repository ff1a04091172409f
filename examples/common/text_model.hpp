#pragma once

/// @file
/// Models as `train` and `generate` take them: a folder in Hugging Face's layout or a GGUF file,
/// with its tokenizer and chat format.

#include <cstddef>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "common/types.hpp"
#include "maestro/hub/chat_template_file.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/load_policy.hpp"
#include "maestro/hub/lora_files.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/any_tokenizer.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_template.hpp"

namespace maestro::examples {

using TextTokenizer = AnyTokenizer;

/// Every parameter is trained.
using FullPolicy = TransformerPolicy<float, Backend, TextTokenizer>;
/// Adapters are trained beside a frozen base.
using AdapterPolicy = TransformerPolicy<float, NativeBackend, TextTokenizer, LoraModel<float>>;

/// How conversations are written, as a command line says it.
struct ChatChoice {
  std::string format = "auto";  ///< a name, or "auto": the template of the source or folder
  ChatTemplateSource source{};
  Thinking thinking = Thinking::by_template;
  std::string thinking_option = "--thinking";  ///< its name on the command line
  std::string system{};                  ///< of conversations that have no system message; empty: the format's own
  std::string date = ChatFormat{}.date;  ///< the day that is written as today
};

/// Says once which fields of a model's config.json are ignored, since nothing reads them.
inline void say_ignored_fields(const std::string& program, const std::string& folder) {
  const std::vector<std::string> names = load_ignored_config_fields(folder);
  if (names.empty()) return;
  std::cerr << program << ": " << folder
            << ": fields of its configuration that transformers does not know are ignored: ";
  for (std::size_t i = 0; i < names.size(); ++i)
    std::cerr << (i > 0 ? ", " : "") << maestro::detail::quote_text(names[i]);
  std::cerr << '\n';
}

/// Says once what a user should know of adapters.
inline void say_adapter_remarks(const std::string& program, const std::string& folder) {
  if (folder.empty()) return;
  for (const std::string& remark : load_adapter_remarks(folder)) {
    std::cerr << program << ": --adapter " << folder << ": " << remark << '\n';
  }
}

/// The chat format of a choice.
/// @throws as chat_format_from_name and detect_chat_format; BadArgument for what has no effect on the format.
inline ChatFormat chat_format_of(const std::string& folder, const ChatChoice& choice) {
  const bool by_template = choice.format == "auto";
  if (!by_template && !choice.source.file.empty()) {
    throw BadArgument("--chat-template has no effect with --chat-format " + choice.format + "; leave one of them out");
  }
  if (!by_template && !choice.source.variables.empty()) {
    throw BadArgument("--template-variables has no effect with --chat-format " + choice.format +
                      ", which is no template");
  }
  ChatFormat format = by_template ? detect_chat_format(folder, choice.source) : chat_format_from_name(choice.format);
  const std::string name(name_of(format.kind));
  const auto mentions = [&](std::string_view word, ChatKind named) {
    return format.kind == ChatKind::own ? format.chat_template->mentions(word) : format.kind == named;
  };
  if (choice.thinking != Thinking::by_template && !mentions("enable_thinking", ChatKind::qwen3)) {
    throw BadArgument(choice.thinking_option + " has no effect with the chat format " + name +
                      (format.kind == ChatKind::own
                           ? ": the template does not read enable_thinking; --template-variables sets what it reads"
                           : ""));
  }
  if (choice.date != ChatFormat{}.date && !mentions("strftime_now", ChatKind::llama3_1)) {
    throw BadArgument("--date has no effect with the chat format " + name + ", which writes no day");
  }
  if (!choice.system.empty()) {
    if (format.kind == ChatKind::none) throw BadArgument("--system needs a chat format, and the model has none");
    format.default_system = choice.system;
  }
  static_cast<void>(parse_day(choice.date));
  format.thinking = choice.thinking;
  format.date = choice.date;
  return format;
}

}  // namespace maestro::examples
