#pragma once

/// @file
/// Texts in which every character has its origin.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/case_table.hpp"
#include "maestro/text/utf8.hpp"
#include "maestro/text/white_space.hpp"

namespace maestro::jinja {

/// Origin says whether a text comes from the template or from the conversation.
enum class Origin : std::uint8_t { in_template, in_data };

/// Characters is a text as code points, each with the bit `from_data` set if it comes from the conversation. Parts and
/// joins of texts keep these marks.
using Characters = std::u32string;
using CharacterView = std::u32string_view;
inline constexpr char32_t from_data = 0x80000000u;

/// Gives the code point without its mark.
constexpr char32_t plain(char32_t c) { return c & ~from_data; }

/// Decodes a text and marks its characters.
/// @throws BadArgument if it is not valid UTF-8.
inline Characters to_characters(std::string_view text, Origin origin = Origin::in_template) {
  const char32_t mark = origin == Origin::in_data ? from_data : 0;
  Characters result;
  result.reserve(text.size());
  std::size_t broken = 0;
  while (!text.empty()) {
    if (utf8_length(text, broken) == 0) throw BadArgument("chat template: a text is not valid UTF-8");
    const CodePoint c = first_code_point(text);
    result.push_back(c.value | mark);
    text.remove_prefix(c.bytes);
  }
  return result;
}

inline void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  c = plain(c);
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | (c >> 6));
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | (c >> 12));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | (c >> 18));
    put(0x80 | ((c >> 12) & 0x3f));
    put(0x80 | ((c >> 6) & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

inline std::string to_utf8(CharacterView text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) append_utf8(out, c);
  return out;
}

constexpr bool same_character(char32_t a, char32_t b) { return plain(a) == plain(b); }

inline bool same_text(CharacterView a, CharacterView b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same_character);
}
/// Tells whether a is before b in the order of code points.
inline bool text_before(CharacterView a, CharacterView b) {
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [](char32_t x, char32_t y) { return plain(x) < plain(y); });
}

/// Gives the index of the first `part` in `text` at or after `at`; npos if there is none.
inline std::size_t find_text(CharacterView text, CharacterView part, std::size_t at = 0) {
  if (at > text.size()) return CharacterView::npos;
  const auto found =
      std::search(text.begin() + static_cast<std::ptrdiff_t>(at), text.end(), part.begin(), part.end(), same_character);
  if (found == text.end() && !part.empty()) return CharacterView::npos;
  return static_cast<std::size_t>(found - text.begin());
}
/// Gives the index of the last `part` in `text`; npos if there is none.
inline std::size_t find_last_text(CharacterView text, CharacterView part) {
  const auto found = std::find_end(text.begin(), text.end(), part.begin(), part.end(), same_character);
  if (part.empty()) return text.size();
  return found == text.end() ? CharacterView::npos : static_cast<std::size_t>(found - text.begin());
}

inline bool is_space(char32_t c) { return is_python_space(plain(c)); }
constexpr bool is_digit(char32_t c) { return plain(c) >= '0' && plain(c) <= '9'; }
/// Tells whether str.splitlines ends a line at this character.
constexpr bool is_line_end(char32_t c) {
  c = plain(c);
  return (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

/// Ends says at which ends a text is stripped.
enum class Ends : std::uint8_t { both, left, right };

/// Removes characters of `chars` from the ends of `text`, or white space if `chars` is nullptr.
inline CharacterView stripped(CharacterView text, Ends ends, const CharacterView* chars = nullptr) {
  const auto goes = [&](char32_t c) {
    if (chars == nullptr) return is_space(c);
    return std::any_of(chars->begin(), chars->end(), [&](char32_t x) { return same_character(x, c); });
  };
  if (ends != Ends::right) {
    while (!text.empty() && goes(text.front())) text.remove_prefix(1);
  }
  if (ends != Ends::left) {
    while (!text.empty() && goes(text.back())) text.remove_suffix(1);
  }
  return text;
}

/// Gives Python's str.lower of one character.
/// @throws Unsupported for U+0130 and U+03A3, whose result is several characters or depends on the neighbors.
inline char32_t lower_case(char32_t marked) {
  const char32_t c = plain(marked);
  const char32_t mark = marked & from_data;
  if (c < 0x80) return (c >= 'A' && c <= 'Z' ? c + 32 : c) | mark;
  if (c == 0x130 || c == 0x3a3) {
    throw Unsupported("chat template: the lower case of U+0130 and of U+03A3 is not implemented");
  }
  return detail::case_image(detail::lower_runs, c) | mark;
}
/// Gives Python's str.upper of one character.
/// @throws Unsupported for characters whose result is several characters.
inline char32_t upper_case(char32_t marked) {
  const char32_t c = plain(marked);
  const char32_t mark = marked & from_data;
  if (c < 0x80) return (c >= 'a' && c <= 'z' ? c - 32 : c) | mark;
  if (detail::has_special_case(c) && c != 0x130 && c != 0x3a3) {
    throw Unsupported(
        "chat template: the upper case of a character that becomes several, such as U+00DF, is not "
        "implemented");
  }
  return detail::case_image(detail::upper_runs, c) | mark;
}

inline Characters mapped(CharacterView text, char32_t (*image)(char32_t)) {
  Characters out(text);
  std::transform(out.begin(), out.end(), out.begin(), image);
  return out;
}
/// Gives Python's str.capitalize of a text.
inline Characters capitalized(CharacterView text) {
  Characters out = mapped(text, lower_case);
  if (!out.empty()) out.front() = upper_case(text.front());
  return out;
}

}  // namespace maestro::jinja
