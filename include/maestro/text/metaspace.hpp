#pragma once

/// @file
/// The text format of SentencePiece's BPE models (Llama 2, TinyLlama, Mistral). Spaces are written as U+2581, and
/// characters outside the vocabulary are written as bytes. Source: the normalizers Prepend and Replace, the
/// pre-tokenizer Metaspace and the byte fallback of Hugging Face's `tokenizers`.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "maestro/text/unicode.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

/// SpacePrefix says which pieces of a text, between added tokens, are preceded by a space.
enum class SpacePrefix : std::uint8_t {
  never,
  first,   ///< the piece at the start of the text
  always,  ///< every piece
};

/// Metaspace says how pieces of a text are written for a SentencePiece model.
struct Metaspace {
  SpacePrefix prefix = SpacePrefix::always;
  bool before_spaces = true;   ///< a piece that begins with a space gets another one (Prepend; Metaspace does not)
  bool decoder_strips = true;  ///< decoding removes one space at the start
  std::optional<std::int32_t> unknown{};  ///< the id of characters that neither the vocabulary nor bytes can spell
  bool fuse_unknown = false;              ///< neighboring unknown characters are one token

  friend bool operator==(const Metaspace&, const Metaspace&) = default;
};

namespace detail {

inline constexpr std::string_view metaspace_symbol = "\xe2\x96\x81";

/// Gives a piece with U+2581 for spaces, preceded by one if the options say so.
inline std::string metaspaced(const Metaspace& options, std::string_view piece, bool first) {
  const bool spaced = piece.starts_with(' ') || piece.starts_with(metaspace_symbol);
  const bool wanted = options.prefix == SpacePrefix::always || (options.prefix == SpacePrefix::first && first);
  std::string text;
  text.reserve(piece.size() + piece.size() / 2 + 3);
  if (wanted && !piece.empty() && (options.before_spaces || !spaced)) text += metaspace_symbol;
  for (const char c : piece) {
    if (c == ' ') {
      text += metaspace_symbol;
    } else {
      text += c;
    }
  }
  return text;
}

/// Gives the byte that a token such as <0x0A> spells; nullopt for any other token.
inline std::optional<unsigned char> byte_of_token(std::string_view token) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  if (digit(token[3]) < 0 || digit(token[4]) < 0) return std::nullopt;
  return static_cast<unsigned char>(digit(token[3]) * 16 + digit(token[4]));
}

/// Gives the bytes to which a token of such a vocabulary decodes.
inline std::string metaspace_bytes(std::string_view token) {
  if (const auto byte = byte_of_token(token)) return std::string(1, static_cast<char>(*byte));
  std::string text;
  while (!token.empty()) {
    const bool space = token.starts_with(metaspace_symbol);
    text += space ? ' ' : token.front();
    token.remove_prefix(space ? metaspace_symbol.size() : 1);
  }
  return text;
}

/// CharacterIds spells texts in the single characters and bytes of a vocabulary.
class CharacterIds {
 public:
  CharacterIds() { bytes_.fill(-1); }

  /// Adds a token of the vocabulary if it is a character or a byte.
  void add(std::string_view token, std::int32_t id, bool byte_fallback) {
    const auto byte = byte_of_token(token);
    if (byte && byte_fallback) bytes_[*byte] = id;
    if (!token.empty() && is_utf8(token) && first_code_point(token).bytes == token.size()) {
      characters_.emplace(std::string(token), id);
    }
  }

  /// Appends the ids of `text`, which must be valid UTF-8. If there is no unknown token, characters that cannot be
  /// spelled are omitted.
  void spell(std::string_view text, const Metaspace& options, std::vector<std::int32_t>& ids) const {
    bool after_unknown = false;
    while (!text.empty()) {
      const std::string_view character = text.substr(0, first_code_point(text).bytes);
      text.remove_prefix(character.size());
      const bool known = spell_one(character, ids);
      if (!known && options.unknown && !(after_unknown && options.fuse_unknown)) ids.push_back(*options.unknown);
      after_unknown = !known;
    }
  }

 private:
  bool spell_one(std::string_view character, std::vector<std::int32_t>& ids) const {
    const auto whole = characters_.find(std::string(character));
    if (whole != characters_.end()) {
      ids.push_back(whole->second);
      return true;
    }
    for (const char c : character) {
      if (bytes_[static_cast<unsigned char>(c)] < 0) return false;
    }
    for (const char c : character) ids.push_back(bytes_[static_cast<unsigned char>(c)]);
    return true;
  }

  std::unordered_map<std::string, std::int32_t> characters_;
  std::array<std::int32_t, 256> bytes_{};
};

}  // namespace detail

}  // namespace maestro
