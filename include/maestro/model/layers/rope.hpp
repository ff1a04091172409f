#pragma once

/// @file
/// Rotary position embedding in the half-split convention of Hugging Face: element i of a head turns with element
/// i + D/2 by the angle position * theta^(-2i/D). Source: Su et al. 2021.

#include <cmath>
#include <cstddef>

#include "maestro/core/buffer.hpp"

namespace maestro {

/// cos and sin of every position in use, computed in double.
template <class T>
class RopeTable {
 public:
  /// Holds positions [0, positions) afterwards; grows by doubling, so that a decoder's calls settle.
  void ensure(std::size_t head_dim, double theta, std::size_t positions) {
    if (head_dim == 2 * cos_.cols() && theta == theta_ && positions <= cos_.rows()) return;
    const std::size_t half = head_dim / 2;
    std::size_t rows = 64;
    while (rows < positions) rows *= 2;
    theta_ = theta;
    cos_.resize(rows, half);
    sin_.resize(rows, half);
    for (std::size_t i = 0; i < half; ++i) {
      const double frequency = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
      for (std::size_t p = 0; p < rows; ++p) {
        const double angle = static_cast<double>(p) * frequency;
        cos_(p, i) = static_cast<T>(std::cos(angle));
        sin_(p, i) = static_cast<T>(std::sin(angle));
      }
    }
  }

  std::size_t positions() const { return cos_.rows(); }

  /// Turns one head of D values in place to `position`.
  void rotate(T* head, std::size_t position) const { turn<false>(head, position); }
  /// Turns one head back: the gradient of `rotate`.
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
  double theta_ = 0.0;
};

}  // namespace maestro
