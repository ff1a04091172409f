#pragma once

/// @file
/// RMS normalization, y = w x / sqrt(mean(x^2) + eps). Source: Zhang and Sennrich 2019,
/// https://arxiv.org/abs/1910.07467.

#include <cmath>
#include <cstddef>
#include <span>

#include "maestro/core/parallel.hpp"
#include "maestro/core/vector_loops.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/layers/column_sums.hpp"

namespace maestro {

/// Normalizes one vector of `count` values; y may be x. It gives 1 / sqrt(mean(x^2) + eps), which the backward pass
/// needs.
template <class T>
inline T rms_norm_vector(const T* x, const T* weight, double eps, std::size_t count, T* y) {
  const T inverse =
      static_cast<T>(1.0 / std::sqrt(static_cast<double>(dot(x, x, count)) / static_cast<double>(count) + eps));
  for (std::size_t c = 0; c < count; ++c) y[c] = weight[c] * (x[c] * inverse);
  return inverse;
}

/// Computes the gradient of one vector: dx = inverse (w dy - x inverse^2 mean(w dy x)), and d_weight += dy x inverse.
/// `put(d_x[c], value)` must overwrite d_x[c] or add to it. If it overwrites, d_x may be d_y.
template <class T, class Put>
inline void rms_norm_vector_backward(const T* x, const T* weight, T inverse, const T* d_y, std::size_t count, T* d_x,
                                     T* d_weight, Put put) {
  const T mean = dot3(weight, d_y, x, count) / static_cast<T>(count);
  const T factor = inverse * inverse * inverse * mean;
  for (std::size_t c = 0; c < count; ++c) {
    d_weight[c] += d_y[c] * x[c] * inverse;
    put(d_x[c], inverse * weight[c] * d_y[c] - factor * x[c]);
  }
}

/// Normalizes the rows of x (rows x d) and overwrites y (rows x d) with the results. `inverse` (rows) receives 1 /
/// sqrt(mean(x^2) + eps), which the backward pass needs.
template <class T>
void rms_norm(MatrixView<const T> x, std::span<const T> weight, double eps, MatrixView<T> y, std::span<T> inverse) {
  parallel_for(x.rows(), 4 * x.cols(), [&](std::size_t r) {
    inverse[r] = rms_norm_vector(x.row(r).data(), weight.data(), eps, x.cols(), y.row(r).data());
  });
}

/// Adds the gradient by x to d_x (rows x d), which is the residual stream's, and the gradient by the weight to d_weight
/// (d). The result does not depend on the number of threads.
template <class T>
void rms_norm_backward(MatrixView<const T> x, std::span<const T> weight, std::span<const T> inverse,
                       MatrixView<const T> d_y, MatrixView<T> d_x, std::span<T> d_weight, ColumnSums<T>& sums) {
  sums.add(x.rows(), d_weight, [&](std::size_t r, T* sum) {
    rms_norm_vector_backward(x.row(r).data(), weight.data(), inverse[r], d_y.row(r).data(), x.cols(), d_x.row(r).data(),
                             sum, [](T& to, T value) { to += value; });
  });
}

}  // namespace maestro
