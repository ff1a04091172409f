#pragma once

/// @file
/// The gated activation silu(gate) * up. Source: Shazeer 2020 (SwiGLU), https://arxiv.org/abs/2002.05202.

#include <cstddef>

#include "maestro/core/parallel.hpp"
#include "maestro/core/vector_loops.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// Computes y = silu(gate) up. gate_up (rows x 2I) holds gate, then up. y (rows x I) is overwritten.
template <class T>
void swiglu(MatrixView<const T> gate_up, MatrixView<T> y) {
  const std::size_t width = y.cols();
  parallel_for(y.rows(), 8 * width, [&](std::size_t r) {
    const T* __restrict const gate = gate_up.row(r).data();
    const T* __restrict const up = gate + width;
    T* __restrict const out = y.row(r).data();
    for (std::size_t c = 0; c < width; ++c) out[c] = gate[c] / (T(1) + fast_exp(-gate[c])) * up[c];
  });
}

/// Computes d_gate_up (rows x 2I) from d_y (rows x I), and overwrites it. The activation is recomputed from gate_up.
template <class T>
void swiglu_backward(MatrixView<const T> gate_up, MatrixView<const T> d_y, MatrixView<T> d_gate_up) {
  const std::size_t width = d_y.cols();
  parallel_for(d_y.rows(), 8 * width, [&](std::size_t r) {
    const T* __restrict const gate = gate_up.row(r).data();
    const T* __restrict const up = gate + width;
    const T* __restrict const d = d_y.row(r).data();
    T* __restrict const d_gate = d_gate_up.row(r).data();
    T* __restrict const d_up = d_gate + width;
    for (std::size_t c = 0; c < width; ++c) {
      const T sigmoid = T(1) / (T(1) + fast_exp(-gate[c]));
      const T silu = gate[c] * sigmoid;
      d_up[c] = d[c] * silu;
      d_gate[c] = d[c] * up[c] * (sigmoid + silu * (T(1) - sigmoid));
    }
  });
}

}  // namespace maestro
