#pragma once

/// @file
/// Rotary position embedding in the half-split convention of Hugging Face. Elements i and i + D/2 of a head form a
/// pair, which is rotated by the angle position * rope_frequency(i).

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>

#include "maestro/core/buffer.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

namespace detail {

/// Gives the part of yarn's frequency of pair i that is slow: a ramp from 0 at the pair that turns beta_fast times in
/// the old context to 1 at the pair that turns beta_slow times in it.
inline double yarn_slowed(const RopeOptions& rope, std::size_t i) {
  const RopeScaling& s = rope.scaling;
  const auto dim = static_cast<double>(rope.head_dim);
  const auto pair_of = [&](double turns) {
    const double context = static_cast<double>(s.original_max_positions);
    return dim * std::log(context / (turns * 2.0 * std::numbers::pi)) / (2.0 * std::log(rope.theta));
  };
  double low = pair_of(s.beta_fast);
  double high = pair_of(s.beta_slow);
  if (s.whole_pairs) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::clamp(low, 0.0, 1e9);
  high = std::clamp(high, -1e9, dim - 1.0);
  if (low == high) high += 0.001;
  return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
}

}  // namespace detail

/// Gives the angle in radians by which pair i of a head of D elements turns from one position to the next. Without
/// scaling it is f = theta^(-2i/D). For type linear it is f / F with the factor F. For type llama3 it is as follows,
/// with the wavelength w = 2 pi / f, the old context L, and the low and high frequency factors a and b:
/// wavelength w = 2 pi / f, the old context L, and the low and high frequency factors a and b:
///
///     w > L / a           f / F
///     w < L / b           f
///     else                (1 - s) f / F + s f   with   s = (L / w - a) / (b - a)
///
/// For type yarn it is r f / F + (1 - r) f, where r goes from 0 to 1 over the pairs between those that turn beta_fast
/// and beta_slow times in L.
/// @param i  in [0, D / 2).
/// Source: Su et al. 2021; Peng et al. 2023 (YaRN), https://arxiv.org/abs/2309.00071; all as in transformers' rope
/// types "linear", "llama3" and "yarn".
inline double rope_frequency(const RopeOptions& rope, std::size_t i) {
  const double f = std::pow(rope.theta, -2.0 * static_cast<double>(i) / static_cast<double>(rope.head_dim));
  const RopeScaling& s = rope.scaling;
  if (s.type == RopeType::unscaled) return f;
  if (s.type == RopeType::linear) return f / s.factor;
  if (s.type == RopeType::yarn) {
    const double slowed = detail::yarn_slowed(rope, i);
    return slowed * f / s.factor + (1.0 - slowed) * f;
  }
  const double turns = static_cast<double>(s.original_max_positions) * f / (2.0 * std::numbers::pi);
  if (turns < s.low_freq_factor) return f / s.factor;
  if (turns > s.high_freq_factor) return f;
  const double kept = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1.0 - kept) * f / s.factor + kept * f;
}

/// RopeTable holds cosine and sine of the angles of all positions in use, computed in double. For type yarn both are
/// multiplied by the attention factor.
template <class T>
class RopeTable {
 public:
  /// Extends the table to positions [0, positions). The table grows by doubling, so that the calls of a decoder soon
  /// stop allocating.
  void ensure(const RopeOptions& rope, std::size_t positions) {
    if (rope == rope_ && positions <= cos_.rows()) return;
    const std::size_t half = rope.head_dim / 2;
    std::size_t rows = 64;
    while (rows < positions) rows *= 2;
    rope_ = rope;
    cos_.resize(rows, half);
    sin_.resize(rows, half);
    const double scale = rope.scaling.type == RopeType::yarn ? rope.scaling.attention_factor : 1.0;
    for (std::size_t i = 0; i < half; ++i) {
      const double frequency = rope_frequency(rope, i);
      for (std::size_t p = 0; p < rows; ++p) {
        const double angle = static_cast<double>(p) * frequency;
        cos_(p, i) = static_cast<T>(scale * std::cos(angle));
        sin_(p, i) = static_cast<T>(scale * std::sin(angle));
      }
    }
  }

  std::size_t positions() const { return cos_.rows(); }

  /// Rotates one head of D values in place, for `position`.
  void rotate(T* head, std::size_t position) const { turn<false>(head, position); }
  /// Computes the gradient of `rotate` in place: it rotates one head back, with the same scale.
  void rotate_back(T* head, std::size_t position) const { turn<true>(head, position); }

 private:
  template <bool back>
  void turn(T* head, std::size_t position) const {
    const std::size_t half = cos_.cols();
    const T* __restrict const cosine = cos_.row(position).data();
    const T* __restrict const sine = sin_.row(position).data();
    T* __restrict const low = head;
    T* __restrict const high = head + half;
    for (std::size_t i = 0; i < half; ++i) {
      const T s = back ? -sine[i] : sine[i];
      const T a = low[i];
      const T b = high[i];
      low[i] = a * cosine[i] - b * s;
      high[i] = b * cosine[i] + a * s;
    }
  }

  Matrix<T> cos_;
  Matrix<T> sin_;
  RopeOptions rope_;
};

}  // namespace maestro
