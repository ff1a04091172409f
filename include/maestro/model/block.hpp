#pragma once

/// @file
/// One transformer layer in two halves, before and after attention, so that a decoder with key and value caches runs
/// the same code around its own attention:
///
///     attention_input   : input -> norm -> q, k, v (+ bias) -> q/k norm -> RoPE
///     (attention)       : qkv -> attended
///     attention_output  : input + attended Wo' -> middle -> norm -> SwiGLU MLP -> out = middle + mlp

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/model/adapter.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layers/linear.hpp"
#include "maestro/model/layers/rms_norm.hpp"
#include "maestro/model/layers/rope.hpp"
#include "maestro/model/layers/swiglu.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// LayerActivations holds what one layer computes for `rows` rows. The backward pass reads all of it.
template <class T>
struct LayerActivations {
  Matrix<T> input;          ///< (rows x d) residual stream on entry
  Matrix<T> normed;         ///< (rows x d) after the input norm
  Matrix<T> qkv;            ///< (rows x (H + 2 Hkv) D) after bias, q/k norm and RoPE: queries, keys, values
  Matrix<T> unrotated;      ///< (rows x (H + Hkv) D) queries and keys before their norm; empty without q/k norm
  Matrix<T> head_inverse;   ///< (rows x (H + Hkv)) inverse root mean squares of the heads; empty without q/k norm
  Matrix<T> attended;       ///< (rows x H D)
  Matrix<T> log_sum_exp;    ///< (rows x H) of the attention scores
  Matrix<T> middle;         ///< (rows x d) residual stream after attention
  Matrix<T> normed_middle;  ///< (rows x d)
  Matrix<T> gate_up;        ///< (rows x 2I)
  Matrix<T> activated;      ///< (rows x I)
  AlignedVector<T> input_inverse;   ///< (rows)
  AlignedVector<T> middle_inverse;  ///< (rows)
  AdapterScratch<T> adapters;

  void resize(const ModelConfig& c, std::size_t rows) {
    input.resize(rows, c.hidden);
    normed.resize(rows, c.hidden);
    qkv.resize(rows, c.qkv_size());
    if (c.query_key_norm == QueryKeyNorm::present) {
      unrotated.resize(rows, c.query_size() + c.key_size());
      head_inverse.resize(rows, c.heads + c.kv_heads);
    }
    attended.resize(rows, c.query_size());
    log_sum_exp.resize(rows, c.heads);
    middle.resize(rows, c.hidden);
    normed_middle.resize(rows, c.hidden);
    gate_up.resize(rows, 2 * c.intermediate);
    activated.resize(rows, c.intermediate);
    input_inverse.resize(rows);
    middle_inverse.resize(rows);
  }
};

/// LayerGradients holds rows of the backward pass, shared by all layers.
template <class T>
struct LayerGradients {
  Matrix<T> normed;     ///< (rows x d)
  Matrix<T> qkv;        ///< (rows x (H + 2 Hkv) D)
  Matrix<T> attended;   ///< (rows x H D)
  Matrix<T> gate_up;    ///< (rows x 2I)
  Matrix<T> activated;  ///< (rows x I)
  ColumnSums<T> sums;
  AdapterScratch<T> adapters;

  void resize(const ModelConfig& c, std::size_t rows) {
    normed.resize(rows, c.hidden);
    qkv.resize(rows, c.qkv_size());
    attended.resize(rows, c.query_size());
    gate_up.resize(rows, 2 * c.intermediate);
    activated.resize(rows, c.intermediate);
  }
};

namespace detail {

// Norm (if the model has it) and RoPE of the query and key heads of row r of a.qkv, in place.
template <class T, class M>
void finish_heads(const ModelConfig& c, const LayerWeights<const T, M>& w, const RopeTable<T>& rope,
                  std::size_t position, std::size_t r, LayerActivations<T>& a) {
  T* const row = a.qkv.row(r).data();
  const bool norm = c.query_key_norm == QueryKeyNorm::present;
  if (norm) std::copy_n(row, c.query_size() + c.key_size(), a.unrotated.row(r).data());
  for (std::size_t h = 0; h < c.heads + c.kv_heads; ++h) {
    T* const head = row + h * c.head_dim;
    const T* const weight = h < c.heads ? w.query_norm.data() : w.key_norm.data();
    if (norm) a.head_inverse(r, h) = rms_norm_vector(head, weight, c.norm_eps, c.head_dim, head);
    rope.rotate(head, position);
  }
}

// Adds the adapters of the projections that lie side by side in a.qkv, or in a.gate_up.
template <class Backend, class T>
void add_qkv_adapters(const ModelConfig& c, const LayerAdapters<const T>& w, LayerActivations<T>& a) {
  const MatrixView<T> qkv = a.qkv;
  const std::size_t queries = c.query_size();
  const std::size_t keys = c.key_size();
  add_adapter<Backend, T>(a.normed, w.query, qkv.middle_cols(0, queries), a.adapters);
  add_adapter<Backend, T>(a.normed, w.key, qkv.middle_cols(queries, keys), a.adapters);
  add_adapter<Backend, T>(a.normed, w.value, qkv.middle_cols(queries + keys, keys), a.adapters);
}
template <class Backend, class T>
void add_gate_up_adapters(const LayerAdapters<const T>& w, LayerActivations<T>& a) {
  const MatrixView<T> gate_up = a.gate_up;
  const std::size_t width = gate_up.cols() / 2;
  add_adapter<Backend, T>(a.normed_middle, w.gate, gate_up.middle_cols(0, width), a.adapters);
  add_adapter<Backend, T>(a.normed_middle, w.up, gate_up.middle_cols(width, width), a.adapters);
}

}  // namespace detail

/// Computes a.normed and a.qkv from a.input, and the values that the backward pass needs.
/// @param positions  (rows) of the tokens in their sequences; `rope` must hold them.
template <class Backend, class T, class M>
void attention_input(const ModelConfig& c, const LayerWeights<const T, M>& w, const RopeTable<T>& rope,
                     std::span<const std::int32_t> positions, LayerActivations<T>& a) {
  rms_norm<T>(a.input, w.input_norm, c.norm_eps, a.normed, a.input_inverse);
  linear<Backend, T, M>(a.normed, w.qkv, w.qkv_bias, a.qkv);
  detail::add_qkv_adapters<Backend, T>(c, w.adapters, a);
  parallel_for(positions.size(), 4 * c.qkv_size(),
               [&](std::size_t r) { detail::finish_heads(c, w, rope, static_cast<std::size_t>(positions[r]), r, a); });
}

/// Computes attention_output up to, but not including, its last product. The backward pass reads these values.
template <class Backend, class T, class M>
void attention_middle(const ModelConfig& c, const LayerWeights<const T, M>& w, LayerActivations<T>& a) {
  std::copy(a.input.flat().begin(), a.input.flat().end(), a.middle.flat().begin());
  linear_add<Backend, T, M>(a.attended, w.output, w.output_bias, a.middle);
  add_adapter<Backend, T>(a.attended, w.adapters.output, a.middle, a.adapters);
  rms_norm<T>(a.middle, w.post_norm, c.norm_eps, a.normed_middle, a.middle_inverse);
  linear<Backend, T, M>(a.normed_middle, w.gate_up, w.gate_up_bias, a.gate_up);
  detail::add_gate_up_adapters<Backend, T>(w.adapters, a);
  swiglu<T>(a.gate_up, a.activated);
}

/// Computes the layer's output from a.input and a.attended and overwrites `out` (rows x d) with it. `out` may be
/// a.input.
template <class Backend, class T, class M>
void attention_output(const ModelConfig& c, const LayerWeights<const T, M>& w, LayerActivations<T>& a,
                      MatrixView<T> out) {
  attention_middle<Backend, T, M>(c, w, a);
  std::copy(a.middle.flat().begin(), a.middle.flat().end(), out.data());
  linear_add<Backend, T, M>(a.activated, w.down, w.down_bias, out);
  add_adapter<Backend, T>(a.activated, w.adapters.down, out, a.adapters);
}

namespace detail {

template <class Backend, class T>
void qkv_adapters_backward(const ModelConfig& c, const LayerAdapters<const T>& w, const LayerActivations<T>& a,
                           LayerGradients<T>& g, LayerAdapters<T>& d) {
  const MatrixView<const T> d_qkv = g.qkv;
  const std::size_t queries = c.query_size();
  const std::size_t keys = c.key_size();
  const auto add = [&](const Adapter<const T>& adapter, Adapter<T>& d_adapter, std::size_t first, std::size_t count) {
    adapter_backward<Backend, T>(a.normed, d_qkv.middle_cols(first, count), adapter, d_adapter, g.normed, g.adapters);
  };
  add(w.query, d.query, 0, queries);
  add(w.key, d.key, queries, keys);
  add(w.value, d.value, queries + keys, keys);
}
template <class Backend, class T>
void gate_up_adapters_backward(const LayerAdapters<const T>& w, const LayerActivations<T>& a, LayerGradients<T>& g,
                               LayerAdapters<T>& d) {
  const MatrixView<const T> d_gate_up = g.gate_up;
  const std::size_t width = d_gate_up.cols() / 2;
  adapter_backward<Backend, T>(a.normed_middle, d_gate_up.middle_cols(0, width), w.gate, d.gate, g.normed, g.adapters);
  adapter_backward<Backend, T>(a.normed_middle, d_gate_up.middle_cols(width, width), w.up, d.up, g.normed, g.adapters);
}

}  // namespace detail

/// Computes the backward pass of attention_output. On entry d_stream (rows x d) holds the gradient of the layer's
/// output, and on return that of a.middle. g.attended receives the gradient of a.attended. The gradients of the
/// parameters are added to `d`.
template <class Backend, class T, class M>
void attention_output_backward(const LayerWeights<const T, M>& w, const LayerActivations<T>& a, Matrix<T>& d_stream,
                               LayerGradients<T>& g, LayerWeights<T>& d) {
  linear_backward_input<Backend, T>(d_stream, w.down, g.activated);
  linear_backward_weight<Backend, T>(a.activated, d_stream, d.down, d.down_bias, g.sums);
  adapter_backward<Backend, T>(a.activated, d_stream, w.adapters.down, d.adapters.down, g.activated, g.adapters);
  swiglu_backward<T>(a.gate_up, g.activated, g.gate_up);
  linear_backward_input<Backend, T>(g.gate_up, w.gate_up, g.normed);
  linear_backward_weight<Backend, T>(a.normed_middle, g.gate_up, d.gate_up, d.gate_up_bias, g.sums);
  detail::gate_up_adapters_backward<Backend, T>(w.adapters, a, g, d.adapters);
  rms_norm_backward<T>(a.middle, w.post_norm, a.middle_inverse, g.normed, d_stream, d.post_norm, g.sums);
  linear_backward_input<Backend, T>(d_stream, w.output, g.attended);
  linear_backward_weight<Backend, T>(a.attended, d_stream, d.output, d.output_bias, g.sums);
  adapter_backward<Backend, T>(a.attended, d_stream, w.adapters.output, d.adapters.output, g.attended, g.adapters);
}

namespace detail {

// Takes g.qkv back through RoPE and the q/k norm, in place.
template <class T, class M>
void finish_heads_backward(const ModelConfig& c, const LayerWeights<const T, M>& w, const RopeTable<T>& rope,
                           std::span<const std::int32_t> positions, const LayerActivations<T>& a, LayerGradients<T>& g,
                           LayerWeights<T>& d) {
  const std::size_t dim = c.head_dim;
  const auto rotate_back = [&](std::size_t r) {
    for (std::size_t h = 0; h < c.heads + c.kv_heads; ++h) {
      rope.rotate_back(g.qkv.row(r).data() + h * dim, static_cast<std::size_t>(positions[r]));
    }
  };
  if (c.query_key_norm == QueryKeyNorm::absent) return parallel_for(positions.size(), 4 * c.qkv_size(), rotate_back);
  const auto norm_back = [&](std::size_t first, std::size_t last, const T* weight, std::size_t r, T* sum) {
    for (std::size_t h = first; h < last; ++h) {
      T* const head = g.qkv.row(r).data() + h * dim;
      rms_norm_vector_backward(a.unrotated.row(r).data() + h * dim, weight, a.head_inverse(r, h), head, dim, head, sum,
                               [](T& to, T value) { to = value; });
    }
  };
  g.sums.add(
      positions.size(), d.query_norm,
      [&](std::size_t r, T* sum) {
        rotate_back(r);
        norm_back(0, c.heads, w.query_norm.data(), r, sum);
      },
      8 * c.heads);
  g.sums.add(
      positions.size(), d.key_norm,
      [&](std::size_t r, T* sum) { norm_back(c.heads, c.heads + c.kv_heads, w.key_norm.data(), r, sum); },
      4 * c.kv_heads);
}

}  // namespace detail

/// Computes the backward pass of attention_input. On entry d_stream (rows x d) holds the gradient of a.middle, and on
/// return that of a.input. On entry g.qkv holds the gradient of a.qkv; it is overwritten. The gradients of the
/// parameters are added to `d`.
template <class Backend, class T, class M>
void attention_input_backward(const ModelConfig& c, const LayerWeights<const T, M>& w, const RopeTable<T>& rope,
                              std::span<const std::int32_t> positions, const LayerActivations<T>& a,
                              Matrix<T>& d_stream, LayerGradients<T>& g, LayerWeights<T>& d) {
  detail::finish_heads_backward(c, w, rope, positions, a, g, d);
  linear_backward_input<Backend, T>(g.qkv, w.qkv, g.normed);
  linear_backward_weight<Backend, T>(a.normed, g.qkv, d.qkv, d.qkv_bias, g.sums);
  detail::qkv_adapters_backward<Backend, T>(c, w.adapters, a, g, d.adapters);
  rms_norm_backward<T>(a.input, w.input_norm, a.input_inverse, g.normed, d_stream, d.input_norm, g.sums);
}

}  // namespace maestro
