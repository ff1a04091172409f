#pragma once

/// @file
/// Unicode normalization form C by utf8proc. Needs maestro::tokenizers.

#include <utf8proc.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/text/unicode.hpp"

namespace maestro {

namespace detail {

/// Whether each character of `text` stays as it is in NFC whatever stands beside it; false where that is not plain.
inline bool surely_nfc(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    // Before the combining marks, and the CJK ideographs.
    if (c.value >= 0x300 && (c.value < 0x3400 || c.value >= 0xa000)) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

}  // namespace detail

/// `text`, which is valid UTF-8, in normalization form C. Source: Unicode Standard Annex 15.
/// @throws BadData for a text of more than 2^30 bytes.
inline std::string to_nfc(std::string_view text) {
  if (detail::surely_nfc(text)) return std::string(text);
  if (text.size() > (std::size_t{1} << 30)) throw BadData("NFC: a text of more than 2^30 bytes");
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size =
      ::utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &result, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(result, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (size < 0) throw BadData(std::string("NFC: ") + ::utf8proc_errmsg(size));
  return {reinterpret_cast<const char*>(result), static_cast<std::size_t>(size)};
}

}  // namespace maestro
