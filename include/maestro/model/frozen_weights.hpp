#pragma once

/// @file
/// The weights of a model that is not trained, stored once. They are packed for the native kernels, which serve forward
/// and backward passes and decoding alike, and may be stored in bfloat16.

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// FrozenWeights holds the weights of a model that is not trained. T is the type that passes compute in. S is the type
/// in which matrices are stored, T or Bfloat16; norms and biases are T. In Bfloat16 a parameter takes 2 bytes; a tied
/// head is stored once. The object is immutable once made, and const use from several threads is safe.
template <class T, class S = T>
class FrozenWeights {
 public:
  using MatrixType = PackedView<T, S>;

  /// Reads all tensors.
  /// @param read  read(tensor, first, values) fills elements [first, first + values.size()) of
  ///   ModelLayout(config)[tensor], row after row. It is called for all of every tensor, in the order of `first`.
  /// @throws BadArgument if the configuration is not valid, and what `read` throws.
  template <class Read>
  FrozenWeights(const ModelConfig& config, Read&& read) : config_(config), layout_(config) {
    lay_out();
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      if (is_matrix(layout_[i].kind)) {
        read_rows(i, read);
      } else {
        read(i, std::size_t{0}, std::span<T>(parts_[i].vector, layout_[i].size()));
      }
    }
  }
  explicit FrozenWeights(const ModelWeights<T>& weights)
      : FrozenWeights(weights.config(), [&](std::size_t tensor, std::size_t first, std::span<T> values) {
          const std::span<const T> part = weights.values(tensor).subspan(first, values.size());
          std::copy(part.begin(), part.end(), values.begin());
        }) {}
  FrozenWeights(const FrozenWeights&) = delete;
  FrozenWeights& operator=(const FrozenWeights&) = delete;

  const ModelConfig& config() const { return config_; }
  const ModelLayout& layout() const { return layout_; }
  MatrixType embedding() const { return embedding_; }
  MatrixType head() const { return head_; }
  std::span<const T> final_norm() const { return final_norm_; }
  const LayerWeights<const T, MatrixType>& layer(std::size_t index) const { return layers_[index]; }
  /// Gives the number of bytes that all values take.
  std::size_t bytes() const { return values_.size() * sizeof(S) + vector_values_.size() * sizeof(T); }

  /// Gives the same weights in the form in which they are trained or saved.
  ModelWeights<T> unpacked() const {
    ModelWeights<T> weights(config_);
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      const TensorSpec& tensor = layout_[i];
      const Part& part = parts_[i];
      const std::span<T> values = weights.values(i);
      if (!is_matrix(tensor.kind)) {
        std::copy_n(part.vector, tensor.cols, values.begin());
        continue;
      }
      parallel_for(tensor.rows, tensor.cols, [&](std::size_t r) {
        for (std::size_t c = 0; c < tensor.cols; ++c) values[r * tensor.cols + c] = part.matrix(c, part.first + r);
      });
    }
    return weights;
  }

 private:
  static constexpr std::size_t panel = detail::panel_cols<T>;
  /// Part says where a tensor lies: as a vector, or as outputs [first, first + rows) of a packed matrix.
  struct Part {
    T* vector = nullptr;
    MatrixType matrix{};
    S* data = nullptr;  ///< of the packed matrix
    std::size_t first = 0;
  };

  void lay_out() {
    std::size_t size = 0;
    std::size_t vector_size = 0;
    layout_.for_each_block([&](std::size_t first, std::size_t last) {
      const std::size_t outputs = layout_.block_outputs(first, last);
      if (is_matrix(layout_[first].kind)) {
        size += MatrixType::size(layout_[first].cols, outputs);
      } else {
        vector_size += outputs;
      }
    });
    values_.assign(size, S{});
    vector_values_.assign(vector_size, T(0));
    layers_.resize(config_.layers);
    S* values = values_.data();
    T* vectors = vector_values_.data();
    layout_.for_each_block([&](std::size_t first, std::size_t last) {
      const std::size_t outputs = layout_.block_outputs(first, last);
      if (is_matrix(layout_[first].kind)) {
        place_matrix(first, last, MatrixType(values, layout_[first].cols, outputs), values);
        values += MatrixType::size(layout_[first].cols, outputs);
      } else {
        place_vector(first, last, std::span<T>(vectors, outputs));
        vectors += outputs;
      }
    });
    if (config_.head == HeadWeights::tied) head_ = embedding_;
  }
  void place_matrix(std::size_t first, std::size_t last, const MatrixType& matrix, S* data) {
    std::size_t output = 0;
    for (std::size_t i = first; i < last; ++i) {
      parts_.push_back({.matrix = matrix, .data = data, .first = output});
      output += layout_[i].rows;
    }
    const TensorSpec& tensor = layout_[first];
    if (tensor.kind == TensorKind::embedding) {
      embedding_ = matrix;
    } else if (tensor.kind == TensorKind::head) {
      head_ = matrix;
    } else {
      matrix_of(layers_[tensor.layer], tensor.kind) = matrix;
    }
  }
  void place_vector(std::size_t first, std::size_t last, std::span<T> vector) {
    std::size_t offset = 0;
    for (std::size_t i = first; i < last; ++i) {
      parts_.push_back({.vector = vector.data() + offset});
      offset += layout_[i].cols;
    }
    const TensorSpec& tensor = layout_[first];
    (tensor.kind == TensorKind::final_norm ? final_norm_ : vector_of(layers_[tensor.layer], tensor.kind)) = vector;
  }

  /// Reads in blocks of rows, so that no second copy of a large matrix exists.
  template <class Read>
  void read_rows(std::size_t tensor, Read&& read) {
    const Part& part = parts_[tensor];
    const std::size_t rows = layout_[tensor].rows;
    const std::size_t cols = layout_[tensor].cols;
    const std::size_t step = std::max<std::size_t>(panel, (std::size_t{1} << 20) / cols / panel * panel);
    std::vector<T> block;
    for (std::size_t first = 0; first < rows; first += step) {
      const std::size_t count = std::min(step, rows - first);
      block.resize(count * cols);
      read(tensor, first * cols, std::span<T>(block));
      parallel_for(count, cols, [&](std::size_t r) {
        const std::size_t out = part.first + first + r;
        S* const to = part.data + out / panel * part.matrix.panel_stride() + out % panel;
        for (std::size_t c = 0; c < cols; ++c) to[c * panel] = static_cast<S>(block[r * cols + c]);
      });
    }
  }

  ModelConfig config_;
  ModelLayout layout_;
  AlignedVector<S> values_;         ///< packed matrices
  AlignedVector<T> vector_values_;  ///< norms and biases
  std::vector<Part> parts_;         ///< by tensor
  std::vector<LayerWeights<const T, MatrixType>> layers_;
  MatrixType embedding_;
  MatrixType head_;
  std::span<const T> final_norm_;
};

}  // namespace maestro
