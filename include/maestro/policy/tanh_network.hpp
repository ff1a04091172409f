#pragma once

/// @file
/// The network of the policies that read the numbers of a prompt. It has one hidden layer of tanh units.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro::detail {

/// TanhNetworkShape holds the sizes: F inputs, H hidden units, O outputs; each is at least 1.
struct TanhNetworkShape {
  std::size_t features = 1;
  std::size_t width = 1;
  std::size_t outputs = 1;
};

/// TanhNetwork computes y = W2 tanh(W1 x + b1) + b2 for x = Prompt::features (F). Weights are initially normal with
/// standard deviation 1/sqrt(inputs), and biases 0. They depend only on the seed. `forward` is thread-safe while
/// nothing changes the network.
template <class T>
class TanhNetwork {
 public:
  /// Pass holds the activations of N prompts. `forward` writes it, and `backward` reads it.
  struct Pass {
    Matrix<T> inputs;   ///< (N x F)
    Matrix<T> hidden;   ///< (N x H) after tanh
    Matrix<T> outputs;  ///< (N x O); before `backward`, the caller overwrites them with their gradient
  };

  TanhNetwork(const TanhNetworkShape& shape, std::uint64_t seed) : shape_(shape) {
    values_.assign(parameter_count(), T(0));
    gradients_.assign(parameter_count(), T(0));
    const auto fill = [&](std::size_t offset, std::size_t count, std::size_t inputs, std::uint32_t tensor) {
      const RandomStream stream({.seed = seed, .purpose = Purpose::initialization, .row = tensor});
      const double std_dev = 1.0 / std::sqrt(static_cast<double>(inputs));
      for (std::size_t i = 0; i < count; ++i) {
        values_[offset + i] = static_cast<T>(std_dev * stream.normal(static_cast<std::uint32_t>(i)));
      }
    };
    fill(0, shape.width * shape.features, shape.features, 0);
    fill(output_weight(), shape.outputs * shape.width, shape.width, 1);
  }

  const TanhNetworkShape& shape() const { return shape_; }

  /// Refuses a prompt whose features do not fit.
  /// @throws BadArgument naming the policy and the data row.
  void check_prompt(const Prompt& prompt, const char* policy) const {
    if (prompt.features.size() == shape_.features) return;
    throw BadArgument(std::string(policy) + ": data row " + std::to_string(prompt.row) + " has " +
                      std::to_string(prompt.features.size()) + " features, the policy reads " +
                      std::to_string(shape_.features));
  }

  /// Computes the activations of `prompts` and overwrites `pass`.
  /// @throws BadArgument as check_prompt.
  void forward(std::span<const Prompt> prompts, const char* policy, Pass& pass) const {
    pass.inputs.resize(prompts.size(), shape_.features);
    pass.hidden.resize(prompts.size(), shape_.width);
    pass.outputs.resize(prompts.size(), shape_.outputs);
    for (std::size_t n = 0; n < prompts.size(); ++n) {
      check_prompt(prompts[n], policy);
      for (std::size_t f = 0; f < shape_.features; ++f) pass.inputs(n, f) = static_cast<T>(prompts[n].features[f]);
      for (std::size_t h = 0; h < shape_.width; ++h) {
        T sum = values_[hidden_bias() + h];
        for (std::size_t f = 0; f < shape_.features; ++f) sum += values_[h * shape_.features + f] * pass.inputs(n, f);
        pass.hidden(n, h) = std::tanh(sum);
      }
      for (std::size_t o = 0; o < shape_.outputs; ++o) {
        T sum = values_[output_bias() + o];
        for (std::size_t h = 0; h < shape_.width; ++h) {
          sum += values_[output_weight() + o * shape_.width + h] * pass.hidden(n, h);
        }
        pass.outputs(n, o) = sum;
      }
    }
  }

  /// Adds the gradient of sum(pass.outputs * y) to the gradients of the parameters.
  void backward(const Pass& pass) {
    AlignedVector<T> d_hidden(shape_.width);
    for (std::size_t n = 0; n < pass.outputs.rows(); ++n) {
      d_hidden.assign(shape_.width, T(0));
      for (std::size_t o = 0; o < shape_.outputs; ++o) {
        const T d = pass.outputs(n, o);
        gradients_[output_bias() + o] += d;
        for (std::size_t h = 0; h < shape_.width; ++h) {
          gradients_[output_weight() + o * shape_.width + h] += d * pass.hidden(n, h);
          d_hidden[h] += d * values_[output_weight() + o * shape_.width + h];
        }
      }
      for (std::size_t h = 0; h < shape_.width; ++h) {
        const T d = d_hidden[h] * (T(1) - pass.hidden(n, h) * pass.hidden(n, h));
        gradients_[hidden_bias() + h] += d;
        for (std::size_t f = 0; f < shape_.features; ++f) {
          gradients_[h * shape_.features + f] += d * pass.inputs(n, f);
        }
      }
    }
  }

  void zero_gradients() { gradients_.assign(gradients_.size(), T(0)); }
  template <class F>
  void visit(F&& f) {
    const auto show = [&](const char* tensor, std::size_t offset, std::size_t rows, std::size_t cols) {
      f(ParameterView<T>{.name = tensor,
                         .values = std::span<T>(values_).subspan(offset, rows * cols),
                         .gradients = std::span<T>(gradients_).subspan(offset, rows * cols),
                         .rows = rows,
                         .cols = cols,
                         .decay = rows == 1 ? WeightDecay::skip : WeightDecay::apply});
    };
    show("hidden.weight", 0, shape_.width, shape_.features);
    show("hidden.bias", hidden_bias(), 1, shape_.width);
    show("output.weight", output_weight(), shape_.outputs, shape_.width);
    show("output.bias", output_bias(), 1, shape_.outputs);
  }

 private:
  std::size_t hidden_bias() const { return shape_.width * shape_.features; }
  std::size_t output_weight() const { return hidden_bias() + shape_.width; }
  std::size_t output_bias() const { return output_weight() + shape_.outputs * shape_.width; }
  std::size_t parameter_count() const { return output_bias() + shape_.outputs; }

  TanhNetworkShape shape_;
  AlignedVector<T> values_;  ///< hidden.weight | hidden.bias | output.weight | output.bias
  AlignedVector<T> gradients_;
};

}  // namespace maestro::detail
