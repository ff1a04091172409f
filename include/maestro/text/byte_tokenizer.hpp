#pragma once

/// @file
/// A tokenizer without a learned vocabulary: every byte is a token.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/tokenizer.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

/// ByteTokenizerOptions holds the options of a ByteTokenizer.
struct ByteTokenizerOptions {
  std::size_t vocabulary = 272;            ///< at least 259; further ids without meaning pad it to a multiple
  std::string_view end = "<|endoftext|>";  ///< the special token that ends a response
};

/// ByteTokenizer is a tokenizer whose tokens are bytes. Ids 0 to 255 are bytes. They are followed by <|endoftext|>
/// (256), <|im_start|> (257), <|im_end|> (258), and padding without meaning. Any bytes can be encoded, and
/// decode(encode(bytes)) gives them back. Text that spells a special token is encoded as its bytes. The object does not
/// change after its construction, so several threads may use it at once.
class ByteTokenizer {
 public:
  static constexpr std::array<std::string_view, 3> special_names{"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  static constexpr std::int32_t first_special = 256;
  static constexpr std::size_t smallest_vocabulary = 256 + special_names.size();

  /// Makes a tokenizer.
  /// @throws BadArgument for a vocabulary that is too small, or an end that is not a special token.
  explicit ByteTokenizer(ByteTokenizerOptions options = {}) : vocabulary_(options.vocabulary) {
    require(vocabulary_ >= smallest_vocabulary && vocabulary_ <= 0x7fffffffu,
            "byte tokenizer: the vocabulary must have 259 tokens or more (256 bytes and 3 special tokens)");
    end_ = special(options.end);
  }

  std::size_t vocabulary_size() const { return vocabulary_; }
  std::int32_t end_token() const { return end_; }
  /// Gives the id of a special token by its name, such as "<|im_end|>".
  /// @throws BadArgument naming a token that does not exist.
  std::int32_t special(std::string_view name) const {
    for (std::size_t i = 0; i < special_names.size(); ++i) {
      if (special_names[i] == name) return first_special + static_cast<std::int32_t>(i);
    }
    throw BadArgument("byte tokenizer: there is no special token '" + replace_invalid_utf8(name) + "'");
  }
  /// Gives the positions of the special tokens that a text spells, in order.
  std::vector<SpecialPlace> special_places(std::string_view text) const {
    std::vector<SpecialPlace> places;
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (const std::string_view name : special_names) {
        if (!text.substr(at).starts_with(name)) continue;
        places.push_back({.begin = at, .size = name.size()});
        at += name.size() - 1;
        break;
      }
    }
    return places;
  }
  /// Gives the name of a special token, or "<|reserved_N|>" for padding.
  /// @throws BadArgument for a byte or an id outside the vocabulary.
  std::string special_name(std::int32_t id) const {
    check(id);
    require(id >= first_special, "byte tokenizer: ids below 256 are bytes, they have no name");
    const auto index = static_cast<std::size_t>(id - first_special);
    if (index < special_names.size()) return std::string(special_names[index]);
    return std::string("<|reserved_").append(std::to_string(id)).append("|>");
  }

  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> tokens;
    tokens.reserve(text.size());
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  /// Gives the bytes of the tokens, which need not be valid UTF-8, without special tokens and padding.
  /// @throws BadArgument for an id outside the vocabulary.
  std::string decode(std::span<const std::int32_t> tokens) const {
    std::string text;
    text.reserve(tokens.size());
    for (const std::int32_t id : tokens) {
      check(id);
      if (id < first_special) text.push_back(static_cast<char>(static_cast<unsigned char>(id)));
    }
    return text;
  }
  /// Decodes as `decode` does, with U+FFFD for bytes that are not UTF-8. The result is for people and for JSON.
  std::string decode_display(std::span<const std::int32_t> tokens) const {
    return replace_invalid_utf8(decode(tokens));
  }

  friend bool operator==(const ByteTokenizer&, const ByteTokenizer&) = default;

 private:
  void check(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary_) {
      throw BadArgument("byte tokenizer: token " + std::to_string(id) + " lies outside the vocabulary of " +
                        std::to_string(vocabulary_));
    }
  }

  std::size_t vocabulary_;
  std::int32_t end_ = first_special;
};

static_assert(Tokenizer<ByteTokenizer>);

}  // namespace maestro
