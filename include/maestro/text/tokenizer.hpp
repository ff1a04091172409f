#pragma once

/// @file
/// The interface of a tokenizer for policies.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace maestro {

/// Tokenizer turns text into tokens and back.
///
/// encode and decode are const and thread-safe, and decode(encode(text)) == text for valid UTF-8. `encode` never makes
/// a special token from plain text, so an untrusted prompt cannot end a turn.
template <class T>
concept Tokenizer = requires(const T& tokenizer, std::string_view text, std::span<const std::int32_t> tokens) {
  { tokenizer.encode(text) } -> std::same_as<std::vector<std::int32_t>>;
  { tokenizer.decode(tokens) } -> std::same_as<std::string>;  // special tokens are left out
  { tokenizer.vocabulary_size() } -> std::convertible_to<std::size_t>;
  { tokenizer.end_token() } -> std::convertible_to<std::int32_t>;
};

namespace detail {

/// Decodes tokens, with special tokens by name if the tokenizer has decode_with_special, else without them.
template <Tokenizer Tok>
std::string decode_response(const Tok& tokenizer, std::span<const std::int32_t> tokens) {
  if constexpr (requires { std::string(tokenizer.decode_with_special(tokens)); }) {
    return tokenizer.decode_with_special(tokens);
  } else {
    return tokenizer.decode(tokens);
  }
}

/// Encodes text that follows other tokens, by the tokenizer's encode_behind if it has one.
template <Tokenizer Tok>
std::vector<std::int32_t> encode_behind(const Tok& tokenizer, std::string_view text) {
  if constexpr (requires { std::vector<std::int32_t>(tokenizer.encode_behind(text)); }) {
    return tokenizer.encode_behind(text);
  } else {
    return tokenizer.encode(text);
  }
}

/// Gives the largest id + 1 among the tokens that `encode` can give, or of all tokens if the tokenizer does not tell. A
/// model needs no larger vocabulary.
template <Tokenizer Tok>
std::size_t text_vocabulary_size(const Tok& tokenizer) {
  if constexpr (requires { static_cast<std::size_t>(tokenizer.text_vocabulary_size()); }) {
    return static_cast<std::size_t>(tokenizer.text_vocabulary_size());
  } else {
    return static_cast<std::size_t>(tokenizer.vocabulary_size());
  }
}

}  // namespace detail

/// SpecialPlace is the position of a special token in a text that spells it.
struct SpecialPlace {
  std::size_t begin = 0;  ///< bytes of the text
  std::size_t size = 0;
  bool strips_before = false;  ///< white space before the token belongs to it
  bool strips_behind = false;  ///< white space after the token belongs to it
};

}  // namespace maestro
