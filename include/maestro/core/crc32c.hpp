#pragma once

/// @file
/// CRC-32C (Castagnoli), a checksum that finds flipped bits in files. It finds every change of up to 3 bits in a block
/// of 256 MB, and any other change with a probability of 1 - 2^-32. Source: RFC 3720, appendix B.4; slicing-by-8 of
/// Kounavis and Berry 2005.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace maestro {

namespace detail {

/// Row k holds the remainders of a byte followed by k zero bytes.
inline constexpr std::array<std::array<std::uint32_t, 256>, 8> crc32c_tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1u) != 0 ? 0x82f63b78u : 0u);
    tables[0][byte] = remainder;
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    for (std::size_t k = 1; k < 8; ++k) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xffu];
    }
  }
  return tables;
}();

}  // namespace detail

/// Computes the CRC-32C of bytes. If `crc` is the CRC-32C of earlier bytes, the result is that of both pieces together.
/// No bytes give 0.
inline std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t crc = 0) {
  static_assert(std::endian::native == std::endian::little);
  const auto& tables = detail::crc32c_tables;
  std::uint32_t state = ~crc;
  const std::byte* data = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, data += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data, 8);
    word ^= state;
    state = 0;
    for (std::size_t k = 0; k < 8; ++k) state ^= tables[7 - k][(word >> (8 * k)) & 0xffu];
  }
  for (; left > 0; --left, ++data)
    state = (state >> 8) ^ tables[0][(state ^ std::to_integer<std::uint32_t>(*data)) & 0xffu];
  return ~state;
}

}  // namespace maestro
