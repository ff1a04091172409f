#pragma once

/// @file
/// Conversations as the pieces of a chat format: special tokens, and the texts between them.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/utf8.hpp"
#include "maestro/text/white_space.hpp"

namespace maestro {

/// GenerationPrompt says whether the beginning of the assistant's next turn follows the messages, for a model to
/// continue.
enum class GenerationPrompt : std::uint8_t { omit, add };

/// ChatPiece is one special token, by name, or one text. Two texts never follow each other.
struct ChatPiece {
  enum class Kind : std::uint8_t { special, text };
  Kind kind = Kind::text;
  std::string text;

  friend bool operator==(const ChatPiece&, const ChatPiece&) = default;
};

/// Chat is a rendered conversation.
struct Chat {
  std::vector<ChatPiece> pieces;
  /// The index in `pieces` of the text that holds the last message's content. If the last message is the assistant's,
  /// the pieces before it depend on the roles and on the earlier messages, but not on this content.
  std::size_t last_content = 0;
};

namespace detail {

/// ChatWriter collects pieces, and joins consecutive texts.
class ChatWriter {
 public:
  void special(std::string_view name) { chat_.pieces.push_back({ChatPiece::Kind::special, std::string(name)}); }
  void text(std::string_view text) {
    if (chat_.pieces.empty() || chat_.pieces.back().kind == ChatPiece::Kind::special) {
      chat_.pieces.push_back({ChatPiece::Kind::text, {}});
    }
    chat_.pieces.back().text += text;
  }
  /// Marks the last piece as the one with the content of the last message so far.
  void mark_content() { chat_.last_content = chat_.pieces.size() - 1; }
  Chat take() { return std::move(chat_); }

 private:
  Chat chat_;
};

inline void check_roles(std::span<const Message> messages) {
  require(!messages.empty(), "chat format: a conversation needs at least one message");
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role == "system" || role == "user" || role == "assistant") continue;
    throw Unsupported("chat format: message " + std::to_string(i + 1) + " has the role '" + replace_invalid_utf8(role) +
                      "'; only system, user and assistant are implemented (no tools)");
  }
}

/// ThinkingParts holds the parts of a qwen3 answer, as the original template splits it.
struct ThinkingParts {
  std::string_view reasoning;
  std::string_view answer;
};

inline ThinkingParts thinking_parts(std::string_view content) {
  constexpr std::string_view open = "<think>";
  constexpr std::string_view close = "</think>";
  const std::size_t first = content.find(close);
  if (first == std::string_view::npos) return {{}, content};
  std::string_view reasoning = without_trailing(content.substr(0, first), '\n');
  const std::size_t begin = reasoning.rfind(open);
  if (begin != std::string_view::npos) reasoning.remove_prefix(begin + open.size());
  return {without_leading(reasoning, '\n'), without_leading(content.substr(content.rfind(close) + close.size()), '\n')};
}

/// Gives the index of the last message of a user that is not the result of a tool, or of the last message if there is
/// none.
inline std::size_t last_query(std::span<const Message> messages) {
  for (std::size_t i = messages.size(); i-- > 0;) {
    const std::string_view content = messages[i].content;
    const bool tool = content.starts_with("<tool_response>") && content.ends_with("</tool_response>");
    if (messages[i].role == "user" && !tool) return i;
  }
  return messages.size() - 1;
}

inline void write_chatml_turn(ChatWriter& out, const Message& message) {
  out.special("<|im_start|>");
  out.text(message.role);
  out.text("\n");
  out.text(message.content);
  out.mark_content();
  out.special("<|im_end|>");
  out.text("\n");
}

/// Writes an answer of qwen3. Answers after the last question keep their reasoning; earlier ones lose it.
inline void write_thinking_turn(ChatWriter& out, const Message& message, bool after_query, bool last) {
  const ThinkingParts parts = thinking_parts(message.content);
  out.special("<|im_start|>");
  out.text("assistant\n");
  if (after_query && (last || !parts.reasoning.empty())) {
    out.text("<think>\n");
    out.text(without_trailing(without_leading(parts.reasoning, '\n'), '\n'));
    out.text("\n</think>\n\n");
    out.text(without_leading(parts.answer, '\n'));
  } else {
    out.text(parts.answer);
  }
  out.mark_content();
  out.special("<|im_end|>");
  out.text("\n");
}

inline void write_chatml(ChatWriter& out, const ChatFormat& format, std::span<const Message> messages,
                         GenerationPrompt generation) {
  const bool thinks = format.kind == ChatKind::qwen3;
  const std::size_t query = last_query(messages);
  if (messages.front().role != "system" && !default_system(format).empty()) {
    write_chatml_turn(out, {"system", std::string(default_system(format))});
  }
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (thinks && messages[i].role == "assistant") {
      write_thinking_turn(out, messages[i], i > query, i + 1 == messages.size());
    } else {
      write_chatml_turn(out, messages[i]);
    }
  }
  if (generation == GenerationPrompt::omit) return;
  out.special("<|im_start|>");
  out.text("assistant\n");
  if (format.thinking == Thinking::off) out.text("<think>\n\n</think>\n\n");
}

inline void write_llama_header(ChatWriter& out, std::string_view role) {
  out.special("<|start_header_id|>");
  out.text(role);
  out.special("<|end_header_id|>");
  out.text("\n\n");
}

inline void write_llama(ChatWriter& out, const ChatFormat& format, std::span<const Message> messages,
                        GenerationPrompt generation) {
  out.special("<|begin_of_text|>");
  const bool dated = format.kind == ChatKind::llama3_1;
  std::string_view system = default_system(format);
  const bool own_system = messages.front().role == "system";
  if (own_system) system = without_white_space(messages.front().content);
  if (dated || own_system || !system.empty()) {
    write_llama_header(out, "system");
    if (dated) out.text("Cutting Knowledge Date: December 2023\nToday Date: " + format.date + "\n\n");
    out.text(system);
    out.mark_content();
    out.special("<|eot_id|>");
  }
  for (const Message& message : messages.subspan(own_system ? 1 : 0)) {
    write_llama_header(out, message.role);
    out.text(without_white_space(message.content));
    out.mark_content();
    out.special("<|eot_id|>");
  }
  if (generation == GenerationPrompt::add) write_llama_header(out, "assistant");
}

}  // namespace detail

/// Renders a conversation in a named chat format, as the original template does without tools.
/// @throws BadArgument for ChatKind::none and ChatKind::own, for no messages, or for an option that the format does not
///         have; Unsupported naming a role other than system, user and assistant.
///
/// Source: the chat templates of Qwen2.5-Instruct, Qwen3, SmolLM2-Instruct and Llama 3, 3.1 and 3.2 Instruct.
inline Chat chat_pieces(const ChatFormat& format, std::span<const Message> messages, GenerationPrompt generation) {
  require(format.kind != ChatKind::none, "chat format: a conversation needs a chat format other than none");
  require(format.kind != ChatKind::own, "chat format: a template of its own needs a tokenizer that knows its tokens");
  require(format.thinking != Thinking::off || format.kind == ChatKind::qwen3,
          "chat format: thinking can only be switched off for qwen3 and for templates");
  detail::check_roles(messages);
  detail::ChatWriter out;
  if (format.kind == ChatKind::llama3 || format.kind == ChatKind::llama3_1) {
    detail::write_llama(out, format, messages, generation);
  } else {
    detail::write_chatml(out, format, messages, generation);
  }
  return out.take();
}

}  // namespace maestro
