#pragma once

/// @file
/// Loops over contiguous values that the layers share: sums in a fixed order that the compiler can vectorize, and the
/// exponential function.

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace maestro {

/// sum_lanes is the number of lanes of the sums below. Lane l adds elements l, l + 16, ...; then the upper half of the
/// lanes is added to the lower half until one is left. The order depends on the count alone, never on addresses or
/// vector width.
inline constexpr std::size_t sum_lanes = 16;

namespace detail {
template <class T>
inline T add_lanes(T* lane) {
  for (std::size_t width = sum_lanes / 2; width > 0; width /= 2) {
    for (std::size_t l = 0; l < width; ++l) lane[l] += lane[l + width];
  }
  return lane[0];
}
}  // namespace detail

/// Computes sum_i a_i b_i.
template <class T>
inline T dot(const T* a, const T* b, std::size_t count) {
  T lane[sum_lanes] = {};
  std::size_t i = 0;
  for (; i + sum_lanes <= count; i += sum_lanes) {
    for (std::size_t l = 0; l < sum_lanes; ++l) lane[l] += a[i + l] * b[i + l];
  }
  for (std::size_t l = 0; i + l < count; ++l) lane[l] += a[i + l] * b[i + l];
  return detail::add_lanes(lane);
}

/// Computes sum_i a_i b_i c_i.
template <class T>
inline T dot3(const T* a, const T* b, const T* c, std::size_t count) {
  T lane[sum_lanes] = {};
  std::size_t i = 0;
  for (; i + sum_lanes <= count; i += sum_lanes) {
    for (std::size_t l = 0; l < sum_lanes; ++l) lane[l] += a[i + l] * b[i + l] * c[i + l];
  }
  for (std::size_t l = 0; i + l < count; ++l) lane[l] += a[i + l] * b[i + l] * c[i + l];
  return detail::add_lanes(lane);
}

/// Gives the largest of count > 0 values.
template <class T>
inline T largest(const T* a, std::size_t count) {
  T lane[sum_lanes];
  for (std::size_t l = 0; l < sum_lanes; ++l) lane[l] = a[0];
  std::size_t i = 0;
  for (; i + sum_lanes <= count; i += sum_lanes) {
    for (std::size_t l = 0; l < sum_lanes; ++l) lane[l] = a[i + l] > lane[l] ? a[i + l] : lane[l];
  }
  for (std::size_t l = 0; i + l < count; ++l) lane[l] = a[i + l] > lane[l] ? a[i + l] : lane[l];
  for (std::size_t l = 1; l < sum_lanes; ++l) lane[0] = lane[l] > lane[0] ? lane[l] : lane[0];
  return lane[0];
}

/// Computes exp(x) for float without a call, so that loops over it vectorize. The result is within 2 units in the last
/// place of the exact value for x in [-87.3, 88.3]; arguments outside are clamped to that range (exp(-1000) gives
/// 1.2e-38, not 0). NaN stays NaN.
/// Source of the polynomial: Cephes, expf.
inline float fast_exp(float x) {
  x = x < -87.3f ? -87.3f : x;
  x = x > 88.3f ? 88.3f : x;
  // Adding 1.5 * 2^23 leaves the nearest integer of x / ln 2 in the low bits.
  constexpr float magic = 12582912.0f;
  const float shifted = x * 1.44269504088896341f + magic;
  const float n = shifted - magic;
  float r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const std::uint32_t exponent = (std::bit_cast<std::uint32_t>(shifted) + 127u) << 23;
  return p * std::bit_cast<float>(exponent);
}

/// Computes std::exp. The double version is for tests and references.
inline double fast_exp(double x) { return std::exp(x); }

/// Computes out_i = exp(scale x_i - shift) and returns the sum in the order of `dot`. `out` may be `x`.
template <class T>
inline T exp_and_sum(const T* x, std::size_t count, T scale, T shift, T* out) {
  T lane[sum_lanes] = {};
  std::size_t i = 0;
  for (; i + sum_lanes <= count; i += sum_lanes) {
    T e[sum_lanes];
    for (std::size_t l = 0; l < sum_lanes; ++l) e[l] = fast_exp(scale * x[i + l] - shift);
    for (std::size_t l = 0; l < sum_lanes; ++l) {
      out[i + l] = e[l];
      lane[l] += e[l];
    }
  }
  for (std::size_t l = 0; i + l < count; ++l) {
    out[i + l] = fast_exp(scale * x[i + l] - shift);
    lane[l] += out[i + l];
  }
  return detail::add_lanes(lane);
}

}  // namespace maestro
