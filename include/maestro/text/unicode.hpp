#pragma once

/// @file
/// Classes of characters for tokenizers. Needs maestro::tokenizers.

#include <utf8proc.h>

#include <string_view>

#include "maestro/text/pattern.hpp"
#include "maestro/text/white_space.hpp"

namespace maestro {

/// Tells whether a character has the general category N: decimal digits, letter numbers and other numbers.
inline bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  const utf8proc_category_t category = ::utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL || category == UTF8PROC_CATEGORY_NO;
}

/// Tells whether a character matches `\w` as Unicode recommends it (Alphabetic, marks, decimal digits, connectors, join
/// controls). This class is wider than Oniguruma's. Source: Unicode Technical Standard 18, annex C.
inline bool is_word_character(std::string_view character) {
  static const Pattern word("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]");
  return word.found_in(character);
}

}  // namespace maestro
