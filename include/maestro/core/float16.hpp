#pragma once

/// @file
/// IEEE binary16, a storage type of files. Neutral.

#include <cstdint>

#include "maestro/core/platform.hpp"

namespace maestro {

/// Converts an IEEE binary16 to float. The conversion is exact.
MAESTRO_HD inline float from_f16(std::uint16_t half) {
  // Without branches, so that loops over it become vector instructions.
  const std::uint32_t exponent = (half >> 10) & 0x1fu;
  const std::uint32_t shifted = static_cast<std::uint32_t>(half & 0x7fffu) << 13;
  const float subnormal = static_cast<float>(static_cast<std::int32_t>(half & 0x3ffu)) * 0x1p-24f;
  const std::uint32_t normal = shifted + (exponent == 0x1fu ? 0x70000000u : 0x38000000u);
  const std::uint32_t magnitude = exponent == 0 ? __builtin_bit_cast(std::uint32_t, subnormal) : normal;
  return __builtin_bit_cast(float, magnitude | (static_cast<std::uint32_t>(half & 0x8000u) << 16));
}

}  // namespace maestro
