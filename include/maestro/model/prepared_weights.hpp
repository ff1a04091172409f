#pragma once

/// @file
/// The weights of a model in the form that a GEMM backend multiplies fastest, for passes that use the same weights many
/// times, such as the steps of a rollout.

#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// PreparedWeights refers to the weights as they are. This general form serves backends without a form of their own,
/// and weights that already have that form. `weights` must outlive the object and must not change.
template <class T, class Backend, class Weights = ModelWeights<T>>
class PreparedWeights {
 public:
  using MatrixType = typename Weights::MatrixType;

  void assign(const Weights& weights) { weights_ = &weights; }

  const ModelConfig& config() const { return weights_->config(); }
  MatrixType embedding() const { return weights_->embedding(); }
  std::span<const T> final_norm() const { return weights_->final_norm(); }
  LayerWeights<const T, MatrixType> layer(std::size_t index) const { return weights_->layer(index); }
  MatrixType head() const { return weights_->head(); }
  /// Gives the size of all weights in bytes: the most that one step can read.
  std::size_t bytes() const { return weights_->bytes(); }

 private:
  const Weights* weights_ = nullptr;
};

/// PreparedWeights for NativeBackend packs every matrix for the native kernels. It refers to the weights for norms,
/// biases and embedding, so `weights` must outlive the object and must not change. Packing takes one pass over the
/// weights and as much memory again. Reusing an object reuses its storage.
template <class T>
class PreparedWeights<T, NativeBackend, ModelWeights<T>> {
 public:
  using MatrixType = PackedView<T>;

  void assign(const ModelWeights<T>& weights) {
    weights_ = &weights;
    const ModelConfig& c = weights.config();
    std::size_t size = packed_size(weights.head());
    for (std::size_t l = 0; l < c.layers; ++l) {
      const LayerWeights<const T> w = weights.layer(l);
      size += packed_size(w.qkv) + packed_size(w.output) + packed_size(w.gate_up) + packed_size(w.down);
    }
    values_.resize(size);
    T* to = values_.data();
    const auto next = [&to](MatrixView<const T> w) {
      const PackedView<T> packed = pack(Transpose::yes, w, to);
      to += packed_size(w);
      return packed;
    };
    layers_.resize(c.layers);
    for (std::size_t l = 0; l < c.layers; ++l) {
      const LayerWeights<const T> w = weights.layer(l);
      layers_[l] = {.input_norm = w.input_norm,
                    .qkv = next(w.qkv),
                    .qkv_bias = w.qkv_bias,
                    .query_norm = w.query_norm,
                    .key_norm = w.key_norm,
                    .output = next(w.output),
                    .output_bias = w.output_bias,
                    .post_norm = w.post_norm,
                    .gate_up = next(w.gate_up),
                    .gate_up_bias = w.gate_up_bias,
                    .down = next(w.down),
                    .down_bias = w.down_bias,
                    .adapters = {}};
    }
    head_ = next(weights.head());
  }

  const ModelConfig& config() const { return weights_->config(); }
  MatrixView<const T> embedding() const { return weights_->embedding(); }
  std::span<const T> final_norm() const { return weights_->final_norm(); }
  const LayerWeights<const T, PackedView<T>>& layer(std::size_t index) const { return layers_[index]; }
  MatrixType head() const { return head_; }
  /// Gives the size of the packed matrices in bytes: what one step reads, except norms, biases and single rows of the
  /// embedding.
  std::size_t bytes() const { return values_.size() * sizeof(T); }

 private:
  static std::size_t packed_size(MatrixView<const T> w) { return PackedView<T>::size(w.cols(), w.rows()); }

  const ModelWeights<T>* weights_ = nullptr;
  std::vector<LayerWeights<const T, PackedView<T>>> layers_;
  PackedView<T> head_;
  AlignedVector<T> values_;
};

}  // namespace maestro
