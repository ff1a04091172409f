#pragma once

/// @file
/// A head with hidden layers of compile-time widths and tanh between them.

#include <array>
#include <cmath>
#include <cstddef>
#include <string>

#include "maestro/conductor/networks/dense.hpp"
#include "maestro/conductor/networks/network.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// BasicMlpNetwork is a multilayer perceptron d -> Widths... -> K with scalar type T: x_1 = tanh(W_0 h + b_0), ...,
/// logits = W_n x_n + b_n. Inputs of a large norm saturate tanh; LearnedConductorOptions::hidden_scaling scales h to
/// unit RMS.
template <class T, std::size_t K, std::size_t... Widths>
class BasicMlpNetwork {
  static constexpr std::size_t depth = sizeof...(Widths);
  static_assert(K >= 1, "maestro: a Conductor needs at least one action");
  static_assert(depth >= 1 && ((Widths >= 1) && ...),
                "maestro: an MLP needs hidden layers of at least one unit; use the linear network for none");
  static constexpr std::array<std::size_t, depth + 1> outputs{Widths..., K};

 public:
  using scalar_type = T;
  static constexpr std::size_t actions = K;
  /// Activations of the hidden layers, and the gradients with respect to them.
  struct Cache {
    std::array<Matrix<T>, depth> activations;
    std::array<Matrix<T>, depth> gradients;
  };

  void initialize(std::size_t inputs, const NetworkInit& init) {
    for (std::size_t l = 0; l <= depth; ++l) {
      const double narrow = 1.0 / std::sqrt(static_cast<double>(inputs > 0 ? inputs : 1));
      const double head = init.head == Initialization::zero ? 0.0 : init.std_dev;
      layers_[l].initialize(inputs, outputs[l], l < depth ? narrow : head, init.seed, static_cast<std::uint32_t>(l));
      inputs = outputs[l];
    }
  }
  std::size_t input_size() const { return layers_[0].inputs(); }

  void forward(MatrixView<const float> hidden, MatrixView<T> logits, Cache& cache) const {
    for (std::size_t l = 0; l < depth; ++l) {
      Matrix<T>& out = cache.activations[l];
      out.resize(hidden.rows(), outputs[l]);
      if (l == 0) {
        layers_[l].forward(hidden, out.view());
      } else {
        layers_[l].forward(MatrixView<const T>(cache.activations[l - 1]), out.view());
      }
      for (T& value : out.flat()) value = std::tanh(value);
    }
    layers_[depth].forward(MatrixView<const T>(cache.activations[depth - 1]), logits);
  }

  void backward(MatrixView<const float> hidden, MatrixView<const T> logit_gradients, Cache& cache) {
    MatrixView<const T> by_out = logit_gradients;
    for (std::size_t l = depth; l > 0; --l) {
      const Matrix<T>& in = cache.activations[l - 1];
      Matrix<T>& by_in = cache.gradients[l - 1];
      layers_[l].backward(in.view(), by_out);
      by_in.resize(in.rows(), in.cols());
      layers_[l].backward_input(by_out, by_in);
      for (std::size_t i = 0; i < in.flat().size(); ++i) by_in.flat()[i] *= T(1) - in.flat()[i] * in.flat()[i];
      by_out = by_in;
    }
    layers_[0].backward(hidden, by_out);
  }
  void zero_gradients() {
    for (auto& layer : layers_) layer.zero_gradients();
  }
  template <class F>
  void visit(F&& f) {
    for (std::size_t l = 0; l <= depth; ++l) {
      const std::string name = "conductor." + layer_name(l);
      layers_[l].visit(f, name + ".weight", name + ".bias");
    }
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    for (std::size_t l = 0; l <= depth; ++l) {
      const std::string name = layer_name(l);
      v(name.c_str(), layers_[l]);
    }
    if (layers_[0].outputs() == 0) return;
    std::size_t inputs = layers_[0].inputs();
    for (std::size_t l = 0; l <= depth; ++l) {
      if (!layers_[l].fits(inputs, outputs[l])) {
        throw BadFile("conductor: the stored layer " + layer_name(l) + " does not have the shape of this network");
      }
      inputs = outputs[l];
    }
  }

 private:
  static std::string layer_name(std::size_t layer) {
    return layer == depth ? "head" : "hidden" + std::to_string(layer);
  }

  std::array<detail::DenseLayer<T>, depth + 1> layers_;
};

/// MlpNetwork is the head with hidden layers in float, which MlpConductor uses.
template <std::size_t K, std::size_t... Widths>
using MlpNetwork = BasicMlpNetwork<float, K, Widths...>;

}  // namespace maestro
