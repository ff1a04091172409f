#pragma once

/// @file
/// Tests of many floats at once for infinity and NaN. They look at the bits, so that the loops vectorize. Neutral.

#include <bit>
#include <cstddef>
#include <cstdint>

namespace maestro {

/// infinity_bits are the bits of a float's infinity; the bits of a NaN's magnitude are above them.
inline constexpr std::uint32_t infinity_bits = 0x7f800000u;

/// Gives the bits of the largest magnitude among `count` values. They are above infinity_bits if one of the values is
/// NaN, and equal to it if none is NaN but one is infinite.
inline std::uint32_t largest_magnitude(const float* values, std::size_t count) {
  std::uint32_t largest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu;
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

/// Tells whether none of `count` values is infinite or NaN.
inline bool all_finite(const float* values, std::size_t count) {
  return largest_magnitude(values, count) < infinity_bits;
}

/// Tells whether one of `count` values is infinite. NaN does not count as infinite.
inline bool any_infinite(const float* values, std::size_t count) {
  std::uint32_t infinite = 0;
  for (std::size_t i = 0; i < count; ++i) {
    infinite |= (std::bit_cast<std::uint32_t>(values[i]) & 0x7fffffffu) == infinity_bits ? 1u : 0u;
  }
  return infinite != 0;
}

}  // namespace maestro
