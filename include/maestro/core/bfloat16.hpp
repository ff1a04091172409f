#pragma once

/// @file
/// bfloat16, the upper half of a float. It is a storage type; nothing is computed in it. Neutral.

#include <cstdint>

#include "maestro/core/platform.hpp"

namespace maestro {

/// Converts a bfloat16 to float. The conversion is exact.
MAESTRO_HD inline float from_bf16(std::uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}

/// Converts a float to bfloat16, to nearest, ties to even. NaN stays NaN.
MAESTRO_HD inline std::uint16_t to_bf16(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  if (value != value) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Bfloat16 holds the bits of one stored value.
struct Bfloat16 {
  std::uint16_t bits = 0;

  Bfloat16() = default;
  MAESTRO_HD explicit Bfloat16(float value) : bits(to_bf16(value)) {}
  MAESTRO_HD explicit operator float() const { return from_bf16(bits); }
  MAESTRO_HD explicit operator double() const { return static_cast<double>(from_bf16(bits)); }

  friend bool operator==(const Bfloat16&, const Bfloat16&) = default;
};

static_assert(sizeof(Bfloat16) == 2);

}  // namespace maestro
