#pragma once

/// @file
/// The paper's head: logits = W h + b.

#include <cstddef>

#include "maestro/conductor/networks/dense.hpp"
#include "maestro/conductor/networks/network.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// BasicLinearNetwork is one linear layer from d inputs to K logits, with scalar type T. Source: MAESTRO (arXiv
/// 2601.07208), method.
template <class T, std::size_t K>
class BasicLinearNetwork {
  static_assert(K >= 1, "maestro: a Conductor needs at least one action");

 public:
  using scalar_type = T;
  static constexpr std::size_t actions = K;
  /// The backward pass needs nothing of the forward pass.
  struct Cache {};

  void initialize(std::size_t inputs, const NetworkInit& init) {
    layer_.initialize(inputs, K, init.head == Initialization::zero ? 0.0 : init.std_dev, init.seed, 0);
  }
  std::size_t input_size() const { return layer_.inputs(); }
  void forward(MatrixView<const float> hidden, MatrixView<T> logits, Cache&) const { layer_.forward(hidden, logits); }
  void backward(MatrixView<const float> hidden, MatrixView<const T> logit_gradients, Cache&) {
    layer_.backward(hidden, logit_gradients);
  }
  void zero_gradients() { layer_.zero_gradients(); }
  template <class F>
  void visit(F&& f) {
    layer_.visit(f, "conductor.head.weight", "conductor.head.bias");
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("head", layer_);
    if (layer_.outputs() != 0 && !layer_.fits(layer_.inputs(), K)) {
      throw BadFile("conductor: the stored head does not have the shape of a linear head of this many actions");
    }
  }

 private:
  detail::DenseLayer<T> layer_;
};

/// LinearNetwork is the linear head in float, which LinearConductor uses.
template <std::size_t K>
using LinearNetwork = BasicLinearNetwork<float, K>;

}  // namespace maestro
