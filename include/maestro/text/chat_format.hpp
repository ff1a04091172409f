#pragma once

/// @file
/// The chat formats: how a conversation becomes the text that an instruction-tuned model was trained on.

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

/// Which chat template is written.
enum class ChatKind : std::uint8_t {
  none,      ///< the text as it is; no conversation
  chatml,    ///< <|im_start|>role ... <|im_end|>, no default system message (also Qwen3's Instruct-2507)
  qwen2_5,   ///< chatml with Qwen2.5-Instruct's default system message
  qwen3,     ///< chatml with thinking: `<think>` parts of earlier answers are left out
  smollm2,   ///< chatml with SmolLM2-Instruct's default system message
  llama3,    ///< Llama 3 Instruct (3.0): <|start_header_id|>role<|end_header_id|> ... <|eot_id|>
  llama3_1,  ///< Llama 3.1, 3.2 and 3.3 Instruct: always a system block, which begins with two dates
};

/// Whether a Qwen3 model may think before it answers (the original's `enable_thinking`).
enum class Thinking : std::uint8_t {
  on,   ///< the model decides; the generation prompt is as ever
  off,  ///< the generation prompt ends with an empty `<think>` block
};

/// A chat format with its options; the defaults are those of the original template.
struct ChatFormat {
  ChatKind kind = ChatKind::none;
  Thinking thinking = Thinking::on;  ///< qwen3 only
  /// The system message of a conversation that has none. Not set: the original's; empty: none.
  std::optional<std::string> default_system{};
  /// llama3_1: the "Today Date". 3.1's template writes this one; 3.2's writes the day of the run, which a run that
  /// shall be repeated must not: set it to a day of your choice, as "26 Jul 2024".
  std::string date = "26 Jul 2024";

  friend bool operator==(const ChatFormat&, const ChatFormat&) = default;
};

namespace detail {

struct ChatName {
  std::string_view name;
  ChatKind kind;
};

/// The first name of a kind is the one it is shown by.
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

/// The name of a kind, as chat_format_from_name reads it.
inline std::string_view name_of(ChatKind kind) {
  for (const detail::ChatName& entry : detail::chat_names) {
    if (entry.kind == kind) return entry.name;
  }
  return "?";
}

/// All names that chat_format_from_name reads, for messages and help texts: "none, chatml, ...".
inline std::string chat_format_names() {
  std::string list;
  for (const detail::ChatName& entry : detail::chat_names) {
    if (!list.empty()) list += ", ";
    list += entry.name;
  }
  return list;
}

/// The chat format of a name, with the original's defaults.
/// @throws BadArgument naming the names there are.
inline ChatFormat chat_format_from_name(std::string_view name) {
  for (const detail::ChatName& entry : detail::chat_names) {
    if (entry.name == name) return {.kind = entry.kind};
  }
  throw BadArgument("there is no chat format '" + replace_invalid_utf8(name) + "'; the names are " +
                    chat_format_names());
}

/// The system message that a format writes when a conversation has none; empty if it writes none.
/// Source: the models' chat templates.
inline std::string_view default_system(const ChatFormat& format) {
  if (format.default_system) return *format.default_system;
  if (format.kind == ChatKind::qwen2_5) return "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";
  if (format.kind == ChatKind::smollm2) return "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
  return {};
}

/// The special token that ends a turn, and with it a response; empty if there is none.
inline std::string_view turn_end(ChatKind kind) {
  if (kind == ChatKind::none) return {};
  return kind == ChatKind::llama3 || kind == ChatKind::llama3_1 ? "<|eot_id|>" : "<|im_end|>";
}

}  // namespace maestro
