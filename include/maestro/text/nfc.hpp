#pragma once

/// @file
/// Unicode normalization form C by utf8proc. Needs maestro::tokenizers.

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/text/unicode.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

namespace detail {

/// Tells whether no character of `text` can change in NFC, whatever its neighbors are. The result may be false for a
/// text that does not change.
inline bool surely_nfc(std::string_view text) {
  while (!text.empty()) {
    const CodePoint c = first_code_point(text);
    // Before the combining marks, and the CJK ideographs.
    if (c.value >= 0x300 && (c.value < 0x3400 || c.value >= 0xa000)) return false;
    text.remove_prefix(c.bytes);
  }
  return true;
}

/// Tells whether normalization may change `c` although Unicode 9 does not have it: combining marks and compositions of
/// Unicode 10 to 15. The ranges may contain characters that never change.
inline bool is_later_than_unicode_9(char32_t c) {
  static constexpr std::array<std::pair<char32_t, char32_t>, 37> ranges{
      {{0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},     {0xc3c, 0xc3c},
       {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},   {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},
       {0xa82c, 0xa82c},   {0x10d24, 0x10d27}, {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50},
       {0x10f82, 0x10f85}, {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
       {0x11930, 0x11938}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0}, {0x11a34, 0x11a34},
       {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42}, {0x11d44, 0x11d45}, {0x11d97, 0x11d97},
       {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1}, {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae},
       {0x1e2ec, 0x1e2ef}, {0x1e4ec, 0x1e4ef}}};
  const auto range = std::lower_bound(ranges.begin(), ranges.end(), c,
                                      [](const auto& one, char32_t wanted) { return one.second < wanted; });
  return range != ranges.end() && range->first <= c;
}

/// Appends the normalization form C of `text`.
/// @throws BadData for a text of more than 2^30 bytes.
inline void append_nfc(std::string_view text, std::string& out) {
  if (text.size() > (std::size_t{1} << 30)) throw BadData("NFC: a text of more than 2^30 bytes");
  if (text.empty()) return;
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t size =
      ::utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                     &result, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(result, &std::free);
  if (size == UTF8PROC_ERROR_NOMEM) throw std::bad_alloc();
  if (size < 0) throw BadData(std::string("NFC: ") + ::utf8proc_errmsg(size));
  out.append(reinterpret_cast<const char*>(result), static_cast<std::size_t>(size));
}

}  // namespace detail

/// Gives `text`, which must be valid UTF-8, in normalization form C of Unicode 9. The `tokenizers` library (0.23) uses
/// this version, so later characters do not change and no character moves past them. Source: Unicode Standard Annex 15.
/// @throws BadData for a text of more than 2^30 bytes.
inline std::string to_nfc(std::string_view text) {
  if (detail::surely_nfc(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = first_code_point(text.substr(at));
    if (detail::is_later_than_unicode_9(c.value)) {
      detail::append_nfc(text.substr(done, at - done), out);
      out.append(text.substr(at, c.bytes));
      done = at + c.bytes;
    }
    at += c.bytes;
  }
  detail::append_nfc(text.substr(done), out);
  return out;
}

}  // namespace maestro
