#pragma once

/// @file
/// Untrusted text, cleaned and shortened for an error message.

#include <cstddef>
#include <string>
#include <string_view>

#include "maestro/text/utf8.hpp"

namespace maestro {

/// Gives the first `limit` characters of `text` on one line. Control characters (C0, DEL, C1) are left out, broken
/// UTF-8 becomes U+FFFD, and "..." marks a cut.
inline std::string excerpt(std::string_view text, std::size_t limit = 60) {
  const std::string valid = replace_invalid_utf8(text);
  std::string result;
  std::size_t characters = 0;
  for (std::size_t at = 0; at < valid.size();) {
    std::size_t broken = 0;
    const std::size_t length = utf8_length(std::string_view(valid).substr(at), broken);
    const auto lead = static_cast<unsigned char>(valid[at]);
    const bool c1 = lead == 0xC2 && static_cast<unsigned char>(valid[at + 1]) < 0xA0;
    if (lead >= 0x20 && lead != 0x7F && !c1) {
      if (characters++ == limit) return result + "...";
      result += valid.substr(at, length);
    }
    at += length;
  }
  return result;
}

}  // namespace maestro
