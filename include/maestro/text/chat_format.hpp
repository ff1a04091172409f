#pragma once

/// @file
/// The chat formats, in which a conversation becomes the text that an instruction-tuned model was trained on.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

class ChatTemplate;

/// ChatKind is a chat template.
enum class ChatKind : std::uint8_t {
  none,      ///< the plain text, without conversation
  chatml,    ///< <|im_start|>role ... <|im_end|>, no default system message (also Qwen3's Instruct-2507)
  qwen2_5,   ///< chatml with Qwen2.5-Instruct's default system message
  qwen3,     ///< chatml with thinking: `<think>` parts of earlier answers are left out
  smollm2,   ///< chatml with SmolLM2-Instruct's default system message
  llama3,    ///< Llama 3 Instruct (3.0): <|start_header_id|>role<|end_header_id|> ... <|eot_id|>
  llama3_1,  ///< Llama 3.1, 3.2 and 3.3 Instruct: always a system block, which begins with two dates
  own,       ///< a model's own template (ChatFormat::chat_template), evaluated
};

/// Thinking says whether a model may think before it answers. It sets the template's variable `enable_thinking`.
enum class Thinking : std::uint8_t {
  by_template,  ///< qwen3: as on; a template: the variable is not set
  on,           ///< qwen3: the model decides; a template: true
  off,          ///< qwen3: the generation prompt ends with an empty `<think>` block; a template: false
};

/// ChatFormat is a chat format with its options. The defaults are those of the original template.
struct ChatFormat {
  ChatKind kind = ChatKind::none;
  Thinking thinking = Thinking::by_template;  ///< qwen3 and templates that read `enable_thinking`
  /// The system message of a conversation without one. If it is not set, it is that of the original. If it is empty,
  /// there is none, but ChatKind::own gets a system message without text.
  std::optional<std::string> default_system{};
  /// The day that is written as today, as "26 Jul 2024": llama3_1's "Today Date", and strftime_now of ChatKind::own.
  /// The originals write the day of the run, which would make runs unrepeatable.
  std::string date = "26 Jul 2024";
  /// The template for ChatKind::own. Formats are equal only if they share one template object.
  std::shared_ptr<const ChatTemplate> chat_template{};

  friend bool operator==(const ChatFormat&, const ChatFormat&) = default;
};

namespace detail {

struct ChatName {
  std::string_view name;
  ChatKind kind;
};

/// The names of the kinds. The first name of a kind is the one that is shown.
inline constexpr std::array<ChatName, 9> chat_names{{{"none", ChatKind::none},
                                                     {"chatml", ChatKind::chatml},
                                                     {"qwen2.5", ChatKind::qwen2_5},
                                                     {"qwen3", ChatKind::qwen3},
                                                     {"smollm2", ChatKind::smollm2},
                                                     {"llama3", ChatKind::llama3},
                                                     {"llama3.1", ChatKind::llama3_1},
                                                     {"llama3.2", ChatKind::llama3_1},
                                                     {"llama3.3", ChatKind::llama3_1}}};

}  // namespace detail

/// Gives the name of a kind, as chat_format_from_name reads it.
inline std::string_view name_of(ChatKind kind) {
  if (kind == ChatKind::own) return "own template";
  for (const detail::ChatName& entry : detail::chat_names) {
    if (entry.kind == kind) return entry.name;
  }
  return "?";
}

/// Gives all names that chat_format_from_name reads, as "none, chatml, ...", for messages and help texts.
inline std::string chat_format_names() {
  std::string list;
  for (const detail::ChatName& entry : detail::chat_names) {
    if (!list.empty()) list += ", ";
    list += entry.name;
  }
  return list;
}

/// Gives the chat format of a name, with the original's defaults.
/// @throws BadArgument listing the names.
inline ChatFormat chat_format_from_name(std::string_view name) {
  for (const detail::ChatName& entry : detail::chat_names) {
    if (entry.name == name) return {.kind = entry.kind};
  }
  throw BadArgument("there is no chat format '" + replace_invalid_utf8(name) + "'; the names are " +
                    chat_format_names());
}

/// Gives the system message that a format writes if a conversation has none; empty if it writes none. Source: the
/// models' chat templates.
inline std::string_view default_system(const ChatFormat& format) {
  if (format.default_system) return *format.default_system;
  if (format.kind == ChatKind::qwen2_5) return "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
  if (format.kind == ChatKind::smollm2) return "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
  return {};
}

/// Gives the special token that ends a turn, and with it a response. It is empty if there is none, and for
/// ChatKind::own, whose token turn_end_token finds.
inline std::string_view turn_end(ChatKind kind) {
  if (kind == ChatKind::none || kind == ChatKind::own) return {};
  return kind == ChatKind::llama3 || kind == ChatKind::llama3_1 ? "<|eot_id|>" : "<|im_end|>";
}

}  // namespace maestro
