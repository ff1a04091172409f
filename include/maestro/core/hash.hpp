#pragma once

/// @file
/// A hash that tells changed content from unchanged: not against an adversary. Neutral.

#include <cstdint>
#include <string_view>

namespace maestro {

/// The hash of no bytes, from which every hash starts.
inline constexpr std::uint64_t fnv1a_start = 0xCBF29CE484222325u;

/// 64-bit FNV-1a of the bytes; `hash` continues an earlier piece, so pieces give what the whole gives. O(bytes).
/// Source: Fowler, Noll and Vo.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = fnv1a_start) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

}  // namespace maestro
