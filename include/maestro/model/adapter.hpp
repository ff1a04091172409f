#pragma once

/// @file
/// Low-rank adapters of a layer's projections (LoRA):
///
///     y = x W' + b + s (x A') B'        A (r x in), B (out x r), scale s
///
/// Source: Hu et al. 2021 (LoRA), https://arxiv.org/abs/2106.09685.

#include <cstddef>

#include "maestro/core/buffer.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"

namespace maestro {

/// Adapter holds views of one projection's adapter, of its gradients, or of nothing.
template <class T>
struct Adapter {
  MatrixView<T> a{};   ///< (r x in)
  MatrixView<T> b{};   ///< (out x r)
  double scale = 0.0;  ///< s

  bool empty() const { return a.empty(); }
};

/// LayerAdapters holds the adapters of one layer; a projection without one has an empty adapter.
template <class T>
struct LayerAdapters {
  Adapter<T> query{};
  Adapter<T> key{};
  Adapter<T> value{};
  Adapter<T> output{};
  Adapter<T> gate{};
  Adapter<T> up{};
  Adapter<T> down{};
};

/// AdapterScratch holds products of the rank's width, reused over calls.
template <class T>
struct AdapterScratch {
  Matrix<T> inner;    ///< (rows x r) x A'
  Matrix<T> d_inner;  ///< (rows x r)
};

/// Computes y += s (x A') B' for x (rows x in) and y (rows x out). An empty adapter adds nothing.
template <class Backend, class T>
void add_adapter(MatrixView<const T> x, const Adapter<const T>& adapter, MatrixView<T> y, AdapterScratch<T>& scratch) {
  if (adapter.empty()) return;
  scratch.inner.resize(x.rows(), adapter.a.rows());
  gemm<Backend>(Transpose::no, Transpose::yes, T(1), x, adapter.a, T(0), scratch.inner.view());
  gemm<Backend>(Transpose::no, Transpose::yes, static_cast<T>(adapter.scale), scratch.inner.view(), adapter.b, T(1), y);
}

/// Computes dB += s dy' (x A'), dA += s (dy B)' x, dx += s (dy B) A.
/// @param d  the gradients of the adapter; if it is empty, the adapter is frozen and only dx is computed.
template <class Backend, class T>
void adapter_backward(MatrixView<const T> x, MatrixView<const T> d_y, const Adapter<const T>& adapter, Adapter<T>& d,
                      MatrixView<T> d_x, AdapterScratch<T>& scratch) {
  if (adapter.empty()) return;
  const auto scale = static_cast<T>(adapter.scale);
  const std::size_t rank = adapter.a.rows();
  scratch.d_inner.resize(x.rows(), rank);
  gemm<Backend>(Transpose::no, Transpose::no, scale, d_y, adapter.b, T(0), scratch.d_inner.view());
  gemm<Backend>(Transpose::no, Transpose::no, T(1), scratch.d_inner.view(), adapter.a, T(1), d_x);
  if (d.empty()) return;
  scratch.inner.resize(x.rows(), rank);
  gemm<Backend>(Transpose::no, Transpose::yes, T(1), x, adapter.a, T(0), scratch.inner.view());
  gemm<Backend>(Transpose::yes, Transpose::no, scale, d_y, scratch.inner.view(), T(1), d.b);
  gemm<Backend>(Transpose::yes, Transpose::no, T(1), scratch.d_inner.view(), x, T(1), d.a);
}

}  // namespace maestro
