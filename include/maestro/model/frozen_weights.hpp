#pragma once

/// @file
/// The weights of a model that is not trained, stored once: packed for the native kernels, which serve forward and
/// backward passes and decoding alike, and in bfloat16 where that is wanted.

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/gemm/packed_matrix.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// T: the type that passes compute in. S: the type in which matrices are stored, T or Bfloat16; norms and biases are T.
/// 2 bytes a parameter in Bfloat16, a tied head once. Immutable once made; const use from several threads is safe.
template <class T, class S = T>
class FrozenWeights {
 public:
  using MatrixType = PackedView<T, S>;

  /// @param read  read(name, shape, first, values): elements [first, first + values.size()) of the named parameter of
  ///              this shape, row after row; called for all of every parameter, in the order of `first`.
  /// @throws BadArgument when the configuration is not valid, and what `read` throws.
  template <class Read>
  FrozenWeights(const ModelConfig& config, Read&& read) : config_(config) {
    validate(config);
    lay_out();
    for (const Vector& v : vectors_) {
      read(v.name, std::span(&v.size, 1), std::size_t{0}, std::span<T>(vector_values_.data() + v.offset, v.size));
    }
    for (const Rows& rows : rows_) read_rows(rows, read);
  }
  explicit FrozenWeights(const ModelWeights<T>& weights)
      : FrozenWeights(weights.config(), [&](std::string_view name, std::span<const std::size_t>, std::size_t first,
                                            std::span<T> values) {
          weights.visit([&](const auto& view) {
            if (view.name == name)
              std::copy_n(view.values.begin() + static_cast<std::ptrdiff_t>(first), values.size(), values.begin());
          });
        }) {}
  FrozenWeights(const FrozenWeights&) = delete;
  FrozenWeights& operator=(const FrozenWeights&) = delete;

  const ModelConfig& config() const { return config_; }
  MatrixType embedding() const { return embedding_; }
  MatrixType head() const { return head_; }
  std::span<const T> final_norm() const { return final_norm_; }
  const LayerWeights<const T, MatrixType>& layer(std::size_t index) const { return layers_[index]; }
  /// Bytes of every value.
  std::size_t bytes() const { return values_.size() * sizeof(S) + vector_values_.size() * sizeof(T); }

  /// Names of all parameters.
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const Vector& v : vectors_) all.push_back(v.name);
    for (const Rows& rows : rows_) all.push_back(rows.name);
    return all;
  }

  /// The same weights in the form in which they are trained or saved.
  ModelWeights<T> unpacked() const {
    ModelWeights<T> weights(config_);
    weights.visit([&](auto view) {
      for (const Vector& v : vectors_) {
        if (v.name == view.name) std::copy_n(vector_values_.data() + v.offset, v.size, view.values.begin());
      }
      for (const Rows& rows : rows_) {
        if (rows.name != view.name) continue;
        parallel_for(rows.count, view.cols, [&](std::size_t r) {
          for (std::size_t c = 0; c < view.cols; ++c) view.values[r * view.cols + c] = rows.matrix(c, rows.first + r);
        });
      }
    });
    return weights;
  }

 private:
  static constexpr std::size_t panel = detail::panel_cols<T>;
  struct Vector {
    std::string name;
    std::size_t offset;
    std::size_t size;
  };
  /// A parameter as outputs [first, first + count) of a packed matrix.
  struct Rows {
    std::string name;
    MatrixType matrix;
    S* data;
    std::size_t first;
    std::size_t count;
  };

  /// Lays all parameters out, then points the views at them.
  void lay_out() {
    const ModelConfig& c = config_;
    std::size_t size = 0;
    std::size_t vector_size = 0;
    place(size, vector_size, nullptr, nullptr);
    values_.assign(size, S{});
    vector_values_.assign(vector_size, T(0));
    rows_.clear();
    vectors_.clear();
    size = vector_size = 0;
    layers_.resize(c.layers);
    place(size, vector_size, values_.data(), vector_values_.data());
  }

  void place(std::size_t& size, std::size_t& vector_size, S* values, const T* vectors) {
    const ModelConfig& c = config_;
    const auto matrix = [&](std::size_t out, std::size_t in) {
      const MatrixType view(values == nullptr ? nullptr : values + size, in, out);
      size += MatrixType::size(in, out);
      return view;
    };
    const auto rows = [&](const std::string& name, const MatrixType& view, std::size_t first, std::size_t count) {
      rows_.push_back({name, view, values == nullptr ? nullptr : values + (view.panel(0) - values), first, count});
    };
    const auto vector = [&](std::string name, std::size_t count) {
      vectors_.push_back({std::move(name), vector_size, count});
      const T* const at = vectors == nullptr ? nullptr : vectors + vector_size;
      vector_size += count;
      return std::span<const T>(at, at == nullptr ? 0 : count);
    };
    embedding_ = matrix(c.vocabulary, c.hidden);
    rows("model.embed_tokens.weight", embedding_, 0, c.vocabulary);
    for (std::size_t l = 0; l < c.layers; ++l) {
      const std::string prefix = "model.layers." + std::to_string(l) + ".";
      LayerWeights<const T, MatrixType> w;
      w.input_norm = vector(prefix + "input_layernorm.weight", c.hidden);
      w.qkv = matrix(c.qkv_size(), c.hidden);
      rows(prefix + "self_attn.q_proj.weight", w.qkv, 0, c.query_size());
      rows(prefix + "self_attn.k_proj.weight", w.qkv, c.query_size(), c.key_size());
      rows(prefix + "self_attn.v_proj.weight", w.qkv, c.query_size() + c.key_size(), c.key_size());
      if (c.qkv_bias == QkvBias::present) {
        const std::span<const T> q = vector(prefix + "self_attn.q_proj.bias", c.query_size());
        vector(prefix + "self_attn.k_proj.bias", c.key_size());
        vector(prefix + "self_attn.v_proj.bias", c.key_size());
        if (!q.empty()) w.qkv_bias = {q.data(), c.qkv_size()};
      }
      if (c.query_key_norm == QueryKeyNorm::present) {
        w.query_norm = vector(prefix + "self_attn.q_norm.weight", c.head_dim);
        w.key_norm = vector(prefix + "self_attn.k_norm.weight", c.head_dim);
      }
      w.output = matrix(c.hidden, c.query_size());
      rows(prefix + "self_attn.o_proj.weight", w.output, 0, c.hidden);
      w.post_norm = vector(prefix + "post_attention_layernorm.weight", c.hidden);
      w.gate_up = matrix(2 * c.intermediate, c.hidden);
      rows(prefix + "mlp.gate_proj.weight", w.gate_up, 0, c.intermediate);
      rows(prefix + "mlp.up_proj.weight", w.gate_up, c.intermediate, c.intermediate);
      w.down = matrix(c.hidden, c.intermediate);
      rows(prefix + "mlp.down_proj.weight", w.down, 0, c.hidden);
      if (values != nullptr) layers_[l] = w;
    }
    final_norm_ = vector("model.norm.weight", c.hidden);
    head_ = embedding_;
    if (c.head == HeadWeights::separate) {
      head_ = matrix(c.vocabulary, c.hidden);
      rows("lm_head.weight", head_, 0, c.vocabulary);
    }
  }

  /// In blocks of rows, so that no second copy of a large matrix exists.
  template <class Read>
  void read_rows(const Rows& rows, Read&& read) {
    const std::size_t cols = rows.matrix.rows();
    const std::array<std::size_t, 2> shape{rows.count, cols};
    const std::size_t step = std::max<std::size_t>(panel, (std::size_t{1} << 20) / cols / panel * panel);
    std::vector<T> block;
    for (std::size_t first = 0; first < rows.count; first += step) {
      const std::size_t count = std::min(step, rows.count - first);
      block.resize(count * cols);
      read(rows.name, std::span<const std::size_t>(shape), first * cols, std::span<T>(block));
      parallel_for(count, cols, [&](std::size_t r) {
        const std::size_t out = rows.first + first + r;
        S* const to = rows.data + out / panel * rows.matrix.panel_stride() + out % panel;
        for (std::size_t c = 0; c < cols; ++c) to[c * panel] = static_cast<S>(block[r * cols + c]);
      });
    }
  }

  ModelConfig config_;
  AlignedVector<S> values_;         ///< packed matrices
  AlignedVector<T> vector_values_;  ///< norms and biases
  std::vector<Vector> vectors_;
  std::vector<Rows> rows_;
  std::vector<LayerWeights<const T, MatrixType>> layers_;
  MatrixType embedding_;
  MatrixType head_;
  std::span<const T> final_norm_;
};

}  // namespace maestro
