#pragma once

/// @file
/// The linear layer y = x W' + b over packed rows, with W (out x in) as in Hugging Face checkpoints.

#include <cstddef>
#include <span>
#include <type_traits>

#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/frozen_matrix.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/model/layers/column_sums.hpp"

namespace maestro {

namespace detail {

// y = x W' + beta y, W as it is stored or packed by pack(Transpose::yes, W).
template <class Backend, class T>
void times_weight(MatrixView<const T> x, MatrixView<const T> weight, T beta, MatrixView<T> y) {
  gemm<Backend>(Transpose::no, Transpose::yes, T(1), x, weight, beta, y);
}
template <class Backend, class T>
void times_weight(MatrixView<const T> x, const PackedView<T, T>& weight, T beta, MatrixView<T> y) {
  if (x.rows() > 0) Gemm<Backend>::run(T(1), x, weight, beta, y);
}
template <class Backend, class T>
void times_weight(MatrixView<const T> x, const FrozenMatrix<T>& weight, T beta, MatrixView<T> y) {
  if (x.rows() > 0) weight.visit([&](const auto& view) { Gemm<Backend>::run(T(1), x, view, beta, y); });
}

}  // namespace detail

/// Gives the number of outputs of a weight (out x in).
template <class T>
std::size_t outputs_of(MatrixView<const T> weight) {
  return weight.rows();
}
/// Gives the number of outputs of a packed weight.
template <class T>
std::size_t outputs_of(const PackedView<T, T>& weight) {
  return weight.cols();
}
/// Gives the number of outputs of a frozen weight.
template <class T>
std::size_t outputs_of(const FrozenMatrix<T>& weight) {
  return weight.cols();
}

/// Gives the rows of a weight that compute outputs [first, first + count). `first` must be a multiple of 64.
template <class T>
MatrixView<const T> middle_outputs(MatrixView<const T> weight, std::size_t first, std::size_t count) {
  return weight.middle_rows(first, count);
}
/// Does the same for a packed weight.
template <class T>
PackedView<T> middle_outputs(const PackedView<T, T>& weight, std::size_t first, std::size_t count) {
  return weight.middle_cols(first, count);
}
/// Does the same for a frozen weight.
template <class T>
FrozenMatrix<T> middle_outputs(const FrozenMatrix<T>& weight, std::size_t first, std::size_t count) {
  return weight.middle_cols(first, count);
}

namespace detail {

/// Computes y += b in every row. An empty b adds nothing.
template <class T>
void add_bias(std::span<const T> bias, MatrixView<T> y) {
  if (bias.empty()) return;
  parallel_for(y.rows(), y.cols(), [&](std::size_t r) {
    T* const out = y.row(r).data();
    for (std::size_t c = 0; c < bias.size(); ++c) out[c] += bias[c];
  });
}

}  // namespace detail

/// Computes y = x W' + b for x (rows x in), W (out x in), b (out, or empty) and y (rows x out, overwritten).
template <class Backend, class T, class Weight = MatrixView<const T>>
void linear(MatrixView<const T> x, const std::type_identity_t<Weight>& weight, std::span<const T> bias,
            MatrixView<T> y) {
  detail::times_weight<Backend, T>(x, weight, T(0), y);
  detail::add_bias(bias, y);
}

/// Computes y += x W' + b, which adds a projection to the residual stream.
template <class Backend, class T, class Weight = MatrixView<const T>>
void linear_add(MatrixView<const T> x, const std::type_identity_t<Weight>& weight, std::span<const T> bias,
                MatrixView<T> y) {
  detail::times_weight<Backend, T>(x, weight, T(1), y);
  detail::add_bias(bias, y);
}

/// Computes dx = dy W for dy (rows x out) and overwrites dx (rows x in).
template <class Backend, class T>
void linear_backward_input(MatrixView<const T> d_y, MatrixView<const T> weight, MatrixView<T> d_x) {
  gemm<Backend>(Transpose::no, Transpose::no, T(1), d_y, weight, T(0), d_x);
}

/// Does the same for a packed weight.
template <class Backend, class T>
void linear_backward_input(MatrixView<const T> d_y, const PackedView<T, T>& weight, MatrixView<T> d_x) {
  if (d_y.rows() > 0) Gemm<Backend>::run_back(T(1), d_y, weight, T(0), d_x);
}
/// Does the same for a frozen weight.
template <class Backend, class T>
void linear_backward_input(MatrixView<const T> d_y, const FrozenMatrix<T>& weight, MatrixView<T> d_x) {
  if (d_y.rows() > 0) weight.visit([&](const auto& view) { Gemm<Backend>::run_back(T(1), d_y, view, T(0), d_x); });
}

/// Computes dW += dy' x, and db += the column sums of dy. An empty gradient belongs to a frozen parameter and is
/// skipped. The result is deterministic for a given thread count.
template <class Backend, class T>
void linear_backward_weight(MatrixView<const T> x, MatrixView<const T> d_y, MatrixView<T> d_weight, std::span<T> d_bias,
                            ColumnSums<T>& sums) {
  if (!d_weight.empty()) gemm<Backend>(Transpose::yes, Transpose::no, T(1), d_y, x, T(1), d_weight);
  if (d_bias.empty()) return;
  sums.add(d_y.rows(), d_bias, [&](std::size_t r, T* sum) {
    const T* const row = d_y.row(r).data();
    for (std::size_t c = 0; c < d_bias.size(); ++c) sum[c] += row[c];
  });
}

}  // namespace maestro
