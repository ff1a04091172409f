#pragma once

/// @file
/// The decoder-only transformer over a packed batch: from tokens to hidden states after the final norm, and the
/// backward pass.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/model/block.hpp"
#include "maestro/model/layers/attention.hpp"
#include "maestro/model/layers/embedding.hpp"
#include "maestro/model/packed_batch.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// Keep says what a forward pass stores for a backward pass.
enum class Keep : std::uint8_t {
  nothing,      ///< nothing; there is no backward pass
  inputs,       ///< the input of every layer; backward recomputes each layer, with the bits of `activations`
  activations,  ///< the activations of every layer
};

/// TransformerWorkspace holds the buffers of the forward and the backward pass. Calls reuse them, so that nothing is
/// allocated once the largest batch has been seen.
template <class T>
struct TransformerWorkspace {
  RopeTable<T> rope;
  Attention<T> attention;
  std::vector<LayerActivations<T>> layers;  ///< one per layer after Keep::activations, otherwise layers[0] is shared
  std::vector<Matrix<T>> inputs;            ///< (rows x d) one per layer after Keep::inputs
  Matrix<T> stream;                         ///< (rows x d) residual stream before the final norm
  Matrix<T> hidden;                         ///< (rows x d) after the final norm
  AlignedVector<T> inverse;                 ///< (rows) of the final norm
  LayerGradients<T> gradients;
  Matrix<T> d_stream;  ///< (rows x d)
  Keep kept = Keep::nothing;
};

/// Transformer computes the transformer without state of its own: parameters and buffers are arguments.
template <class T, class Backend>
class Transformer {
 public:
  /// Computes the hidden states (rows x d) after the final norm. The returned view lies in `workspace`. The result is
  /// deterministic for a given thread count and backend.
  /// @tparam Weights  ModelWeights, or FrozenWeights or LoraModel with NativeBackend.
  /// @param after_layer  after_layer(l, LayerActivations<T>&) is called when layer l is done. A decoder copies keys and
  ///                     values from activations.qkv there.
  /// @throws BadArgument for a token outside the vocabulary, or for a sequence longer than max_positions.
  template <class Weights, class AfterLayer>
  static MatrixView<const T> forward(const Weights& weights, const PackedBatch& batch,
                                     TransformerWorkspace<T>& workspace, Keep keep, AfterLayer&& after_layer) {
    const ModelConfig& c = weights.config();
    TransformerWorkspace<T>& ws = workspace;
    const std::size_t rows = batch.rows();
    prepare(c, batch, ws, keep);
    const auto activations = [&](std::size_t l) -> LayerActivations<T>& {
      return ws.layers[keep == Keep::activations ? l : 0];
    };
    embed<T>(std::as_const(weights).embedding(), batch.tokens(), activations(0).input);
    for (std::size_t l = 0; l < c.layers; ++l) {
      LayerActivations<T>& a = activations(l);
      const auto w = std::as_const(weights).layer(l);
      if (keep == Keep::inputs) ws.inputs[l] = a.input;
      attention_input<Backend, T>(c, w, ws.rope, batch.positions(), a);
      ws.attention.forward(c, batch, a.qkv, a.attended, a.log_sum_exp, c.window(l));
      attention_output<Backend, T>(c, w, a, l + 1 < c.layers ? activations(l + 1).input.view() : ws.stream.view());
      after_layer(l, a);
    }
    ws.hidden.resize(rows, c.hidden);
    rms_norm<T>(ws.stream, weights.final_norm(), c.norm_eps, ws.hidden, ws.inverse);
    return ws.hidden.view();
  }
  template <class Weights>
  static MatrixView<const T> forward(const Weights& weights, const PackedBatch& batch,
                                     TransformerWorkspace<T>& workspace, Keep keep = Keep::nothing) {
    return forward(weights, batch, workspace, keep, [](std::size_t, const LayerActivations<T>&) {});
  }

  /// Adds the gradient of sum(d_hidden * hidden) to `gradients`, for d_hidden (rows x d). Weights and batch must be
  /// those of the last forward pass, which must have kept inputs or activations. A parameter with an empty gradient
  /// view is frozen. The gradient of the LM head is not included. If the head is tied, the head adds its gradient to
  /// gradients.head(), which is the embedding's. The result is deterministic for a given thread count and backend.
  /// @throws BadArgument if the last forward pass kept nothing, or if shapes do not fit.
  template <class Weights>
  static void backward(const Weights& weights, const PackedBatch& batch, TransformerWorkspace<T>& workspace,
                       MatrixView<const T> d_hidden, typename Weights::Gradients& gradients) {
    const ModelConfig& c = weights.config();
    TransformerWorkspace<T>& ws = workspace;
    const std::size_t rows = batch.rows();
    require(ws.kept != Keep::nothing && ws.hidden.rows() == rows,
            "transformer: backward needs a forward with Keep::activations or Keep::inputs on the same batch");
    require(d_hidden.rows() == rows && d_hidden.cols() == c.hidden && gradients.config() == c,
            "transformer: gradients do not have the shape of the forward pass");
    ws.gradients.resize(c, rows);
    ws.d_stream.assign(rows, c.hidden, T(0));
    rms_norm_backward<T>(ws.stream, weights.final_norm(), ws.inverse, d_hidden, ws.d_stream, gradients.final_norm(),
                         ws.gradients.sums);
    for (std::size_t l = c.layers; l-- > 0;) {
      const auto w = std::as_const(weights).layer(l);
      if (ws.kept == Keep::inputs) recompute(c, w, batch, ws, l);
      const LayerActivations<T>& a = ws.layers[ws.kept == Keep::activations ? l : 0];
      LayerWeights<T> d = gradients.layer(l);
      LayerGradients<T>& g = ws.gradients;
      attention_output_backward<Backend, T>(w, a, ws.d_stream, g, d);
      ws.attention.backward(c, batch, a.qkv, a.attended, a.log_sum_exp, g.attended, g.qkv, c.window(l));
      attention_input_backward<Backend, T>(c, w, ws.rope, batch.positions(), a, ws.d_stream, g, d);
    }
    if (!gradients.embedding().empty()) embed_backward<T>(batch.tokens(), ws.d_stream, gradients.embedding());
  }

 private:
  /// Fills layers[0] with the activations of layer l.
  template <class M>
  static void recompute(const ModelConfig& c, const LayerWeights<const T, M>& w, const PackedBatch& batch,
                        TransformerWorkspace<T>& ws, std::size_t l) {
    LayerActivations<T>& a = ws.layers[0];
    a.input = ws.inputs[l];
    attention_input<Backend, T>(c, w, ws.rope, batch.positions(), a);
    ws.attention.forward(c, batch, a.qkv, a.attended, a.log_sum_exp, c.window(l));
    attention_middle<Backend, T, M>(c, w, a);
  }

  static void prepare(const ModelConfig& c, const PackedBatch& batch, TransformerWorkspace<T>& ws, Keep keep) {
    if (batch.longest() > c.max_positions) {
      throw BadArgument("transformer: a sequence of " + std::to_string(batch.longest()) +
                        " tokens exceeds the model's max_positions of " + std::to_string(c.max_positions));
    }
    const std::size_t layers = keep == Keep::activations ? c.layers : 1;
    if (ws.layers.size() < layers) ws.layers.resize(layers);
    for (std::size_t l = 0; l < layers; ++l) ws.layers[l].resize(c, batch.rows());
    if (keep == Keep::inputs) ws.inputs.resize(c.layers);
    ws.stream.resize(batch.rows(), c.hidden);
    ws.inverse.resize(batch.rows());
    ws.rope.ensure(c.rope(), batch.longest());
    ws.kept = keep;
  }
};

}  // namespace maestro
