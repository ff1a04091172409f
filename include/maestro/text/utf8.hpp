#pragma once

/// @file
/// UTF-8 as Unicode defines it (no overlong forms, no surrogates, at most U+10FFFF).

#include <cstddef>
#include <string>
#include <string_view>

namespace maestro {

/// Gives the number of bytes at the start of `text` that form one code point; 0 if they form none. `text` must not be
/// empty.
/// @param broken  receives the length of the longest start of a code point, at least 1.
inline std::size_t utf8_length(std::string_view text, std::size_t& broken) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  broken = 1;
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  unsigned low = 0x80;
  unsigned high = 0xbf;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  for (std::size_t i = 1; i < length; ++i) {
    if (i >= text.size() || byte(i) < low || byte(i) > high) return 0;
    low = 0x80;
    high = 0xbf;
    broken = i + 1;
  }
  return length;
}

/// Tells whether all of `text` is valid UTF-8.
inline bool is_utf8(std::string_view text) {
  std::size_t broken = 0;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text, broken);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// Gives `text` with each broken sequence replaced by one U+FFFD, as Python's errors="replace" does.
inline std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t broken = 0;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text, broken);
    if (length > 0) {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    } else {
      out.append("\xef\xbf\xbd");
      text.remove_prefix(broken);
    }
  }
  return out;
}

/// CodePoint is one character and its length in UTF-8.
struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  ///< length in UTF-8
};

/// Gives the first code point of a valid UTF-8 text that is not empty.
inline CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xe0) return {((first & 0x1f) << 6) | (byte(1) & 0x3f), 2};
  if (first < 0xf0) return {((first & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f), 3};
  return {((first & 0x07) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) | (byte(3) & 0x3f), 4};
}

/// Gives the last code point of a valid UTF-8 text that is not empty.
inline CodePoint last_code_point(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
  return first_code_point(text.substr(begin));
}

}  // namespace maestro
