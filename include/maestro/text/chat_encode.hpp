#pragma once

/// @file
/// A conversation as tokens.

#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_render.hpp"
#include "maestro/text/tokenizer.hpp"

namespace maestro {

/// A ChatTokenizer is a tokenizer that knows special tokens by name: `special` throws BadArgument for one that it does
/// not have.
template <class T>
concept ChatTokenizer = Tokenizer<T> && requires(const T& tokenizer, std::string_view name) {
  { tokenizer.special(name) } -> std::convertible_to<std::int32_t>;
};

/// Refuses a tokenizer that lacks a special token of the format.
/// @throws BadArgument naming format and token.
template <Tokenizer Tok>
void check_chat_format(const Tok& tokenizer, const ChatFormat& format) {
  if (format.kind == ChatKind::none) return;
  if constexpr (ChatTokenizer<Tok>) {
    const Message message{"user", ""};
    const Chat chat = chat_pieces(format, {&message, 1}, GenerationPrompt::add);
    for (const ChatPiece& piece : chat.pieces) {
      if (piece.kind != ChatPiece::Kind::special) continue;
      try {
        static_cast<void>(tokenizer.special(piece.text));
      } catch (const BadArgument&) {
        throw BadArgument("the chat format " + std::string(name_of(format.kind)) + " needs the special token " +
                          piece.text + ", which the tokenizer does not have; choose another of " + chat_format_names());
      }
    }
  } else {
    throw BadArgument("the chat format " + std::string(name_of(format.kind)) +
                      " needs a tokenizer that knows special tokens by name: special(std::string_view)");
  }
}

/// The tokens of some pieces. What stands between two special tokens is encoded as one text, as the `tokenizers`
/// library does; text that spells a special token stays text, so untrusted content cannot end its turn.
/// @throws BadArgument for a special token that the tokenizer does not have.
template <ChatTokenizer Tok>
std::vector<std::int32_t> encode_pieces(const Tok& tokenizer, std::span<const ChatPiece> pieces) {
  std::vector<std::int32_t> tokens;
  for (const ChatPiece& piece : pieces) {
    if (piece.kind == ChatPiece::Kind::special) {
      tokens.push_back(static_cast<std::int32_t>(tokenizer.special(piece.text)));
    } else {
      const std::vector<std::int32_t> text = tokenizer.encode(piece.text);
      tokens.insert(tokens.end(), text.begin(), text.end());
    }
  }
  return tokens;
}

/// The tokens of a conversation. A begin-of-text token is written where the format has one, and only there.
/// @throws as chat_pieces and encode_pieces.
template <ChatTokenizer Tok>
std::vector<std::int32_t> encode_chat(const Tok& tokenizer, const ChatFormat& format, std::span<const Message> messages,
                                      GenerationPrompt generation) {
  return encode_pieces(tokenizer, chat_pieces(format, messages, generation).pieces);
}

/// The conversation of a prompt: its messages, or its text as the only message of a user.
inline std::vector<Message> conversation_of(const Prompt& prompt) {
  if (!prompt.messages.empty()) return prompt.messages;
  return {{"user", prompt.text}};
}

}  // namespace maestro
