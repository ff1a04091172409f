#pragma once

/// @file
/// The parameters of a transformer in one contiguous allocation, with the names of Hugging Face checkpoints.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/adapter.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

/// Views of one layer's parameters. Matrices are (out x in); an absent parameter is an empty view.
/// `qkv` spans the query, key and value projections, one after another; `gate_up` the gate and up projections.
/// M: how a matrix is seen; a PackedView once a backend has packed it (model/prepared_weights.hpp). A matrix without
/// values is frozen, where the views are of gradients.
template <class T, class M = MatrixView<T>>
struct LayerWeights {
  std::span<T> input_norm;  ///< (d)
  M qkv;                    ///< ((H + 2 Hkv) D x d)
  std::span<T> qkv_bias;    ///< ((H + 2 Hkv) D) or empty
  std::span<T> query_norm;  ///< (D) or empty
  std::span<T> key_norm;    ///< (D) or empty
  M output;                 ///< (d x H D)
  std::span<T> post_norm;   ///< (d)
  M gate_up;                ///< (2 I x d)
  M down;                   ///< (d x I)
  LayerAdapters<T> adapters{};
};

/// All parameters of one model (or their gradients, or a moment of them): values on one 64-byte aligned allocation.
/// Copying copies the values. Views are valid until assignment to, or destruction of, the object.
template <class T>
class ModelWeights {
 public:
  using MatrixType = MatrixView<const T>;
  using Gradients = ModelWeights;

  ModelWeights() = default;
  /// Zeros, in the shapes of `config`.
  /// @throws BadArgument when the configuration is not valid.
  explicit ModelWeights(const ModelConfig& config) : config_(config) {
    validate(config);
    lay_out();
    values_.assign(size_, T(0));
  }

  const ModelConfig& config() const { return config_; }
  /// Every value, tensors in visiting order, with zeros in the gaps that keep tensors aligned.
  std::span<T> flat() { return values_; }
  std::span<const T> flat() const { return values_; }
  /// Number of parameters, without gaps; a tied head counts once.
  std::size_t parameters() const {
    std::size_t count = 0;
    for (const Entry& e : entries_) count += e.rows * e.cols;
    return count;
  }
  /// Bytes of every value.
  std::size_t bytes() const { return flat().size_bytes(); }
  bool empty() const { return values_.empty(); }
  /// Zeros in the same shapes.
  Gradients make_gradients() const { return Gradients(config_); }
  void set_zero() { std::fill(values_.begin(), values_.end(), T(0)); }

  MatrixView<T> embedding() { return matrix<T>(*this, embedding_, config_.vocabulary, config_.hidden); }
  MatrixView<const T> embedding() const {
    return matrix<const T>(*this, embedding_, config_.vocabulary, config_.hidden);
  }
  /// (V x d); the embedding itself where the head is tied.
  MatrixView<T> head() { return matrix<T>(*this, head_, config_.vocabulary, config_.hidden); }
  MatrixView<const T> head() const { return matrix<const T>(*this, head_, config_.vocabulary, config_.hidden); }
  std::span<T> final_norm() { return vector<T>(*this, final_norm_, config_.hidden); }
  std::span<const T> final_norm() const { return vector<const T>(*this, final_norm_, config_.hidden); }
  LayerWeights<T> layer(std::size_t index) { return layer_views<T>(*this, index); }
  LayerWeights<const T> layer(std::size_t index) const { return layer_views<const T>(*this, index); }

  /// Calls f(ParameterView<T>) for every parameter, without gradients. Norms and biases skip weight decay.
  template <class F>
  void visit(F&& f) {
    for (const Entry& e : entries_) f(view(e, values_.data(), static_cast<T*>(nullptr)));
  }
  /// Calls f(ParameterView<T>) for every parameter with its gradient; an empty `gradients` object gives no gradients.
  /// @throws BadArgument when the gradients belong to another configuration.
  template <class F>
  void visit(ModelWeights& gradients, F&& f) {
    if (gradients.values_.empty()) return visit(f);
    if (gradients.size_ != size_ || gradients.entries_.size() != entries_.size()) {
      throw BadArgument("model weights: the gradients have the shape of another configuration");
    }
    for (const Entry& e : entries_) f(view(e, values_.data(), gradients.values_.data()));
  }
  /// Calls f(ParameterView<const T>) for every parameter.
  template <class F>
  void visit(F&& f) const {
    for (const Entry& e : entries_) {
      f(ParameterView<const T>{.name = e.name,
                               .values = {values_.data() + e.offset, e.rows * e.cols},
                               .gradients = {},
                               .rows = e.rows,
                               .cols = e.cols,
                               .decay = e.decay});
    }
  }

  /// Random weights: normal with deviation 0.02, output and down projections divided by sqrt(2 layers), norms 1,
  /// biases 0. Depends on the seed and the configuration alone.
  void initialise(std::uint64_t seed) {
    const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(config_.layers));
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& e = entries_[i];
      T* values = values_.data() + e.offset;
      const RandomStream stream(
          {.seed = seed, .purpose = Purpose::initialisation, .row = static_cast<std::uint32_t>(i)});
      const double deviation = e.start == Start::residual ? residual : 0.02;
      const std::size_t cols = e.cols;
      parallel_for(e.rows, [&](std::size_t r) {
        for (std::size_t c = 0; c < cols; ++c) {
          const std::size_t k = r * cols + c;
          if (e.start == Start::ones) values[k] = T(1);
          if (e.start == Start::zeros) values[k] = T(0);
          if (e.start == Start::normal || e.start == Start::residual) {
            values[k] = static_cast<T>(deviation * stream.normal(static_cast<std::uint32_t>(k)));
          }
        }
      });
    }
  }

 private:
  enum class Start : std::uint8_t { normal, residual, ones, zeros };
  struct Entry {
    std::string name;
    std::size_t offset = 0;
    std::size_t rows = 1;
    std::size_t cols = 1;
    WeightDecay decay = WeightDecay::apply;
    Start start = Start::normal;
  };
  struct LayerOffsets {
    std::size_t input_norm = 0, qkv = 0, qkv_bias = 0, query_norm = 0, key_norm = 0;
    std::size_t output = 0, post_norm = 0, gate_up = 0, down = 0;
  };

  static ParameterView<T> view(const Entry& e, T* values, T* gradients) {
    return {.name = e.name,
            .values = {values + e.offset, e.rows * e.cols},
            .gradients = gradients ? std::span<T>(gradients + e.offset, e.rows * e.cols) : std::span<T>(),
            .rows = e.rows,
            .cols = e.cols,
            .decay = e.decay};
  }

  void lay_out() {
    const ModelConfig& c = config_;
    embedding_ = add("model.embed_tokens.weight", c.vocabulary, c.hidden);
    layers_.resize(c.layers);
    for (std::size_t l = 0; l < c.layers; ++l) lay_out_layer("model.layers." + std::to_string(l) + ".", layers_[l]);
    final_norm_ = add("model.norm.weight", 1, c.hidden, Start::ones);
    head_ = c.head == HeadWeights::tied ? embedding_ : add("lm_head.weight", c.vocabulary, c.hidden);
  }

  void lay_out_layer(const std::string& prefix, LayerOffsets& at) {
    const ModelConfig& c = config_;
    at.input_norm = add(prefix + "input_layernorm.weight", 1, c.hidden, Start::ones);
    // Query, key and value follow each other without gaps, so that one product makes all three.
    at.qkv = add(prefix + "self_attn.q_proj.weight", c.query_size(), c.hidden);
    append(prefix + "self_attn.k_proj.weight", c.key_size(), c.hidden);
    append(prefix + "self_attn.v_proj.weight", c.key_size(), c.hidden);
    if (c.qkv_bias == QkvBias::present) {
      at.qkv_bias = add(prefix + "self_attn.q_proj.bias", 1, c.query_size(), Start::zeros);
      append(prefix + "self_attn.k_proj.bias", 1, c.key_size(), Start::zeros);
      append(prefix + "self_attn.v_proj.bias", 1, c.key_size(), Start::zeros);
    }
    if (c.query_key_norm == QueryKeyNorm::present) {
      at.query_norm = add(prefix + "self_attn.q_norm.weight", 1, c.head_dim, Start::ones);
      at.key_norm = add(prefix + "self_attn.k_norm.weight", 1, c.head_dim, Start::ones);
    }
    at.output = add(prefix + "self_attn.o_proj.weight", c.hidden, c.query_size(), Start::residual);
    at.post_norm = add(prefix + "post_attention_layernorm.weight", 1, c.hidden, Start::ones);
    at.gate_up = add(prefix + "mlp.gate_proj.weight", c.intermediate, c.hidden);
    append(prefix + "mlp.up_proj.weight", c.intermediate, c.hidden);
    at.down = add(prefix + "mlp.down_proj.weight", c.hidden, c.intermediate, Start::residual);
  }

  std::size_t add(const std::string& name, std::size_t rows, std::size_t cols, Start start = Start::normal) {
    constexpr std::size_t step = AlignedAllocator<T>::alignment / sizeof(T);
    size_ = (size_ + step - 1) / step * step;
    return append(name, rows, cols, start);
  }
  std::size_t append(const std::string& name, std::size_t rows, std::size_t cols, Start start = Start::normal) {
    const bool matrix = start == Start::normal || start == Start::residual;
    const WeightDecay decay = matrix ? WeightDecay::apply : WeightDecay::skip;
    entries_.push_back({name, size_, rows, cols, decay, start});
    size_ += rows * cols;
    return entries_.back().offset;
  }

  template <class U, class Self>
  static MatrixView<U> matrix(Self& self, std::size_t offset, std::size_t rows, std::size_t cols) {
    return {self.values_.data() + offset, rows, cols};
  }
  template <class U, class Self>
  static std::span<U> vector(Self& self, std::size_t offset, std::size_t size) {
    return {self.values_.data() + offset, size};
  }
  template <class U, class Self>
  static LayerWeights<U> layer_views(Self& self, std::size_t index) {
    const ModelConfig& c = self.config_;
    const LayerOffsets& at = self.layers_[index];
    LayerWeights<U> w;
    w.input_norm = vector<U>(self, at.input_norm, c.hidden);
    w.qkv = matrix<U>(self, at.qkv, c.qkv_size(), c.hidden);
    if (c.qkv_bias == QkvBias::present) w.qkv_bias = vector<U>(self, at.qkv_bias, c.qkv_size());
    if (c.query_key_norm == QueryKeyNorm::present) {
      w.query_norm = vector<U>(self, at.query_norm, c.head_dim);
      w.key_norm = vector<U>(self, at.key_norm, c.head_dim);
    }
    w.output = matrix<U>(self, at.output, c.hidden, c.query_size());
    w.post_norm = vector<U>(self, at.post_norm, c.hidden);
    w.gate_up = matrix<U>(self, at.gate_up, 2 * c.intermediate, c.hidden);
    w.down = matrix<U>(self, at.down, c.hidden, c.intermediate);
    return w;
  }

  ModelConfig config_;
  std::vector<Entry> entries_;
  std::vector<LayerOffsets> layers_;
  std::size_t embedding_ = 0;
  std::size_t final_norm_ = 0;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
  AlignedVector<T> values_;
};

}  // namespace maestro
