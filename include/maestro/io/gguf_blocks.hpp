#pragma once

/// @file
/// The element types of GGUF files, and the values of their quantized blocks, equal to those of the `gguf` Python
/// package to the bit. Source: https://github.com/ggml-org/llama.cpp (gguf-py/gguf/quants.py).

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "maestro/io/dtype.hpp"

namespace maestro {

/// GgufType is the element type of a tensor of a GGUF file; the values are the file's own numbers.
enum class GgufType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  bf16 = 30,
};

namespace detail {

/// GgufBlock says how many values one block of a type holds, and in how many bytes.
struct GgufBlock {
  GgufType type;
  std::string_view name;
  std::size_t values;
  std::size_t bytes;
};
inline constexpr std::array<GgufBlock, 13> gguf_blocks{{{GgufType::f32, "F32", 1, 4},
                                                        {GgufType::f16, "F16", 1, 2},
                                                        {GgufType::q4_0, "Q4_0", 32, 18},
                                                        {GgufType::q4_1, "Q4_1", 32, 20},
                                                        {GgufType::q5_0, "Q5_0", 32, 22},
                                                        {GgufType::q5_1, "Q5_1", 32, 24},
                                                        {GgufType::q8_0, "Q8_0", 32, 34},
                                                        {GgufType::q2_k, "Q2_K", 256, 84},
                                                        {GgufType::q3_k, "Q3_K", 256, 110},
                                                        {GgufType::q4_k, "Q4_K", 256, 144},
                                                        {GgufType::q5_k, "Q5_K", 256, 176},
                                                        {GgufType::q6_k, "Q6_K", 256, 210},
                                                        {GgufType::bf16, "BF16", 1, 2}}};

/// BlockBytes reads the bytes of one block.
class BlockBytes {
 public:
  explicit BlockBytes(const std::byte* data) : data_(data) {}
  unsigned operator[](std::size_t i) const { return std::to_integer<unsigned>(data_[i]); }
  int signed_at(std::size_t i) const { return static_cast<std::int8_t>(std::to_integer<std::uint8_t>(data_[i])); }
  /// Gives the half-precision number at byte i.
  float half(std::size_t i) const { return static_cast<float>(load_float<Dtype::f16>(data_ + i, 0)); }

 private:
  const std::byte* data_;
};

/// Fills 32 values of 4 or 5 bits: low halves of bytes first. `high` is the place of the fifth bits, 0 if there are
/// none.
template <class F>
void unpack_32(const BlockBytes& b, std::size_t low, std::size_t high, F&& value) {
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned byte = b[low + i % 16];
    unsigned q = i < 16 ? byte & 15u : byte >> 4;
    if (high != 0) q |= ((b[high + i / 8] >> (i % 8)) & 1u) << 4;
    value(i, static_cast<int>(q));
  }
}

/// Gives scale and minimum of sub-block j of Q4_K and Q5_K, 6 bits each, from 12 bytes at `at`.
inline std::array<float, 2> scale_min(const BlockBytes& b, std::size_t at, std::size_t j) {
  if (j < 4) return {static_cast<float>(b[at + j] & 63u), static_cast<float>(b[at + j + 4] & 63u)};
  const unsigned scale = (b[at + j + 4] & 15u) | ((b[at + j - 4] >> 6) << 4);
  const unsigned minimum = (b[at + j + 4] >> 4) | ((b[at + j] >> 6) << 4);
  return {static_cast<float>(scale), static_cast<float>(minimum)};
}

inline void dequantize_q2_k(const BlockBytes& b, float* out) {
  const float d = b.half(80);
  const float d_min = b.half(82);
  for (std::size_t i = 0; i < 256; ++i) {
    const unsigned scale = b[i / 16];
    const unsigned q = (b[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3u;
    const float dl = d * static_cast<float>(scale & 15u);
    const float ml = d_min * static_cast<float>(scale >> 4);
    const float product = dl * static_cast<float>(q);
    out[i] = product - ml;
  }
}

inline void dequantize_q3_k(const BlockBytes& b, float* out) {
  const float d = b.half(108);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t j = i / 16;
    const unsigned low = (b[96 + j % 8] >> (j / 8 * 4)) & 15u;
    const unsigned high = (b[104 + j % 4] >> (j / 4 * 2)) & 3u;
    const int scale = static_cast<int>(low | (high << 4)) - 32;
    const int q = static_cast<int>((b[32 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3u);
    const bool set = ((b[i % 32] >> (i / 32)) & 1u) != 0;
    const float dl = d * static_cast<float>(scale);
    out[i] = dl * static_cast<float>(set ? q : q - 4);
  }
}

/// Q4_K if `high` is 0, else Q5_K with the fifth bits there.
inline void dequantize_q45_k(const BlockBytes& b, std::size_t high, std::size_t low, float* out) {
  const float d = b.half(0);
  const float d_min = b.half(2);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t j = i / 32;
    const auto [scale, minimum] = scale_min(b, 4, j);
    unsigned q = (b[low + i / 64 * 32 + i % 32] >> (j % 2 * 4)) & 15u;
    if (high != 0) q |= ((b[high + i % 32] >> j) & 1u) << 4;
    const float dl = d * scale;
    const float ml = d_min * minimum;
    const float product = dl * static_cast<float>(q);
    out[i] = product - ml;
  }
}

inline void dequantize_q6_k(const BlockBytes& b, float* out) {
  const float d = b.half(208);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t half = i / 128;
    const std::size_t quarter = i % 128 / 32;
    const unsigned low = (b[half * 64 + quarter % 2 * 32 + i % 32] >> (quarter / 2 * 4)) & 15u;
    const unsigned high = (b[128 + half * 32 + i % 32] >> (quarter * 2)) & 3u;
    const float dl = d * static_cast<float>(b.signed_at(192 + i / 16));
    out[i] = dl * static_cast<float>(static_cast<int>(low | (high << 4)) - 32);
  }
}

/// Fills the values of one block of 32.
inline void dequantize_32(GgufType type, const BlockBytes& b, float* out) {
  const float d = b.half(0);
  const bool has_minimum = type == GgufType::q4_1 || type == GgufType::q5_1;
  const float m = has_minimum ? b.half(2) : 0.0f;
  if (type == GgufType::q8_0) {
    for (std::size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(b.signed_at(2 + i));
    return;
  }
  const bool five = type == GgufType::q5_0 || type == GgufType::q5_1;
  const std::size_t after = has_minimum ? 4 : 2;
  const int center = has_minimum ? 0 : five ? 16 : 8;
  unpack_32(b, after + (five ? 4u : 0u), five ? after : 0u, [&](std::size_t i, int q) {
    const float product = d * static_cast<float>(q - center);
    out[i] = has_minimum ? product + m : product;
  });
}

/// Fills the values of one block.
inline void dequantize_block(GgufType type, const std::byte* data, float* out) {
  const BlockBytes b(data);
  switch (type) {
    case GgufType::f32:
      std::memcpy(out, data, 4);
      return;
    case GgufType::f16:
      *out = b.half(0);
      return;
    case GgufType::bf16:
      *out = static_cast<float>(load_float<Dtype::bf16>(data, 0));
      return;
    case GgufType::q2_k:
      return dequantize_q2_k(b, out);
    case GgufType::q3_k:
      return dequantize_q3_k(b, out);
    case GgufType::q4_k:
      return dequantize_q45_k(b, 0, 16, out);
    case GgufType::q5_k:
      return dequantize_q45_k(b, 16, 48, out);
    case GgufType::q6_k:
      return dequantize_q6_k(b, out);
    default:
      return dequantize_32(type, b, out);
  }
}

}  // namespace detail

}  // namespace maestro
