#pragma once

/// @file
/// The weights of a model that is not trained, stored once: packed for the native kernels, in full or in bfloat16, or
/// as the quantized blocks of a GGUF file. Forward and backward passes and decoding use the one form alike.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "maestro/core/bfloat16.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/gguf_blocks.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/frozen_matrix.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/gemm/quantized_matrix.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// FrozenStore is the form in which the matrices of a model that is not trained are stored.
enum class FrozenStore : std::uint8_t {
  automatic,  ///< as the checkpoint stores them: quantized, bfloat16, or else full (frozen_store)
  full,       ///< the type of the computation
  bfloat16,   ///< 2 bytes for each weight
  quantized,  ///< the blocks of a GGUF file, dequantized whenever a product needs them
};

/// FrozenWeights holds the weights of a model that is not trained. T is the type that passes compute in. Matrices are
/// stored in one of the forms of FrozenStore; norms and biases are T. A tied head is stored once. The object is
/// immutable once made, and const use from several threads is safe.
template <class T>
class FrozenWeights {
 public:
  using MatrixType = FrozenMatrix<T>;

  /// Reads all tensors.
  /// @param store  full, or bfloat16 if T is float.
  /// @param read  read(tensor, first, values) fills elements [first, first + values.size()) of
  ///   ModelLayout(config)[tensor], row after row. It is called for all of every tensor, in the order of `first`.
  /// @throws BadArgument if the configuration is not valid or the store is another one, and what `read` throws.
  template <class Read>
  FrozenWeights(const ModelConfig& config, FrozenStore store, Read&& read) : config_(config), layout_(config) {
    if (store == FrozenStore::full) {
      read_all(values_, read);
    } else if (store == FrozenStore::bfloat16 && std::is_same_v<T, float>) {
      if constexpr (std::is_same_v<T, float>) read_all(halves_, read);
    } else {
      throw BadArgument("frozen weights: this constructor stores them in full, or in bfloat16 if they are floats");
    }
  }
  /// Copies all tensors.
  /// @throws as the constructor that reads them.
  explicit FrozenWeights(const ModelWeights<T>& weights, FrozenStore store = FrozenStore::full)
      : FrozenWeights(weights.config(), store, [&](std::size_t tensor, std::size_t first, std::span<T> values) {
          const std::span<const T> part = weights.values(tensor).subspan(first, values.size());
          std::copy(part.begin(), part.end(), values.begin());
        }) {}
  /// Reads all tensors as they are stored, quantized or not.
  /// @param types  (tensors) of the matrices of ModelLayout(config); those of vectors are not used.
  /// @param read_row  read_row(tensor, row, bytes) fills the blocks of one row of a matrix. It is called from several
  ///   threads at once.
  /// @param read_vector  read_vector(tensor, values) fills a norm or a bias.
  /// @throws BadArgument if the configuration is not valid or a row has no whole blocks, and what the functions throw.
  template <class ReadRow, class ReadVector>
  FrozenWeights(const ModelConfig& config, std::span<const GgufType> types, ReadRow&& read_row,
                ReadVector&& read_vector)
      : config_(config), layout_(config) {
    require(types.size() == layout_.size(), "frozen weights: one element type per tensor is needed");
    lay_out_blocks(types);
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      const TensorSpec& tensor = layout_[i];
      if (!is_matrix(tensor.kind)) {
        read_vector(i, std::span<T>(parts_[i].vector, tensor.size()));
        continue;
      }
      std::byte* const data = blocks_.data() + parts_[i].offset;
      const std::size_t size = detail::gguf_row_bytes(types[i], tensor.cols);
      parallel_for(tensor.rows, tensor.cols,
                   [&](std::size_t row) { read_row(i, row, std::span<std::byte>(data + row * size, size)); });
    }
  }
  FrozenWeights(const FrozenWeights&) = delete;
  FrozenWeights& operator=(const FrozenWeights&) = delete;

  const ModelConfig& config() const { return config_; }
  const ModelLayout& layout() const { return layout_; }
  MatrixType embedding() const { return embedding_; }
  MatrixType head() const { return head_; }
  std::span<const T> final_norm() const { return final_norm_; }
  const LayerWeights<const T, MatrixType>& layer(std::size_t index) const { return layers_[index]; }
  /// Gives the number of bytes that all values take.
  std::size_t bytes() const {
    return (values_.size() + vector_values_.size()) * sizeof(T) + halves_.size() * sizeof(Bfloat16) + blocks_.size();
  }

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
        part.matrix.copy_col(part.first + r, values.subspan(r * tensor.cols, tensor.cols));
      });
    }
    return weights;
  }

 private:
  static constexpr std::size_t panel = detail::panel_cols<T>;
  /// Part says where a tensor lies: as a vector, or as outputs [first, first + rows) of a matrix.
  struct Part {
    T* vector = nullptr;
    MatrixType matrix{};
    std::size_t first = 0;
    std::size_t offset = 0;  ///< of the matrix, or of the tensor's own blocks, in what holds the matrices
  };

  template <class S, class Read>
  void read_all(AlignedVector<S>& values, Read&& read) {
    lay_out_panels(values);
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      if (is_matrix(layout_[i].kind)) {
        read_rows(i, values, read);
      } else {
        read(i, std::size_t{0}, std::span<T>(parts_[i].vector, layout_[i].size()));
      }
    }
  }

  template <class S>
  void lay_out_panels(AlignedVector<S>& values) {
    std::size_t size = 0;
    layout_.for_each_block([&](std::size_t first, std::size_t last) {
      if (is_matrix(layout_[first].kind)) size += packed_size<S>(first, last);
    });
    values.assign(size, S{});
    std::size_t offset = 0;
    place_all([&](std::size_t first, std::size_t last) {
      const std::size_t outputs = layout_.block_outputs(first, last);
      for (std::size_t i = first; i < last; ++i) parts_[i].offset = offset;
      const PackedView<T, S> view(values.data() + offset, layout_[first].cols, outputs);
      offset += packed_size<S>(first, last);
      return MatrixType(view);
    });
  }
  void lay_out_blocks(std::span<const GgufType> types) {
    std::size_t size = 0;
    std::size_t matrices = 0;
    for (std::size_t i = 0; i < layout_.size(); ++i) {
      if (!is_matrix(layout_[i].kind)) continue;
      require(layout_[i].cols % detail::gguf_block(types[i]).values == 0,
              "frozen weights: the rows of a tensor are no whole blocks of its type");
      size += layout_[i].rows * detail::gguf_row_bytes(types[i], layout_[i].cols);
      ++matrices;
    }
    blocks_.resize(size);
    runs_.reserve(matrices);  // views refer to parts of it
    std::size_t offset = 0;
    place_all([&](std::size_t first, std::size_t last) {
      const std::size_t begin = runs_.size();
      std::size_t row = 0;
      for (std::size_t i = first; i < last; ++i) {
        const std::size_t row_bytes = detail::gguf_row_bytes(types[i], layout_[i].cols);
        parts_[i].offset = offset;
        runs_.push_back({.type = types[i], .first = row, .row_bytes = row_bytes, .data = blocks_.data() + offset});
        row += layout_[i].rows;
        offset += layout_[i].rows * row_bytes;
      }
      return MatrixType(QuantizedView<T>(std::span(runs_).subspan(begin), layout_[first].cols, row));
    });
  }
  template <class S>
  std::size_t packed_size(std::size_t first, std::size_t last) const {
    return PackedView<T, S>::size(layout_[first].cols, layout_.block_outputs(first, last));
  }

  /// Places every vector, and every matrix where place_matrix(first, last) puts the tensors of a block.
  template <class PlaceMatrix>
  void place_all(PlaceMatrix&& place_matrix) {
    parts_.resize(layout_.size());
    layers_.resize(config_.layers);
    vector_values_.assign(layout_.vector_parameters(), T(0));
    T* vectors = vector_values_.data();
    layout_.for_each_block([&](std::size_t first, std::size_t last) {
      if (is_matrix(layout_[first].kind)) {
        assign_matrix(first, last, place_matrix(first, last));
      } else {
        const std::size_t outputs = layout_.block_outputs(first, last);
        assign_vector(first, last, std::span<T>(vectors, outputs));
        vectors += outputs;
      }
    });
    if (config_.head == HeadWeights::tied) head_ = embedding_;
  }
  void assign_matrix(std::size_t first, std::size_t last, const MatrixType& matrix) {
    std::size_t output = 0;
    for (std::size_t i = first; i < last; ++i) {
      parts_[i].matrix = matrix;
      parts_[i].first = output;
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
  void assign_vector(std::size_t first, std::size_t last, std::span<T> vector) {
    std::size_t offset = 0;
    for (std::size_t i = first; i < last; ++i) {
      parts_[i].vector = vector.data() + offset;
      offset += layout_[i].cols;
    }
    const TensorSpec& tensor = layout_[first];
    (tensor.kind == TensorKind::final_norm ? final_norm_ : vector_of(layers_[tensor.layer], tensor.kind)) = vector;
  }

  /// Reads in blocks of rows, so that no second copy of a large matrix exists.
  template <class S, class Read>
  void read_rows(std::size_t tensor, AlignedVector<S>& values, Read&& read) {
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
        S* const to = values.data() + part.offset + out / panel * cols * panel + out % panel;
        for (std::size_t c = 0; c < cols; ++c) to[c * panel] = static_cast<S>(block[r * cols + c]);
      });
    }
  }

  ModelConfig config_;
  ModelLayout layout_;
  AlignedVector<T> values_;          ///< packed matrices, if they are stored in full,
  AlignedVector<Bfloat16> halves_;   ///< or in bfloat16,
  std::vector<std::byte> blocks_;    ///< or as quantized rows,
  std::vector<QuantizedRows> runs_;  ///< by matrix of the layout
  AlignedVector<T> vector_values_;   ///< norms and biases
  std::vector<Part> parts_;          ///< by tensor
  std::vector<LayerWeights<const T, MatrixType>> layers_;
  MatrixType embedding_;
  MatrixType head_;
  std::span<const T> final_norm_;
};

}  // namespace maestro
