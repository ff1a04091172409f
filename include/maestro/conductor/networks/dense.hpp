#pragma once

/// @file
/// A fully connected layer y = x W' + b with its gradients, from which the Conductor's heads are built. Own loops in
/// fixed order instead of a GEMM: K is small, and a row's result must not depend on the batch around it.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"

namespace maestro::detail {

/// Gives the dot product in the precision of `w`. It is summed in 16 lanes and then in lane order, which vectorizes
/// without reordering.
template <class X, class T>
T lane_dot(const X* x, const T* w, std::size_t count) {
  constexpr std::size_t lanes = 16;
  T sums[lanes] = {};
  std::size_t j = 0;
  for (; j + lanes <= count; j += lanes) {
    for (std::size_t l = 0; l < lanes; ++l) sums[l] += static_cast<T>(x[j + l]) * w[j + l];
  }
  for (std::size_t l = 0; j < count; ++j, ++l) sums[l] += static_cast<T>(x[j]) * w[j];
  T total{};
  for (std::size_t l = 0; l < lanes; ++l) total += sums[l];
  return total;
}

/// DenseLayer holds W (outputs x inputs), b (outputs), and gradients of the same shapes.
template <class T>
class DenseLayer {
 public:
  /// Sets biases to 0 and weights to normal numbers of this standard deviation (0: all 0). The draws are keyed by
  /// (seed, layer, weight).
  void initialize(std::size_t inputs, std::size_t outputs, double std_dev, std::uint64_t seed, std::uint32_t layer) {
    weight_.assign(outputs, inputs, T(0));
    bias_.assign(outputs, T(0));
    allocate_gradients();
    if (std_dev == 0.0) return;
    for (std::size_t o = 0; o < outputs; ++o) {
      const RandomStream stream({.seed = seed,
                                 .purpose = Purpose::initialization,
                                 .step = layer,
                                 .row = static_cast<std::uint32_t>(o),
                                 .response = 0xC0DDu});
      for (std::size_t j = 0; j < inputs; ++j) {
        weight_(o, j) = static_cast<T>(std_dev * stream.normal(static_cast<std::uint32_t>(j)));
      }
    }
  }
  std::size_t inputs() const { return weight_.cols(); }
  std::size_t outputs() const { return weight_.rows(); }

  /// Overwrites out (B x outputs) with in W' + b.
  template <class X>
  void forward(MatrixView<const X> in, MatrixView<T> out) const {
    parallel_for(in.rows(), inputs() * outputs(), [&](std::size_t i) {
      for (std::size_t o = 0; o < outputs(); ++o) {
        out(i, o) = bias_[o] + lane_dot(in.row(i).data(), weight_.row(o).data(), inputs());
      }
    });
  }
  /// Adds the parameter gradients of `by_out` (B x outputs).
  template <class X>
  void backward(MatrixView<const X> in, MatrixView<const T> by_out) {
    parallel_for(outputs(), in.rows() * inputs(), [&](std::size_t o) {
      T* const row = weight_gradient_.row(o).data();
      for (std::size_t i = 0; i < in.rows(); ++i) {
        const T scale = by_out(i, o);
        bias_gradient_[o] += scale;
        const X* const x = in.row(i).data();
        for (std::size_t j = 0; j < inputs(); ++j) row[j] += scale * static_cast<T>(x[j]);
      }
    });
  }
  /// Overwrites by_in (B x inputs) with by_out W.
  void backward_input(MatrixView<const T> by_out, MatrixView<T> by_in) const {
    parallel_for(by_out.rows(), inputs() * outputs(), [&](std::size_t i) {
      const std::span<T> row = by_in.row(i);
      std::fill(row.begin(), row.end(), T(0));
      for (std::size_t o = 0; o < outputs(); ++o) {
        const T scale = by_out(i, o);
        const T* const w = weight_.row(o).data();
        for (std::size_t j = 0; j < row.size(); ++j) row[j] += scale * w[j];
      }
    });
  }
  void zero_gradients() {
    std::fill(weight_gradient_.flat().begin(), weight_gradient_.flat().end(), T(0));
    std::fill(bias_gradient_.begin(), bias_gradient_.end(), T(0));
  }
  template <class F>
  void visit(F&& f, std::string_view weight_name, std::string_view bias_name) {
    f(ParameterView<T>{weight_name, weight_.flat(), weight_gradient_.flat(), outputs(), inputs(), WeightDecay::apply});
    f(ParameterView<T>{bias_name, bias_, bias_gradient_, 1, outputs(), WeightDecay::skip});
  }
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("weight", weight_);
    v("bias", bias_);
    allocate_gradients();
  }
  /// Tells whether the shapes are those of a layer with these inputs and outputs. It serves to check loaded states.
  bool fits(std::size_t inputs, std::size_t outputs) const {
    return weight_.rows() == outputs && weight_.cols() == inputs && bias_.size() == outputs;
  }

 private:
  void allocate_gradients() {
    weight_gradient_.assign(weight_.rows(), weight_.cols(), T(0));
    bias_gradient_.assign(bias_.size(), T(0));
  }

  Matrix<T> weight_;
  Matrix<T> weight_gradient_;
  AlignedVector<T> bias_;
  AlignedVector<T> bias_gradient_;
};

}  // namespace maestro::detail
