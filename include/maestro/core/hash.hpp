#pragma once

/// @file
/// A hash that tells changed content from unchanged content. It does not resist an adversary. Neutral.

#include <cstdint>
#include <string_view>

namespace maestro {

/// fnv1a_start is the hash of no bytes, from which every hash starts.
inline constexpr std::uint64_t fnv1a_start = 0xCBF29CE484222325u;

/// Gives the 64-bit FNV-1a hash of the bytes. If `hash` is the hash of earlier bytes, the result is the hash of both
/// pieces together. O(bytes).
/// Source: Fowler, Noll and Vo.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = fnv1a_start) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

}  // namespace maestro
