#pragma once

/// @file
/// The text of a response while its tokens still arrive.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "maestro/text/tokenizer.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

namespace detail {

/// Gives the number of bytes at the end of `text` that begin an incomplete code point; 0 if there are none.
inline std::size_t unfinished_utf8(std::string_view text) {
  for (std::size_t size = 1; size <= 3 && size <= text.size(); ++size) {
    const std::string_view end = text.substr(text.size() - size);
    const auto first = static_cast<unsigned char>(end.front());
    if ((first & 0xc0) == 0x80) continue;  // inside a code point
    const std::size_t whole = first < 0xc2 || first > 0xf4 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    std::size_t broken = 0;
    return whole > size && utf8_length(end, broken) == 0 && broken == size ? size : 0;
  }
  return 0;
}

}  // namespace detail

/// StreamDecoder keeps the bytes of an incomplete character until it is complete, so that its output is always valid
/// UTF-8. The whole output is `decode_display` of all tokens.
///
///     StreamDecoder stream(tokenizer);
///     for (token : response) std::cout << stream.push(token);
///     std::cout << stream.finish();
///
/// The tokenizer must outlive the decoder, and must decode token by token as byte-level tokenizers do.
template <Tokenizer Tok>
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tok& tokenizer) : tokenizer_(&tokenizer) {}

  /// Gives the text that `token` completes, which may be empty. Bytes that cannot become UTF-8 are replaced by U+FFFD.
  /// @throws BadArgument for an id outside the vocabulary.
  std::string push(std::int32_t token) {
    pending_ += tokenizer_->decode(std::span(&token, 1));
    const std::size_t held = detail::unfinished_utf8(pending_);
    std::string text = replace_invalid_utf8(std::string_view(pending_).substr(0, pending_.size() - held));
    pending_.erase(0, pending_.size() - held);
    return text;
  }
  /// Gives the rest: U+FFFD if the tokens ended inside a character. The decoder can then be used for another response.
  std::string finish() {
    std::string text = replace_invalid_utf8(pending_);
    pending_.clear();
    return text;
  }

 private:
  const Tok* tokenizer_;
  std::string pending_;
};

}  // namespace maestro
