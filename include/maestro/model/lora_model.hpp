#pragma once

/// @file
/// Frozen weights with LoRA adapters, which can take the place of ModelWeights.

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/frozen_weights.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/lora.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

/// LoraGradients holds the gradients of the adapters only. For all other parameters it gives the backward pass empty
/// views, or a buffer that is never read if sums are always written.
template <class T>
class LoraGradients {
 public:
  LoraGradients() = default;
  LoraGradients(const ModelConfig& config, const LoraOptions& options)
      : factors_(config, options), unread_(std::max(config.hidden, config.head_dim)) {}

  const ModelConfig& config() const { return factors_.config(); }
  bool empty() const { return factors_.empty(); }
  void set_zero() { factors_.set_zero(); }
  LoraFactors<T>& factors() { return factors_; }

  MatrixView<T> embedding() { return {}; }
  MatrixView<T> head() { return {}; }
  std::span<T> final_norm() { return unread(config().hidden); }
  LayerWeights<T> layer(std::size_t index) {
    LayerWeights<T> d;
    d.input_norm = d.post_norm = unread(config().hidden);
    if (config().query_key_norm == QueryKeyNorm::present) d.query_norm = d.key_norm = unread(config().head_dim);
    d.adapters = factors_.layer(index);
    return d;
  }

 private:
  std::span<T> unread(std::size_t size) { return {unread_.data(), size}; }

  LoraFactors<T> factors_;
  AlignedVector<T> unread_;
};

/// LoraModel is a base that is not trained, with adapters that are. Copies share the base and have their own adapters,
/// so a KL reference or a proxy needs no second model in memory. It needs NativeBackend. The base is stored in one of
/// the forms of FrozenStore; the adapters and the computation are T.
template <class T>
class LoraModel {
 public:
  using MatrixType = FrozenMatrix<T>;
  using Gradients = LoraGradients<T>;

  /// Makes a model of a base and adapters.
  /// @throws BadArgument if the adapters were made for another configuration.
  LoraModel(std::shared_ptr<const FrozenWeights<T>> base, LoraFactors<T> factors)
      : base_(std::move(base)), factors_(std::move(factors)) {
    require(factors_.config() == base_->config(), "LoRA: the adapters have the shapes of another model");
  }
  /// Makes a model of the base only, with nothing to train.
  explicit LoraModel(std::shared_ptr<const FrozenWeights<T>> base)
      : base_(std::move(base)), factors_(base_->config()) {}
  /// Makes a model with new adapters.
  /// @throws BadArgument for options outside their domains.
  LoraModel(std::shared_ptr<const FrozenWeights<T>> base, const LoraOptions& options, std::uint64_t seed)
      : base_(std::move(base)), factors_(base_->config(), options) {
    factors_.initialize(seed);
  }

  const ModelConfig& config() const { return base_->config(); }
  const FrozenWeights<T>& base() const { return *base_; }
  const LoraFactors<T>& factors() const { return factors_; }
  LoraFactors<T>& factors() { return factors_; }

  MatrixType embedding() const { return base_->embedding(); }
  MatrixType head() const { return base_->head(); }
  std::span<const T> final_norm() const { return base_->final_norm(); }
  LayerWeights<const T, MatrixType> layer(std::size_t index) const {
    LayerWeights<const T, MatrixType> w = base_->layer(index);
    w.adapters = factors_.layer(index);
    return w;
  }
  /// Gives the size of all values of base and adapters in bytes.
  std::size_t bytes() const { return base_->bytes() + factors_.bytes(); }
  /// Gives the number of trained parameters.
  std::size_t parameters() const { return factors_.parameters(); }

  Gradients make_gradients() const { return Gradients(config(), factors_.options()); }
  /// Calls f(ParameterView<T>) for every factor. The base is not visited.
  template <class F>
  void visit(F&& f) {
    factors_.visit(std::forward<F>(f));
  }
  template <class F>
  void visit(Gradients& gradients, F&& f) {
    factors_.visit(gradients.factors(), std::forward<F>(f));
  }

  /// Gives the model with its adapters switched off, which computes as the base does. It serves as the KL reference.
  LoraModel without_adapters() const {
    LoraModel model = *this;
    model.factors_.switch_off();
    return model;
  }

  /// Gives the base with W + s B A in the place of every W that has an adapter, summed in double.
  ModelWeights<T> merged() const {
    ModelWeights<T> weights = base_->unpacked();
    for (std::size_t i = 0; i < weights.layout().size(); ++i) {
      const TensorSpec& tensor = weights.layout()[i];
      const std::optional<LoraTarget> target = lora_target_of(tensor.kind);
      if (!target) continue;
      merge(factors_.adapter(tensor.layer, *target), {weights.values(i).data(), tensor.rows, tensor.cols});
    }
    return weights;
  }

 private:
  static void merge(const Adapter<const T>& adapter, MatrixView<T> w) {
    if (adapter.empty()) return;
    const std::size_t rank = adapter.a.rows();
    parallel_for(w.rows(), w.cols() * rank, [&](std::size_t o) {
      std::vector<double> row(w.cols(), 0.0);
      for (std::size_t r = 0; r < rank; ++r) {
        const double b = adapter.scale * static_cast<double>(adapter.b(o, r));
        for (std::size_t i = 0; i < row.size(); ++i) row[i] += b * static_cast<double>(adapter.a(r, i));
      }
      for (std::size_t i = 0; i < row.size(); ++i) w(o, i) = static_cast<T>(static_cast<double>(w(o, i)) + row[i]);
    });
  }

  std::shared_ptr<const FrozenWeights<T>> base_;
  LoraFactors<T> factors_;
};

}  // namespace maestro
