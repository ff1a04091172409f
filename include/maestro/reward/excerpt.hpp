#pragma once

/// @file
/// Untrusted text, made fit for an error message.

#include <cstddef>
#include <string>
#include <string_view>

namespace maestro {

namespace detail {

/// Length in bytes of the well-formed UTF-8 character that `text` starts with, 0 where there is none.
inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF ? 2 : lead >= 0xE0 && lead <= 0xEF ? 3 : 4;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF4 && byte(1) > 0x8F);
  return overlong || outside ? 0 : length;
}

}  // namespace detail

/// The first `limit` characters of `text` on one line: control characters (C0, DEL, C1) are left out, bytes that are
/// not UTF-8 become U+FFFD, and "..." marks a cut.
inline std::string excerpt(std::string_view text, std::size_t limit = 60) {
  std::string result;
  std::size_t characters = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = detail::utf8_length(text.substr(at));
    const auto lead = static_cast<unsigned char>(text[at]);
    const bool c1 = length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[at + 1]) < 0xA0;
    const bool control = (length == 1 && (lead < 0x20 || lead == 0x7F)) || c1;
    if (!control) {
      if (characters++ == limit) return result + "...";
      result += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(at, length);
    }
    at += length == 0 ? 1 : length;
  }
  return result;
}

}  // namespace maestro
