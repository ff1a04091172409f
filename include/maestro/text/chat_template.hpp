#pragma once

/// @file
/// Recognizing a model's own chat template, without running it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "maestro/core/hash.hpp"
#include "maestro/text/chat_format.hpp"

namespace maestro {

namespace detail {

struct KnownTemplate {
  std::uint64_t hash;  ///< fnv1a of the template, without one line break at its end
  std::size_t size;    ///< its bytes
  ChatKind kind;
};

inline constexpr std::array<KnownTemplate, 8> known_templates{{
    {0xe642ce246d7f2e3du, 2506, ChatKind::qwen2_5},   // Qwen2.5-Instruct
    {0x2bfdb7aa9754484eu, 4116, ChatKind::qwen3},     // Qwen3, first release
    {0x959a4551391a6549u, 4168, ChatKind::qwen3},     // Qwen3, later revision
    {0x3751fe8ea48448abu, 2630, ChatKind::chatml},    // Qwen3-Instruct-2507
    {0x45ec583d4d25bc3au, 368, ChatKind::smollm2},    // SmolLM2-Instruct
    {0x0e60067a5537498eu, 389, ChatKind::llama3},     // Llama 3 Instruct
    {0xcc0368e1ffb6b958u, 4613, ChatKind::llama3_1},  // Llama 3.1 Instruct
    {0x368f4c34b8554414u, 3826, ChatKind::llama3_1},  // Llama 3.2 Instruct
}};

inline bool has_all(std::string_view text, std::initializer_list<std::string_view> marks) {
  for (const std::string_view mark : marks) {
    if (text.find(mark) == std::string_view::npos) return false;
  }
  return true;
}
inline bool has_any(std::string_view text, std::initializer_list<std::string_view> marks) {
  for (const std::string_view mark : marks) {
    if (text.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

/// Takes a line break, real or as the two characters of a Jinja string, off the start of `text`.
inline bool take_line_break(std::string_view& text) {
  const std::size_t size = text.starts_with('\n') ? 1 : text.starts_with("\\n") ? 2 : 0;
  text.remove_prefix(size);
  return size > 0;
}
inline bool at_quote(std::string_view text) { return text.starts_with('\'') || text.starts_with('"'); }

/// Whether every "<|im_start|>assistant" is the whole generation prompt: a line break, and nothing after it.
inline bool plain_generation_prompt(std::string_view text) {
  constexpr std::string_view header = "<|im_start|>assistant";
  bool found = false;
  for (std::size_t at = text.find(header); at != std::string_view::npos; at = text.find(header, at + 1)) {
    std::string_view rest = text.substr(at + header.size());
    if (!take_line_break(rest) || !at_quote(rest)) return false;
    found = true;
  }
  return found;
}

/// The one sentence that a ChatML template writes as its system message by itself; empty if it writes none, nullopt
/// if that cannot be told.
inline std::optional<std::string> own_system_message(std::string_view text) {
  constexpr std::string_view header = "<|im_start|>system";
  std::string sentence;
  for (std::size_t at = text.find(header); at != std::string_view::npos; at = text.find(header, at + 1)) {
    std::string_view rest = text.substr(at + header.size());
    if (!take_line_break(rest)) return std::nullopt;
    if (at_quote(rest)) continue;
    const std::string_view literal = rest.substr(0, rest.find("<|im_end|>"));
    if (literal.size() == rest.size() || literal.empty() || literal.size() > 1000) return std::nullopt;
    if (literal.find_first_of("\\'\"{}\n") != std::string_view::npos) return std::nullopt;
    if (!sentence.empty() && sentence != literal) return std::nullopt;
    sentence = literal;
  }
  return sentence;
}

/// ChatML by marks: its two special tokens, the plain generation prompt, and nothing of what other formats do. With a
/// system sentence of its own it must ask whether the first message is one; without, it must be a mere loop.
inline std::optional<ChatFormat> chatml_by_marks(std::string_view text) {
  if (!plain_generation_prompt(text)) return std::nullopt;
  if (!has_any(text, {"<|im_end|>\\n", "<|im_end|>\n", "<|im_end|>' + '\\n'", "<|im_end|>' + '\n'",
                      "<|im_end|>\" + \"\\n\""})) {
    return std::nullopt;
  }
  if (has_any(text, {"think", "reasoning", "vision", "image", "audio", "trim", "strip", "replace", "bos_token",
                     "eos_token", "raise_exception", "strftime", "date", "generation %}", "loop.last and",
                     "not loop.last", "loop.last %}"})) {
    return std::nullopt;
  }
  const std::optional<std::string> sentence = own_system_message(text);
  if (!sentence) return std::nullopt;
  if (sentence->empty()) {
    if (has_any(text, {"set ", "tools", "<|im_start|>system", "You are"})) return std::nullopt;
    return ChatFormat{.kind = ChatKind::chatml};
  }
  if (!has_any(text, {"messages[0]['role'] == 'system'", "messages[0]['role'] != 'system'",
                      "messages[0].role == 'system'", "messages[0].role != 'system'",
                      "messages[0][\"role\"] == \"system\"", "messages[0][\"role\"] != \"system\""})) {
    return std::nullopt;
  }
  for (const ChatKind kind : {ChatKind::qwen2_5, ChatKind::smollm2}) {
    if (default_system({.kind = kind}) == *sentence) return ChatFormat{.kind = kind};
  }
  return ChatFormat{.kind = ChatKind::chatml, .default_system = sentence};
}

inline bool qwen3_by_marks(std::string_view text) {
  return plain_generation_prompt(text) && own_system_message(text) == std::string() &&
         has_all(text, {"ns.last_query_index", "loop.last or (not loop.last and reasoning_content)", "'</think>' in",
                        "enable_thinking is defined and enable_thinking is false", "'<think>\\n\\n</think>\\n\\n'"}) &&
         !has_any(text, {"vision", "image", "audio", "'<think>\\n'", "generation %}", "trim"});
}

/// Both Llama 3 formats: headers, turn ends, trimmed contents, the generation prompt, and no thinking or images.
inline bool llama_by_marks(std::string_view text) {
  return has_all(text, {"bos_token", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
                        "<|start_header_id|>assistant<|end_header_id|>"}) &&
         has_any(text, {"message['content'] | trim", "message['content']|trim", "message.content | trim",
                        "message.content|trim"}) &&
         !has_any(text, {"think", "reasoning", "image", "<|im_start|>", "You are", "generation %}", "replace"});
}

inline std::optional<ChatFormat> format_by_marks(std::string_view text) {
  if (!has_all(text, {"add_generation_prompt"})) return std::nullopt;
  if (has_all(text, {"<|im_start|>", "<|im_end|>"})) {
    if (qwen3_by_marks(text)) return ChatFormat{.kind = ChatKind::qwen3};
    return chatml_by_marks(text);
  }
  if (!llama_by_marks(text)) return std::nullopt;
  if (has_all(text, {"\"Cutting Knowledge Date: December 2023\\n\"", "\"Today Date: \" + date_string + \"\\n\\n\"",
                     "\"<|start_header_id|>system<|end_header_id|>\\n\\n\"", "system_message = \"\""})) {
    return ChatFormat{.kind = ChatKind::llama3_1};
  }
  if (has_any(text, {"Knowledge", "date", "tools", "<|start_header_id|>system"})) return std::nullopt;
  return ChatFormat{.kind = ChatKind::llama3};
}

}  // namespace detail

/// The format that a chat template (Jinja) writes; nullopt for one that is not known.
///
/// Released templates are known by a hash of their text: Qwen2.5-Instruct, Qwen3 (two revisions), Qwen3-Instruct-2507,
/// SmolLM2-Instruct, Llama 3, 3.1 and 3.2 Instruct. Others by marks, which are narrow on purpose:
/// - chatml, qwen2_5, smollm2: <|im_start|> and <|im_end|>, the plain generation prompt, no thinking, trimming, images
///   or begin token; a system sentence of its own, if any, becomes ChatFormat::default_system (Qwen2: "You are a
///   helpful assistant.").
/// - qwen3: as above with `enable_thinking`, the empty `<think>` block and the search for the last query.
/// - llama3_1: <|start_header_id|> and <|eot_id|>, trimmed contents, "Cutting Knowledge Date" and "Today Date".
/// - llama3: the same without dates and tools.
inline std::optional<ChatFormat> recognize_chat_template(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  const std::uint64_t hash = fnv1a(text);
  for (const detail::KnownTemplate& known : detail::known_templates) {
    if (known.size == text.size() && known.hash == hash) return ChatFormat{.kind = known.kind};
  }
  return detail::format_by_marks(text);
}

}  // namespace maestro
