#pragma once

/// @file
/// The element types of GGUF files, and the values of their quantized blocks, equal to those of the `gguf` Python
/// package to the bit. The loops are plain; the compiler makes vector instructions of them, once for each instruction
/// set. Source: https://github.com/ggml-org/llama.cpp (gguf-py/gguf/quants.py).

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "maestro/core/bfloat16.hpp"
#include "maestro/core/float16.hpp"
#include "maestro/core/isa.hpp"

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

/// Gives what a type's blocks are.
constexpr const GgufBlock& gguf_block(GgufType type) {
  return *std::find_if(gguf_blocks.begin(), gguf_blocks.end(),
                       [&](const GgufBlock& block) { return block.type == type; });
}

/// Gives the bytes of a row of `values` values, a multiple of the block's.
constexpr std::size_t gguf_row_bytes(GgufType type, std::size_t values) {
  return values / gguf_block(type).values * gguf_block(type).bytes;
}

/// The number of values that are dequantized together: all quantized types have scales of 32 values, or of parts of
/// them.
inline constexpr std::size_t gguf_step = 32;

MAESTRO_INLINE float half_at(const std::uint8_t* at) {
  std::uint16_t bits;
  std::memcpy(&bits, at, 2);
  return from_f16(bits);
}

// Each function below fills the values of steps [begin, end) of one block, which is one step in types of 32 values.
// Products to which something is added have at most 24 bits, hence are exact: a fused multiplication and addition gives
// the same.

/// Dequantizes a block of Q4_0, Q4_1, Q5_0 or Q5_1: low halves of 16 bytes first; the fifth bits lie in 32 bits of
/// their own.
template <bool five, bool minimum>
MAESTRO_INLINE void dequantize_45(const std::uint8_t* __restrict b, std::size_t, std::size_t, float* __restrict out) {
  const float d = half_at(b);
  const float m = minimum ? half_at(b + 2) : 0.0f;
  const std::uint8_t* const low = b + (minimum ? 4 : 2) + (five ? 4 : 0);
  std::uint32_t fifth = 0;
  if constexpr (five) std::memcpy(&fifth, b + (minimum ? 4 : 2), 4);
  constexpr int center = minimum ? 0 : five ? 16 : 8;
  for (std::uint32_t i = 0; i < 16; ++i) {
    const std::uint32_t first = (low[i] & 15u) | ((fifth >> i & 1u) << 4);
    const std::uint32_t second = (low[i] >> 4) | ((fifth >> (i + 16) & 1u) << 4);
    out[i] = d * static_cast<float>(static_cast<int>(first) - center);
    out[i + 16] = d * static_cast<float>(static_cast<int>(second) - center);
    if constexpr (minimum) {
      out[i] += m;
      out[i + 16] += m;
    }
  }
}

MAESTRO_INLINE void dequantize_q8_0(const std::uint8_t* __restrict b, std::size_t, std::size_t, float* __restrict out) {
  const float d = half_at(b);
  for (std::size_t i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<std::int8_t>(b[2 + i]));
}

MAESTRO_INLINE void dequantize_q2_k(const std::uint8_t* __restrict b, std::size_t begin, std::size_t end,
                                    float* __restrict out) {
  const float d = half_at(b + 80);
  const float d_min = half_at(b + 82);
  for (std::size_t j = 2 * begin; j < 2 * end; ++j, out += 16) {
    const float dl = d * static_cast<float>(b[j] & 15u);
    const float ml = d_min * static_cast<float>(b[j] >> 4);
    const std::uint8_t* __restrict const q = b + 16 + j / 8 * 32 + j % 2 * 16;
    const std::size_t shift = j % 8 / 2 * 2;
    for (std::size_t i = 0; i < 16; ++i) out[i] = dl * static_cast<float>((q[i] >> shift) & 3) - ml;
  }
}

MAESTRO_INLINE void dequantize_q3_k(const std::uint8_t* __restrict b, std::size_t begin, std::size_t end,
                                    float* __restrict out) {
  const float d = half_at(b + 108);
  for (std::size_t j = 2 * begin; j < 2 * end; ++j, out += 16) {
    const unsigned low = (b[96 + j % 8] >> (j / 8 * 4)) & 15u;
    const unsigned high = (b[104 + j % 4] >> (j / 4 * 2)) & 3u;
    const float dl = d * static_cast<float>(static_cast<int>(low | (high << 4)) - 32);
    const std::uint8_t* __restrict const q = b + 32 + j / 8 * 32 + j % 2 * 16;
    const std::uint8_t* __restrict const third = b + j % 2 * 16;
    const std::size_t shift = j % 8 / 2 * 2;
    for (std::size_t i = 0; i < 16; ++i) {
      const int value = ((q[i] >> shift) & 3) + ((third[i] >> (j / 2)) & 1) * 4 - 4;
      out[i] = dl * static_cast<float>(value);
    }
  }
}

/// Dequantizes a block of Q4_K, or of Q5_K, whose fifth bits lie before the rest. Scale and minimum of a step have 6
/// bits each, of 12 bytes.
template <bool five>
MAESTRO_INLINE void dequantize_q45_k(const std::uint8_t* __restrict b, std::size_t begin, std::size_t end,
                                     float* __restrict out) {
  const float d = half_at(b);
  const float d_min = half_at(b + 2);
  const std::uint8_t* const s = b + 4;
  for (std::size_t j = begin; j < end; ++j, out += 32) {
    const unsigned scale = j < 4 ? s[j] & 63u : (s[j + 4] & 15u) | (static_cast<unsigned>(s[j - 4] >> 6) << 4);
    const unsigned least =
        j < 4 ? s[j + 4] & 63u : static_cast<unsigned>(s[j + 4] >> 4) | (static_cast<unsigned>(s[j] >> 6) << 4);
    const float dl = d * static_cast<float>(scale);
    const float ml = d_min * static_cast<float>(least);
    const std::uint8_t* __restrict const q = b + (five ? 48 : 16) + j / 2 * 32;
    const std::uint8_t* __restrict const fifth = b + 16;
    const std::size_t shift = j % 2 * 4;
    for (std::size_t i = 0; i < 32; ++i) {
      int value = (q[i] >> shift) & 15;
      if constexpr (five) value |= ((fifth[i] >> j) & 1) << 4;
      out[i] = dl * static_cast<float>(value) - ml;
    }
  }
}

MAESTRO_INLINE void dequantize_q6_k(const std::uint8_t* __restrict b, std::size_t begin, std::size_t end,
                                    float* __restrict out) {
  const float d = half_at(b + 208);
  for (std::size_t j = 2 * begin; j < 2 * end; ++j, out += 16) {
    const float dl = d * static_cast<float>(static_cast<std::int8_t>(b[192 + j]));
    const std::size_t quarter = j % 8 / 2;
    const std::uint8_t* __restrict const low = b + j / 8 * 64 + quarter % 2 * 32 + j % 2 * 16;
    const std::uint8_t* __restrict const high = b + 128 + j / 8 * 32 + j % 2 * 16;
    const std::size_t low_shift = quarter / 2 * 4;
    const std::size_t high_shift = quarter * 2;
    for (std::size_t i = 0; i < 16; ++i) {
      const int value = ((low[i] >> low_shift) & 15) | (((high[i] >> high_shift) & 3) << 4);
      out[i] = dl * static_cast<float>(value - 32);
    }
  }
}

/// Fills values [first, first + count) of a row of a quantized type.
template <GgufType type, auto dequantize_steps>
MAESTRO_INLINE void dequantize_blocks(const std::uint8_t* row, std::size_t first, std::size_t count, float* out) {
  constexpr GgufBlock block = gguf_block(type);
  const std::size_t last = first + count;
  while (first < last) {
    const std::size_t at = first / block.values;
    const std::size_t end = std::min(last, (at + 1) * block.values);
    dequantize_steps(row + at * block.bytes, first % block.values / gguf_step, (end - at * block.values) / gguf_step,
                     out);
    out += end - first;
    first = end;
  }
}

/// Fills values of a row of 2 bytes each.
template <class Convert>
MAESTRO_INLINE void widen(const std::uint8_t* __restrict from, std::size_t count, float* __restrict out,
                          Convert&& convert) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint16_t bits;
    std::memcpy(&bits, from + 2 * i, 2);
    out[i] = convert(bits);
  }
}

/// Fills values [first, first + count) of a row.
MAESTRO_INLINE void dequantize_plain(GgufType type, const std::byte* row, std::size_t first, std::size_t count,
                                     float* out) {
  const auto* const b = reinterpret_cast<const std::uint8_t*>(row);
  switch (type) {
    case GgufType::f32:
      std::memcpy(out, b + 4 * first, 4 * count);
      return;
    case GgufType::f16:
      return widen(b + 2 * first, count, out, [](std::uint16_t bits) { return from_f16(bits); });
    case GgufType::bf16:
      return widen(b + 2 * first, count, out, [](std::uint16_t bits) { return from_bf16(bits); });
    case GgufType::q4_0:
      return dequantize_blocks<GgufType::q4_0, &dequantize_45<false, false>>(b, first, count, out);
    case GgufType::q4_1:
      return dequantize_blocks<GgufType::q4_1, &dequantize_45<false, true>>(b, first, count, out);
    case GgufType::q5_0:
      return dequantize_blocks<GgufType::q5_0, &dequantize_45<true, false>>(b, first, count, out);
    case GgufType::q5_1:
      return dequantize_blocks<GgufType::q5_1, &dequantize_45<true, true>>(b, first, count, out);
    case GgufType::q8_0:
      return dequantize_blocks<GgufType::q8_0, &dequantize_q8_0>(b, first, count, out);
    case GgufType::q2_k:
      return dequantize_blocks<GgufType::q2_k, &dequantize_q2_k>(b, first, count, out);
    case GgufType::q3_k:
      return dequantize_blocks<GgufType::q3_k, &dequantize_q3_k>(b, first, count, out);
    case GgufType::q4_k:
      return dequantize_blocks<GgufType::q4_k, &dequantize_q45_k<false>>(b, first, count, out);
    case GgufType::q5_k:
      return dequantize_blocks<GgufType::q5_k, &dequantize_q45_k<true>>(b, first, count, out);
    case GgufType::q6_k:
      return dequantize_blocks<GgufType::q6_k, &dequantize_q6_k>(b, first, count, out);
  }
}

#if MAESTRO_X86
MAESTRO_AVX2 inline void dequantize_avx2(GgufType type, const std::byte* row, std::size_t first, std::size_t count,
                                         float* out) {
  dequantize_plain(type, row, first, count, out);
}
#endif

/// Fills values [first, first + count) of a row of whole blocks. In quantized types `first` and `count` are multiples
/// of gguf_step. The bits are the same for every instruction set.
inline void dequantize(GgufType type, const std::byte* row, std::size_t first, std::size_t count, float* out,
                       [[maybe_unused]] Isa isa = best_isa()) {
#if MAESTRO_X86
  if (isa >= Isa::avx2) return dequantize_avx2(type, row, first, count, out);
#endif
  dequantize_plain(type, row, first, count, out);
}

}  // namespace detail

}  // namespace maestro
