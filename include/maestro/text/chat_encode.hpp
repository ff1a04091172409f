#pragma once

/// @file
/// The encoding of a conversation as tokens.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_render.hpp"
#include "maestro/text/chat_template.hpp"
#include "maestro/text/tokenizer.hpp"
#include "maestro/text/white_space.hpp"

namespace maestro {

/// ChatTokenizer is a tokenizer that finds special tokens by name. `special` throws BadArgument for a name that it does
/// not have.
template <class T>
concept ChatTokenizer = Tokenizer<T> && requires(const T& tokenizer, std::string_view name) {
  { tokenizer.special(name) } -> std::convertible_to<std::int32_t>;
};

/// TemplateTokenizer also finds the special tokens that a text spells.
template <class T>
concept TemplateTokenizer = ChatTokenizer<T> && requires(const T& tokenizer, std::string_view text) {
  { tokenizer.special_places(text) } -> std::same_as<std::vector<SpecialPlace>>;
};

namespace detail {

/// SegmentCutter cuts a template's output at its special tokens. A token counts only if all of it is the template's
/// text.
class SegmentCutter {
 public:
  template <TemplateTokenizer Tok>
  static std::vector<ChatPiece> cut(const Tok& tokenizer, std::span<const jinja::Segment> segments) {
    SegmentCutter cutter;
    for (const jinja::Segment& segment : segments) {
      std::string_view text = segment.text;
      std::size_t done = 0;
      if (segment.origin == jinja::Origin::in_template) {
        for (const SpecialPlace& place : tokenizer.special_places(text)) {
          cutter.text(text.substr(done, place.begin - done));
          cutter.special(text.substr(place.begin, place.size), place);
          done = place.begin + place.size;
        }
      }
      cutter.text(text.substr(done));
    }
    return std::move(cutter.pieces_);
  }

 private:
  void text(std::string_view text) {
    if (strips_) text.remove_prefix(leading_white_space(text));
    if (text.empty()) return;
    strips_ = false;
    if (pieces_.empty() || pieces_.back().kind == ChatPiece::Kind::special) pieces_.push_back({});
    pieces_.back().text += text;
  }
  void special(std::string_view name, const SpecialPlace& place) {
    if (place.strips_before && !pieces_.empty() && pieces_.back().kind == ChatPiece::Kind::text) {
      std::string& before = pieces_.back().text;
      before.resize(before.size() - trailing_white_space(before));
      if (before.empty()) pieces_.pop_back();
    }
    pieces_.push_back({ChatPiece::Kind::special, std::string(name)});
    strips_ = place.strips_behind;
  }

  std::vector<ChatPiece> pieces_;
  bool strips_ = false;
};

/// Gives the number of equal pieces at the start of two lists.
inline std::size_t common_pieces(const std::vector<ChatPiece>& a, const std::vector<ChatPiece>& b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

template <TemplateTokenizer Tok>
std::vector<ChatPiece> template_pieces(const Tok& tokenizer, const ChatFormat& format,
                                       std::span<const Message> messages, GenerationPrompt generation) {
  return SegmentCutter::cut(tokenizer, format.chat_template->render(format, messages, generation));
}

/// Gives the index of the first piece that depends on the answer at the end of a conversation. It compares the pieces
/// of two different answers.
template <TemplateTokenizer Tok>
std::size_t place_of_answer(const Tok& tokenizer, const ChatFormat& format, std::vector<Message> messages,
                            const std::vector<ChatPiece>& pieces) {
  messages.back().content = "a";
  const std::vector<ChatPiece> one = template_pieces(tokenizer, format, messages, GenerationPrompt::omit);
  messages.back().content = "b";
  const std::vector<ChatPiece> other = template_pieces(tokenizer, format, messages, GenerationPrompt::omit);
  const std::size_t place = common_pieces(one, other);
  if (place == one.size() || common_pieces(one, pieces) < place) {
    throw Unsupported(format.chat_template->name() +
                      ": what the chat template writes before an answer depends on the answer, or it leaves answers "
                      "out, which is not implemented for reward models; choose a chat format by name: " +
                      chat_format_names());
  }
  return place;
}

}  // namespace detail

/// Renders a conversation in any chat format. For a template, Chat::last_content is set only if the last message is an
/// assistant's and there is no generation prompt.
/// @throws BadArgument, Unsupported or BadData as chat_pieces without a tokenizer and ChatTemplate::render; BadArgument
///         if a template's tokenizer has no special_places.
template <Tokenizer Tok>
Chat chat_pieces(const Tok& tokenizer, const ChatFormat& format, std::span<const Message> messages,
                 GenerationPrompt generation) {
  if (format.kind != ChatKind::own) return chat_pieces(format, messages, generation);
  if constexpr (TemplateTokenizer<Tok>) {
    require(format.chat_template != nullptr, "chat format: ChatKind::own needs a chat_template");
    Chat chat{.pieces = detail::template_pieces(tokenizer, format, messages, generation)};
    const bool answered = !messages.empty() && messages.back().role == "assistant";
    if (answered && generation == GenerationPrompt::omit) {
      chat.last_content = detail::place_of_answer(tokenizer, format, {messages.begin(), messages.end()}, chat.pieces);
    }
    return chat;
  }
  throw BadArgument("a chat template needs a tokenizer that finds special tokens: special_places(std::string_view)");
}

/// Renders a conversation as one text, with special tokens by name, for people and tests. Models read encode_chat,
/// which distinguishes a special token from text that spells one.
/// @throws as chat_pieces.
inline std::string render_chat(const ChatFormat& format, std::span<const Message> messages,
                               GenerationPrompt generation) {
  std::string text;
  if (format.kind == ChatKind::own) {
    require(format.chat_template != nullptr, "chat format: ChatKind::own needs a chat_template");
    for (const jinja::Segment& segment : format.chat_template->render(format, messages, generation)) {
      text += segment.text;
    }
    return text;
  }
  for (const ChatPiece& piece : chat_pieces(format, messages, generation).pieces) text += piece.text;
  return text;
}

/// Refuses a tokenizer that lacks a special token of the format, and a template that cannot render a question.
/// @throws BadArgument naming the format and the token; what ChatTemplate::render throws.
template <Tokenizer Tok>
void check_chat_format(const Tok& tokenizer, const ChatFormat& format) {
  if (format.kind == ChatKind::none) return;
  if constexpr (ChatTokenizer<Tok>) {
    const Message message{"user", format.kind == ChatKind::own ? "x" : ""};
    const Chat chat = chat_pieces(tokenizer, format, {&message, 1}, GenerationPrompt::add);
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

/// Gives the special token that ends a turn, and with it a response; nullopt if the format has none. For a template, it
/// is the first special token after an answer.
/// @throws BadArgument for a token that the tokenizer does not have.
template <ChatTokenizer Tok>
std::optional<std::int32_t> turn_end_token(const Tok& tokenizer, const ChatFormat& format) {
  std::string name(turn_end(format.kind));
  if (format.kind == ChatKind::own) {
    const std::vector<Message> messages{{"user", "a"}, {"assistant", "b"}};
    try {
      const Chat chat = chat_pieces(tokenizer, format, messages, GenerationPrompt::omit);
      for (std::size_t i = chat.last_content; i < chat.pieces.size() && name.empty(); ++i) {
        if (chat.pieces[i].kind == ChatPiece::Kind::special) name = chat.pieces[i].text;
      }
    } catch (const BadData&) {  // a template without answers: the tokenizer's end token alone ends a response
    } catch (const Unsupported&) {
    }
  }
  if (name.empty()) return std::nullopt;
  return static_cast<std::int32_t>(tokenizer.special(name));
}

/// Gives the tokens of some pieces. The text between two special tokens is encoded as one text, as in the `tokenizers`
/// library. Text that spells a special token stays text, so untrusted content cannot end its turn.
/// @throws BadArgument for a special token that the tokenizer does not have.
template <ChatTokenizer Tok>
std::vector<std::int32_t> encode_pieces(const Tok& tokenizer, std::span<const ChatPiece> pieces) {
  std::vector<std::int32_t> tokens;
  for (const ChatPiece& piece : pieces) {
    if (piece.kind == ChatPiece::Kind::special) {
      tokens.push_back(static_cast<std::int32_t>(tokenizer.special(piece.text)));
    } else {
      const std::vector<std::int32_t> text =
          tokens.empty() ? tokenizer.encode(piece.text) : detail::encode_behind(tokenizer, piece.text);
      tokens.insert(tokens.end(), text.begin(), text.end());
    }
  }
  return tokens;
}

/// Gives the tokens of a conversation. They have a begin-of-text token only if the format has one.
/// @throws as chat_pieces and encode_pieces.
template <ChatTokenizer Tok>
std::vector<std::int32_t> encode_chat(const Tok& tokenizer, const ChatFormat& format, std::span<const Message> messages,
                                      GenerationPrompt generation) {
  return encode_pieces(tokenizer, chat_pieces(tokenizer, format, messages, generation).pieces);
}

/// Gives the conversation of a prompt: its messages, or its text as the only message of a user.
inline std::vector<Message> conversation_of(const Prompt& prompt) {
  if (!prompt.messages.empty()) return prompt.messages;
  return {{"user", prompt.text}};
}

}  // namespace maestro
