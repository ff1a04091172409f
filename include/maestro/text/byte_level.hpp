#pragma once

/// @file
/// The alphabet of byte-level BPE. It has one printable character for each byte, so that vocabularies are text.
/// Printable Latin-1 characters stand for their own bytes; the other bytes have the code points from 256 on. Source:
/// Radford et al. 2019 (GPT-2), bytes_to_unicode.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace maestro {

namespace detail {

constexpr std::size_t byte_level_code_points = 324;  // the largest is 256 + 67

constexpr std::array<std::uint16_t, 256> make_byte_level_alphabet() {
  std::array<std::uint16_t, 256> alphabet{};
  std::uint16_t next = 256;
  for (std::uint16_t byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet[byte] = itself ? byte : next++;
  }
  return alphabet;
}

}  // namespace detail

/// The code point that stands for each byte.
inline constexpr std::array<std::uint16_t, 256> byte_level_alphabet = detail::make_byte_level_alphabet();

namespace detail {

constexpr std::array<std::int16_t, byte_level_code_points> make_byte_level_bytes() {
  std::array<std::int16_t, byte_level_code_points> bytes{};
  for (auto& byte : bytes) byte = -1;
  for (std::size_t byte = 0; byte < 256; ++byte) bytes[byte_level_alphabet[byte]] = static_cast<std::int16_t>(byte);
  return bytes;
}
inline constexpr std::array<std::int16_t, byte_level_code_points> byte_level_bytes = make_byte_level_bytes();

}  // namespace detail

/// Gives the bytes of a token of the vocabulary; nullopt if one of its characters is not in the alphabet. `token` must
/// be valid UTF-8.
inline std::optional<std::string> bytes_of_symbols(std::string_view token) {
  std::string bytes;
  bytes.reserve(token.size());
  for (std::size_t i = 0; i < token.size(); ++i) {
    unsigned code = static_cast<unsigned char>(token[i]);
    if (code >= 0x80) {
      // Two bytes hold every code point of the alphabet.
      if (code >= 0xe0 || i + 1 >= token.size()) return std::nullopt;
      code = ((code & 0x1fu) << 6) | (static_cast<unsigned char>(token[++i]) & 0x3fu);
    }
    if (code >= detail::byte_level_code_points || detail::byte_level_bytes[code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(detail::byte_level_bytes[code])));
  }
  return bytes;
}

/// Gives bytes in the alphabet, as UTF-8.
inline std::string symbols_of_bytes(std::string_view bytes) {
  std::string symbols;
  symbols.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const unsigned code = byte_level_alphabet[static_cast<unsigned char>(c)];
    if (code < 0x80) {
      symbols.push_back(static_cast<char>(code));
    } else {
      symbols.push_back(static_cast<char>(0xc0 | (code >> 6)));
      symbols.push_back(static_cast<char>(0x80 | (code & 0x3f)));
    }
  }
  return symbols;
}

}  // namespace maestro
