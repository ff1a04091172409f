#pragma once

/// @file
/// Element types of tensors in files, and their conversions.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include "maestro/core/bfloat16.hpp"
#include "maestro/core/float16.hpp"

namespace maestro {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian");

/// Dtype is the element type of a stored tensor. The types of the format are in the order in which safetensors' own
/// writer ranks them.
enum class Dtype : std::uint8_t {
  boolean,
  f4,
  f6_e2m3,
  f6_e3m2,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  f8_e8m0,
  f8_e4m3fnuz,
  f8_e5m2fnuz,
  i16,
  u16,
  f16,
  bf16,
  i32,
  u32,
  f32,
  c64,
  f64,
  i64,
  u64
};

/// DtypeInfo holds the format's properties of an element type.
struct DtypeInfo {
  std::string_view name;  ///< as safetensors spells it
  std::size_t bits;       ///< per element
};

/// The table of element types, in the enum's order.
inline constexpr std::array<DtypeInfo, 22> dtype_table{
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

/// Gives the name of a type as safetensors spells it.
constexpr std::string_view name_of(Dtype dtype) { return dtype_table[static_cast<std::size_t>(dtype)].name; }
/// Gives the number of bits of one element.
constexpr std::size_t bits_of(Dtype dtype) { return dtype_table[static_cast<std::size_t>(dtype)].bits; }
/// Gives the number of bytes of one element, for a type of whole bytes.
constexpr std::size_t size_of(Dtype dtype) { return bits_of(dtype) / 8; }

/// Gives the element type that stores a T exactly.
template <class T>
requires std::is_arithmetic_v<T>
constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, bool>) {
    return Dtype::boolean;
  } else if constexpr (std::is_floating_point_v<T>) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "float and double only");
    return sizeof(T) == 4 ? Dtype::f32 : Dtype::f64;
  } else if constexpr (std::is_signed_v<T>) {
    return sizeof(T) == 1 ? Dtype::i8 : sizeof(T) == 2 ? Dtype::i16 : sizeof(T) == 4 ? Dtype::i32 : Dtype::i64;
  } else {
    return sizeof(T) == 1 ? Dtype::u8 : sizeof(T) == 2 ? Dtype::u16 : sizeof(T) == 4 ? Dtype::u32 : Dtype::u64;
  }
}

/// Gives element `index` of raw bytes of a floating element type. The bytes need no alignment. The result is exact: a
/// double for F64, and a float otherwise.
template <Dtype dtype>
auto load_float(const std::byte* data, std::size_t index) {
  if constexpr (dtype == Dtype::f16 || dtype == Dtype::bf16) {
    std::uint16_t bits;
    std::memcpy(&bits, data + 2 * index, 2);
    return dtype == Dtype::f16 ? from_f16(bits) : from_bf16(bits);
  } else if constexpr (dtype == Dtype::f32) {
    float value;
    std::memcpy(&value, data + 4 * index, 4);
    return value;
  } else {
    static_assert(dtype == Dtype::f64);
    double value;
    std::memcpy(&value, data + 8 * index, 8);
    return value;
  }
}

}  // namespace maestro
