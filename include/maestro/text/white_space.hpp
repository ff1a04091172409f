#pragma once

/// @file
/// White space, and its removal from the ends of a text as Python's str.strip does it.

#include <cstddef>
#include <string_view>

#include "maestro/text/utf8.hpp"

namespace maestro {

/// Tells whether a character has Unicode's property White_Space.
constexpr bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/// Tells whether a character is white space or a separator of the C0 controls. Source: Python's str.isspace
/// (bidirectional classes WS, B and S, or category Zs).
constexpr bool is_python_space(char32_t c) { return is_white_space(c) || (c >= 0x1c && c <= 0x1f); }

/// Gives the number of bytes of white space (Unicode's property) at the end of `text`, which must be valid UTF-8.
inline std::size_t trailing_white_space(std::string_view text) {
  const std::size_t size = text.size();
  while (!text.empty()) {
    const CodePoint c = last_code_point(text);
    if (!is_white_space(c.value)) break;
    text.remove_suffix(c.bytes);
  }
  return size - text.size();
}

/// Gives the number of bytes of white space at the start of `text`, which must be valid UTF-8.
inline std::size_t leading_white_space(std::string_view text) {
  std::size_t bytes = 0;
  while (bytes < text.size()) {
    const CodePoint c = first_code_point(text.substr(bytes));
    if (!is_white_space(c.value)) break;
    bytes += c.bytes;
  }
  return bytes;
}

namespace detail {

/// Gives the number of bytes of the white-space character at the start of `text`; 0 if there is none.
inline std::size_t python_space_bytes(std::string_view text) {
  std::size_t broken = 0;
  const std::size_t length = text.empty() ? 0 : utf8_length(text, broken);
  return length > 0 && is_python_space(first_code_point(text).value) ? length : 0;
}

}  // namespace detail

/// Gives `text` without white space at its ends. Bytes that are not UTF-8 do not count as white space.
inline std::string_view without_white_space(std::string_view text) {
  while (const std::size_t length = detail::python_space_bytes(text)) text.remove_prefix(length);
  for (std::size_t length = 1; length <= 3 && length <= text.size();) {  // white space has at most 3 bytes
    if (detail::python_space_bytes(text.substr(text.size() - length)) == length) {
      text.remove_suffix(length);
      length = 1;
    } else {
      ++length;
    }
  }
  return text;
}

/// Gives `text` without any `c` at its start.
constexpr std::string_view without_leading(std::string_view text, char c) {
  while (text.starts_with(c)) text.remove_prefix(1);
  return text;
}
/// Gives `text` without any `c` at its end.
constexpr std::string_view without_trailing(std::string_view text, char c) {
  while (text.ends_with(c)) text.remove_suffix(1);
  return text;
}

}  // namespace maestro
