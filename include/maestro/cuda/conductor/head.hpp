#pragma once

/// @file
/// The head of a Conductor on an executor: its parameters, and its passes over a batch. This header compiles without
/// nvcc and without the CUDA toolkit.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "maestro/conductor/networks/linear.hpp"
#include "maestro/conductor/networks/mlp.hpp"
#include "maestro/core/bfloat16.hpp"
#include "maestro/cuda/conductor/dense.hpp"
#include "maestro/cuda/conductor/update.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"

namespace maestro::gpu {

/// NetworkShape gives the number of outputs of each layer of a network. It is defined for the networks that the device
/// has kernels for: LinearNetwork and MlpNetwork.
template <class Network>
struct NetworkShape {
  static_assert(sizeof(Network) == 0,
                "maestro: on the device a head is a LinearNetwork<K> or an MlpNetwork<K, widths...>");
};
template <std::size_t K>
struct NetworkShape<LinearNetwork<K>> {
  static constexpr std::array<std::size_t, 1> outputs{K};
};
template <std::size_t K, std::size_t... Widths>
struct NetworkShape<MlpNetwork<K, Widths...>> {
  static constexpr std::array<std::size_t, sizeof...(Widths) + 1> outputs{Widths..., K};
};

/// Head holds a network's parameters in float, in one array (weight and bias of each layer, then log tau), with their
/// gradients and AdamW's moments. S is the type that products read: float, or Bfloat16 for hidden states and
/// activations in bfloat16. With Bfloat16 the weights are rounded for the products; sums and parameters stay float.
template <Executor E, class Network, class S = float>
class Head {
  static_assert(std::is_same_v<S, float> || std::is_same_v<S, Bfloat16>, "maestro: float or Bfloat16");
  using Shape = NetworkShape<Network>;

 public:
  static constexpr std::size_t actions = Network::actions;
  static constexpr std::size_t layers = Shape::outputs.size();
  static_assert(actions <= 64 && 2 * layers + 1 <= ParameterSegments::most,
                "maestro: on the device, at most 64 actions and 8 layers");

  explicit Head(E& executor) : executor_(&executor) {}

  /// Sets d and allocates; 0 means that d is not known. If d changes, the parameters are undefined until values() were
  /// written; if it does not change, nothing happens.
  void resize(std::size_t inputs) {
    if (inputs == inputs_) return;
    inputs_ = inputs;
    if (inputs == 0) return;
    segments_ = {};
    std::size_t end = 0;
    for (std::size_t l = 0; l < layers; ++l) {
      segments_.end[segments_.count++] = end += Shape::outputs[l] * inputs_of(l);
      segments_.end[segments_.count++] = end += Shape::outputs[l];
    }
    segments_.end[segments_.count++] = ++end;  // log tau
    ++moves_;
    values_.reserve(end);
    gradients_.reserve(end);
    first_.reserve(end);
    second_.reserve(end);
    if constexpr (rounds) rounded_.reserve(end);
    square_sums_.reserve(SquareSums::teams(end));
  }
  /// Gives d, and 0 before resize().
  std::size_t inputs() const { return inputs_; }
  /// Gives the inputs of a layer: d, or the outputs of the layer before.
  std::size_t inputs_of(std::size_t layer) const { return layer == 0 ? inputs_ : Shape::outputs[layer - 1]; }
  /// Gives the number of parameters, log tau included; 0 while d is not known.
  std::size_t count() const { return inputs_ == 0 ? 0 : segments_.end[segments_.count - 1]; }
  float* values() { return values_.data(); }
  float* gradients() { return gradients_.data(); }
  float* first_moments() { return first_.data(); }
  float* second_moments() { return second_.data(); }
  float* log_tau() { return values_.data() + count() - 1; }
  float* log_tau_gradient() { return gradients_.data() + count() - 1; }

  /// Follows a change of values() from outside: with Bfloat16 it rounds the weights anew.
  void values_changed() {
    if constexpr (rounds) {
      launch_elements(*executor_, count(), RoundValues<S>{values_.data(), rounded_.data()});
    }
  }

  /// Makes room for passes over `rows` rows, so that they allocate nothing.
  /// @param backward  whether backward() will follow.
  void prepare(std::size_t rows, bool backward) {
    std::size_t widest = 0;
    std::size_t partial = 0;
    for (std::size_t l = 0; l < layers; ++l) {
      const std::size_t outputs = Shape::outputs[l];
      widest = std::max(widest, outputs);
      partial = std::max(partial, chunks(rows, l) * outputs * (inputs_of(l) + 1));
      if (l + 1 < layers) {
        moves_ += activations_[l].reserve(rows * outputs);
        if (backward) moves_ += by_activations_[l].reserve(rows * outputs);
      }
    }
    if (layers > 1) moves_ += products_.reserve(rows * widest);
    if (backward) moves_ += partial_.reserve(partial);
  }

  /// Gives a number that changes whenever a workspace moves, so that a recording with old addresses is not replayed.
  std::size_t moves() const { return moves_; }

  /// Computes the logits of x (rows x d) and gives them row by row to `last`, an epilogue (see DenseForward).
  /// @param record  where activations that are not finite are reported.
  template <class Epilogue>
  void forward(const S* x, std::size_t rows, const Epilogue& last, FaultWord* record) {
    for (std::size_t l = 0; l + 1 < layers; ++l) {
      const StoreTanh<S> tanh{activations_[l].data(), Shape::outputs[l], record};
      const LayerProduct<S> product{.kind = LayerProduct<S>::Kind::forward,
                                    .rows = rows,
                                    .inputs = inputs_of(l),
                                    .outputs = Shape::outputs[l],
                                    .x = input(x, l),
                                    .weight = weight(l),
                                    .bias = bias(l),
                                    .result = products_.data()};
      if (executor_->multiply(product)) {
        elements(ApplyEpilogue<StoreTanh<S>>{products_.data(), rows, product.outputs, tanh});
      } else {
        launch(dense<8>(x, rows, l, tanh));
      }
    }
    launch(dense<actions>(x, rows, layers - 1, last));
  }

  /// Computes the gradients of the parameters, except log tau's, from `by_logits` (rows x K) after forward() on the
  /// same x.
  void backward(const S* x, std::size_t rows, const float* by_logits) {
    weight_gradients(x, rows, layers - 1, by_logits);
    if constexpr (layers > 1) {
      input_gradients(rows, layers - 1, by_logits);
      for (std::size_t l = layers - 2; l > 0; --l) {
        weight_gradients(x, rows, l, by_activations_[l].data());
        input_gradients(rows, l, by_activations_[l].data());
      }
      weight_gradients(x, rows, 0, by_activations_[0].data());
    }
  }

  /// Computes figures->gradient_norm, the norm of the gradients of all parameters.
  /// @param with_log_tau  whether log tau is one of them.
  void measure(bool with_log_tau, UpdateFigures* figures, FaultWord* record) {
    const std::size_t trained = count() - (with_log_tau ? 0 : 1);
    executor_->launch(SquareSums::teams(trained), SquareSums{gradients_.data(), trained, square_sums_.data()});
    executor_->launch(1, FinishNorm{square_sums_.data(), gradients_.data(), trained, segments_, figures, record});
  }
  /// Takes one AdamW step, with gradients clipped to the norm `max_norm`.
  void step(bool with_log_tau, double max_norm, const UpdateFigures* figures, const StepScalars* scalars) {
    launch_elements(*executor_, count() - (with_log_tau ? 0 : 1),
                    StepParameters<S>{values_.data(), gradients_.data(), first_.data(), second_.data(),
                                      rounds ? rounded_.data() : nullptr, segments_, max_norm, figures, scalars});
  }

 private:
  static constexpr bool rounds = !std::is_same_v<S, float>;

  template <class Body>
  void launch(const Body& body) {
    executor_->launch(body.teams(), body);
  }
  template <class F>
  void elements(const F& f) {
    launch_elements(*executor_, f.count(), f);
  }
  std::size_t begin(std::size_t segment) const { return segment == 0 ? 0 : segments_.end[segment - 1]; }
  const S* weight(std::size_t layer) {
    if constexpr (rounds) {
      return rounded_.data() + begin(2 * layer);
    } else {
      return values_.data() + begin(2 * layer);
    }
  }
  float* bias(std::size_t layer) { return values_.data() + begin(2 * layer + 1); }
  const S* input(const S* x, std::size_t layer) { return layer == 0 ? x : activations_[layer - 1].data(); }
  std::size_t chunks(std::size_t rows, std::size_t layer) const {
    return DenseWeightGradients<float, S>::choose_chunks(rows, inputs_of(layer), Shape::outputs[layer]);
  }

  template <std::size_t Outputs, class Epilogue>
  auto dense(const S* x, std::size_t rows, std::size_t layer, const Epilogue& epilogue) {
    DenseForward<Outputs, S, Epilogue> body{};
    body.x = input(x, layer);
    body.weight = weight(layer);
    body.bias = bias(layer);
    body.rows = rows;
    body.inputs = inputs_of(layer);
    body.outputs = Shape::outputs[layer];
    body.by_fours = fours_fit(body.x, body.inputs) && fours_fit(body.weight, body.inputs);
    body.epilogue = epilogue;
    return body;
  }

  template <class Y>
  void weight_gradients(const S* x, std::size_t rows, std::size_t layer, const Y* y) {
    float* const by_weight = gradients_.data() + begin(2 * layer);
    float* const by_bias = gradients_.data() + begin(2 * layer + 1);
    if constexpr (std::is_same_v<Y, S>) {
      if (executor_->multiply(LayerProduct<S>{.kind = LayerProduct<S>::Kind::weights,
                                              .rows = rows,
                                              .inputs = inputs_of(layer),
                                              .outputs = Shape::outputs[layer],
                                              .x = input(x, layer),
                                              .y = y,
                                              .bias = by_bias,
                                              .result = by_weight})) {
        return;
      }
    }
    DenseWeightGradients<Y, S> body{y, input(x, layer), rows, inputs_of(layer), Shape::outputs[layer]};
    body.chunks = chunks(rows, layer);
    body.partial = partial_.data();
    launch(body);
    elements(SumChunks{partial_.data(), body.chunks, body.inputs, body.outputs, by_weight, by_bias});
  }

  /// Computes the gradients with respect to the outputs of the layer before.
  template <class Y>
  void input_gradients(std::size_t rows, std::size_t layer, const Y* y) {
    const std::size_t inputs = inputs_of(layer);
    S* const to = by_activations_[layer - 1].data();
    const S* const activations = activations_[layer - 1].data();
    if constexpr (std::is_same_v<Y, S>) {
      if (executor_->multiply(LayerProduct<S>{.kind = LayerProduct<S>::Kind::input,
                                              .rows = rows,
                                              .inputs = inputs,
                                              .outputs = Shape::outputs[layer],
                                              .weight = weight(layer),
                                              .y = y,
                                              .result = products_.data()})) {
        return elements(
            ApplyEpilogue<ThroughTanh<S>>{products_.data(), rows, inputs, ThroughTanh<S>{activations, to, inputs}});
      }
    }
    elements(DenseInputGradients<Y, S>{y, weight(layer), activations, rows, inputs, Shape::outputs[layer], to});
  }

  template <class T>
  using Buffer = typename E::template Buffer<T>;

  E* executor_;
  std::size_t inputs_ = 0;
  std::size_t moves_ = 0;
  ParameterSegments segments_;
  Buffer<float> values_;
  Buffer<float> gradients_;
  Buffer<float> first_;
  Buffer<float> second_;
  Buffer<S> rounded_;
  Buffer<double> square_sums_;
  Buffer<float> partial_;                      // sums of chunks of rows
  Buffer<float> products_;                     // values that a library computed, before the epilogue
  std::array<Buffer<S>, layers> activations_;  // of the hidden layers; the last is not used
  std::array<Buffer<S>, layers> by_activations_;
};

}  // namespace maestro::gpu
