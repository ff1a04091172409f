#pragma once

/// @file
/// Code points and the classes that tokenizers ask for. Needs maestro::tokenizers.

#include <utf8proc.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "maestro/text/pattern.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  ///< length in UTF-8
};

/// The first code point of a valid UTF-8 text that is not empty.
inline CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[i])); };
  const char32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  if (first < 0xe0) return {((first & 0x1f) << 6) | (byte(1) & 0x3f), 2};
  if (first < 0xf0) return {((first & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f), 3};
  return {((first & 0x07) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) | (byte(3) & 0x3f), 4};
}

/// The last code point of a valid UTF-8 text that is not empty.
inline CodePoint last_code_point(std::string_view text) {
  std::size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0) == 0x80) --begin;
  return first_code_point(text.substr(begin));
}

/// The property White_Space.
inline bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

/// The general category N: decimal digits, letter numbers and other numbers.
inline bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const utf8proc_category_t category = ::utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

/// What a regular expression's \w means in Unicode's recommendation (Alphabetic, marks, decimal digits, connectors,
/// join controls), which is wider than Oniguruma's own \w. Source: Unicode Technical Standard 18, annex C.
inline bool is_word_character(std::string_view character) {
  static const Pattern word("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]");
  return word.found_in(character);
}

/// How many characters of a valid UTF-8 text Oniguruma does not know: their splits may differ from those of a
/// `tokenizers` that knows a newer Unicode. Debian 12's Oniguruma knows Unicode 14. Noncharacters do not count.
inline std::size_t count_unassigned(std::string_view text) {
  static const Pattern unassigned("\\p{Cn}");
  std::size_t count = 0;
  unassigned.for_each_match(text, [&](std::size_t begin, std::size_t) {
    const char32_t c = first_code_point(text.substr(begin)).value;
    if ((c & 0xfffe) != 0xfffe && (c < 0xfdd0 || c > 0xfdef)) ++count;
  });
  return count;
}

}  // namespace maestro
