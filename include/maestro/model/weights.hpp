#pragma once

/// @file
/// The parameters of a transformer in one contiguous allocation, with the names in Hugging Face checkpoints.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/adapter.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"

namespace maestro {

/// LayerWeights holds views of one layer's parameters. Matrices are (out x in); an absent parameter is an empty view.
/// `qkv` holds the query, key and value projections, in this order; `gate_up` holds the gate and up projections. M is
/// the type of the view of a matrix: a PackedView if a backend has packed it (model/prepared_weights.hpp). For views of
/// gradients, an empty matrix means that the parameter is frozen.
template <class T, class M = MatrixView<T>>
struct LayerWeights {
  std::span<T> input_norm;    ///< (d)
  M qkv;                      ///< ((H + 2 Hkv) D x d)
  std::span<T> qkv_bias;      ///< ((H + 2 Hkv) D) or empty
  std::span<T> query_norm;    ///< (D) or empty
  std::span<T> key_norm;      ///< (D) or empty
  M output;                   ///< (d x H D)
  std::span<T> output_bias;   ///< (d) or empty
  std::span<T> post_norm;     ///< (d)
  M gate_up;                  ///< (2 I x d)
  std::span<T> gate_up_bias;  ///< (2 I) or empty
  M down;                     ///< (d x I)
  std::span<T> down_bias;     ///< (d) or empty
  LayerAdapters<T> adapters{};
};

/// Gives the view of a layer's block of matrices whose first tensor is of this kind.
template <class T, class M>
M& matrix_of(LayerWeights<T, M>& layer, TensorKind kind) {
  if (kind == TensorKind::query) return layer.qkv;
  if (kind == TensorKind::output) return layer.output;
  return kind == TensorKind::gate ? layer.gate_up : layer.down;
}
/// Gives the view of a layer's block of vectors whose first tensor is of this kind.
template <class T, class M>
std::span<T>& vector_of(LayerWeights<T, M>& layer, TensorKind kind) {
  if (kind == TensorKind::input_norm) return layer.input_norm;
  if (kind == TensorKind::query_bias) return layer.qkv_bias;
  if (kind == TensorKind::query_norm) return layer.query_norm;
  if (kind == TensorKind::output_bias) return layer.output_bias;
  if (kind == TensorKind::gate_bias) return layer.gate_up_bias;
  if (kind == TensorKind::down_bias) return layer.down_bias;
  return kind == TensorKind::key_norm ? layer.key_norm : layer.post_norm;
}

/// ModelWeights holds all parameters of one model, or their gradients or moments, in one 64-byte aligned allocation.
/// Copying it copies the values. Views are valid until the object is assigned to or destroyed.
template <class T>
class ModelWeights {
 public:
  using MatrixType = MatrixView<const T>;
  using Gradients = ModelWeights;

  ModelWeights() = default;
  /// Makes weights in the shapes of `config`, all zero.
  /// @throws BadArgument if the configuration is not valid.
  explicit ModelWeights(const ModelConfig& config) : config_(config), layout_(config) {
    lay_out();
    values_.assign(size_, T(0));
  }

  const ModelConfig& config() const { return config_; }
  /// Gives the tensors in visiting order.
  const ModelLayout& layout() const { return layout_; }
  /// Gives all values, tensors in visiting order. The gaps that align tensors hold zeros.
  std::span<T> flat() { return values_; }
  std::span<const T> flat() const { return values_; }
  /// Gives the values of layout()[tensor] in row-major order.
  std::span<T> values(std::size_t tensor) { return {values_.data() + offsets_[tensor], layout_[tensor].size()}; }
  std::span<const T> values(std::size_t tensor) const {
    return {values_.data() + offsets_[tensor], layout_[tensor].size()};
  }
  /// Gives the number of parameters, without gaps. A tied head counts once.
  std::size_t parameters() const { return layout_.parameters(); }
  /// Gives the size of all values in bytes.
  std::size_t bytes() const { return flat().size_bytes(); }
  bool empty() const { return values_.empty(); }
  /// Gives gradients in the same shapes, all zero.
  Gradients make_gradients() const { return Gradients(config_); }
  void set_zero() { std::fill(values_.begin(), values_.end(), T(0)); }

  MatrixView<T> embedding() { return matrix<T>(*this, TensorKind::embedding); }
  MatrixView<const T> embedding() const { return matrix<const T>(*this, TensorKind::embedding); }
  /// Gives the LM head, (V x d); it is the embedding itself if the head is tied.
  MatrixView<T> head() { return matrix<T>(*this, head_); }
  MatrixView<const T> head() const { return matrix<const T>(*this, head_); }
  std::span<T> final_norm() { return vector<T>(*this, TensorKind::final_norm); }
  std::span<const T> final_norm() const { return vector<const T>(*this, TensorKind::final_norm); }
  LayerWeights<T> layer(std::size_t index) { return layer_views<T>(*this, index); }
  LayerWeights<const T> layer(std::size_t index) const { return layer_views<const T>(*this, index); }

  /// Calls f(ParameterView<T>) for every parameter, without gradients. Norms and biases skip weight decay.
  template <class F>
  void visit(F&& f) {
    for (std::size_t i = 0; i < layout_.size(); ++i) f(view<T>(i, values(i), {}));
  }
  /// Calls f(ParameterView<T>) for every parameter with its gradient. If `gradients` is empty, the views have no
  /// gradients.
  /// @throws BadArgument if the gradients belong to another configuration.
  template <class F>
  void visit(ModelWeights& gradients, F&& f) {
    if (gradients.values_.empty()) return visit(f);
    if (gradients.size_ != size_ || gradients.offsets_ != offsets_) {
      throw BadArgument("model weights: the gradients have the shape of another configuration");
    }
    for (std::size_t i = 0; i < layout_.size(); ++i) f(view<T>(i, values(i), gradients.values(i)));
  }
  /// Calls f(ParameterView<const T>) for every parameter.
  template <class F>
  void visit(F&& f) const {
    for (std::size_t i = 0; i < layout_.size(); ++i) f(view<const T>(i, values(i), {}));
  }

  /// Draws random weights: normal with standard deviation 0.02, divided by sqrt(2 layers) for output and down
  /// projections; norms 1; biases 0. The result depends only on the seed and the configuration.
  void initialize(std::uint64_t seed) {
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      const RandomStream stream(
          {.seed = seed, .purpose = Purpose::initialization, .row = static_cast<std::uint32_t>(i)});
      initialize(layout_[i], stream, values(i));
    }
  }

 private:
  /// Block is a run of tensors that are stored as one; for a kind that each layer has, it describes those of layer 0.
  struct Block {
    std::size_t offset = 0;
    std::size_t rows = 0;  ///< 0 if the model has no such tensor
    std::size_t cols = 0;
  };

  void initialize(const TensorSpec& tensor, const RandomStream& stream, std::span<T> values) const {
    if (tensor.init == TensorInit::ones || tensor.init == TensorInit::zeros) {
      std::fill(values.begin(), values.end(), tensor.init == TensorInit::ones ? T(1) : T(0));
      return;
    }
    const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config_.layers));
    const double std_dev = tensor.init == TensorInit::residual ? residual : 0.02;
    parallel_for(tensor.rows, [&](std::size_t r) {
      for (std::size_t k = r * tensor.cols; k < (r + 1) * tensor.cols; ++k) {
        values[k] = static_cast<T>(std_dev * stream.normal(static_cast<std::uint32_t>(k)));
      }
    });
  }

  template <class U>
  ParameterView<U> view(std::size_t index, std::span<U> values, std::span<U> gradients) const {
    const TensorSpec& tensor = layout_[index];
    return {.name = tensor.name,
            .values = values,
            .gradients = gradients,
            .rows = tensor.rows,
            .cols = tensor.cols,
            .decay = tensor.decay};
  }

  /// Places every block at the allocator's alignment. Each layer is laid out as layer 0 is, layer_stride_ values
  /// further on.
  void lay_out() {
    constexpr std::size_t step = AlignedAllocator<T>::alignment / sizeof(T);
    offsets_.reserve(layout_.size());
    layout_.for_each_block([&](std::size_t first, std::size_t last) {
      size_ = (size_ + step - 1) / step * step;
      const TensorSpec& tensor = layout_[first];
      const std::size_t outputs = layout_.block_outputs(first, last);
      Block& block = at(tensor.kind);
      if (tensor.layer == 0) {
        block = is_matrix(tensor.kind) ? Block{size_, outputs, tensor.cols} : Block{size_, 1, outputs};
      } else if (tensor.layer == 1 && tensor.kind == TensorKind::input_norm) {
        layer_stride_ = size_ - block.offset;
      }
      for (std::size_t i = first; i < last; ++i) {
        offsets_.push_back(size_);
        size_ += layout_[i].size();
      }
    });
    head_ = at(TensorKind::head).rows > 0 ? TensorKind::head : TensorKind::embedding;
  }

  Block& at(TensorKind kind) { return blocks_[static_cast<std::size_t>(kind)]; }
  const Block& at(TensorKind kind) const { return blocks_[static_cast<std::size_t>(kind)]; }

  template <class U, class Self>
  static MatrixView<U> matrix(Self& self, TensorKind kind, std::size_t layer = 0) {
    const Block& block = self.at(kind);
    return {self.values_.data() + block.offset + layer * self.layer_stride_, block.rows, block.cols};
  }
  template <class U, class Self>
  static std::span<U> vector(Self& self, TensorKind kind, std::size_t layer = 0) {
    const Block& block = self.at(kind);
    return {self.values_.data() + block.offset + layer * self.layer_stride_, block.cols};
  }
  template <class U, class Self>
  static LayerWeights<U> layer_views(Self& self, std::size_t index) {
    LayerWeights<U> w;
    w.input_norm = vector<U>(self, TensorKind::input_norm, index);
    w.qkv = matrix<U>(self, TensorKind::query, index);
    w.qkv_bias = vector<U>(self, TensorKind::query_bias, index);
    w.query_norm = vector<U>(self, TensorKind::query_norm, index);
    w.key_norm = vector<U>(self, TensorKind::key_norm, index);
    w.output = matrix<U>(self, TensorKind::output, index);
    w.output_bias = vector<U>(self, TensorKind::output_bias, index);
    w.post_norm = vector<U>(self, TensorKind::post_norm, index);
    w.gate_up = matrix<U>(self, TensorKind::gate, index);
    w.gate_up_bias = vector<U>(self, TensorKind::gate_bias, index);
    w.down = matrix<U>(self, TensorKind::down, index);
    w.down_bias = vector<U>(self, TensorKind::down_bias, index);
    return w;
  }

  ModelConfig config_;
  ModelLayout layout_;
  std::vector<std::size_t> offsets_;          ///< by tensor
  std::array<Block, tensor_kinds> blocks_{};  ///< by the kind of a block's first tensor
  std::size_t layer_stride_ = 0;
  TensorKind head_ = TensorKind::embedding;  ///< where the head is stored
  std::size_t size_ = 0;
  AlignedVector<T> values_;
};

}  // namespace maestro
