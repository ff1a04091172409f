#pragma once

/// @file
/// LoRA: low-rank adapters beside frozen projections. Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/adapter.hpp"
#include "maestro/model/config.hpp"

namespace maestro {

/// The projections that can have an adapter.
enum class LoraTarget : std::uint8_t { query, key, value, output, gate, up, down };

/// Their names in checkpoints, in the enum's order.
inline constexpr std::array<std::string_view, 7> lora_target_names{"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                                   "gate_proj", "up_proj", "down_proj"};

/// What the product of both factors is multiplied with.
enum class LoraScaling : std::uint8_t {
  standard,         ///< alpha / r
  rank_stabilised,  ///< alpha / sqrt(r). Source: Kalajdzievski 2023, https://arxiv.org/abs/2312.03732
};

struct LoraOptions {
  std::size_t rank = 16;  ///< r
  double alpha = 32.0;
  LoraScaling scaling = LoraScaling::standard;
  std::vector<LoraTarget> targets{LoraTarget::query, LoraTarget::key, LoraTarget::value, LoraTarget::output,
                                  LoraTarget::gate,  LoraTarget::up,  LoraTarget::down};

  /// s.
  double scale() const {
    const auto r = static_cast<double>(rank);
    return alpha / (scaling == LoraScaling::standard ? r : std::sqrt(r));
  }
  bool has(LoraTarget target) const { return std::find(targets.begin(), targets.end(), target) != targets.end(); }

  friend bool operator==(const LoraOptions&, const LoraOptions&) = default;
};

/// @throws BadArgument naming the option, its domain and the remedy.
inline void validate(const LoraOptions& options) {
  require(options.rank > 0 && options.rank <= 65536, "LoRA: the rank must lie in 1 .. 65536");
  require(std::isfinite(options.alpha) && options.alpha > 0.0, "LoRA: alpha must be positive and finite");
  require(!options.targets.empty(), "LoRA: at least one projection must have an adapter");
}

/// Inputs and outputs of a projection.
struct ProjectionShape {
  std::size_t in;
  std::size_t out;
};
inline ProjectionShape projection_shape(const ModelConfig& c, LoraTarget target) {
  switch (target) {
    case LoraTarget::query:
      return {c.hidden, c.query_size()};
    case LoraTarget::key:
    case LoraTarget::value:
      return {c.hidden, c.key_size()};
    case LoraTarget::output:
      return {c.query_size(), c.hidden};
    case LoraTarget::gate:
    case LoraTarget::up:
      return {c.hidden, c.intermediate};
    case LoraTarget::down:
      break;
  }
  return {c.intermediate, c.hidden};
}

/// The factors A and B of every adapter of a model (or their gradients) in one allocation, with PEFT's names.
/// Copying copies the values.
template <class T>
class LoraFactors {
 public:
  LoraFactors() = default;
  /// No adapter at all.
  explicit LoraFactors(const ModelConfig& config) : config_(config) { options_.targets.clear(); }
  /// Zeros. @throws BadArgument for options outside their domains.
  LoraFactors(const ModelConfig& config, const LoraOptions& options) : config_(config), options_(options) {
    validate(options);
    for (std::size_t l = 0; l < config.layers; ++l) {
      for (std::size_t t = 0; t < lora_target_names.size(); ++t) {
        if (options.has(static_cast<LoraTarget>(t))) lay_out(l, static_cast<LoraTarget>(t));
      }
    }
    values_.assign(size_, T(0));
  }

  const ModelConfig& config() const { return config_; }
  const LoraOptions& options() const { return options_; }
  bool empty() const { return values_.empty(); }
  std::size_t parameters() const {
    std::size_t count = 0;
    for (const Entry& e : entries_) count += e.rows * e.cols;
    return count;
  }
  void set_zero() { std::fill(values_.begin(), values_.end(), T(0)); }
  std::size_t bytes() const { return values_.size() * sizeof(T); }

  LayerAdapters<T> layer(std::size_t index) { return views<T>(*this, index); }
  LayerAdapters<const T> layer(std::size_t index) const { return views<const T>(*this, index); }

  /// A uniform in (-1, 1) / sqrt(in), as PEFT starts it; B zero, so that the model is the base's at first. Depends on
  /// the seed and the shapes alone.
  void initialise(std::uint64_t seed) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& e = entries_[i];
      const std::span<T> values(values_.data() + e.offset, e.rows * e.cols);
      if (e.factor == Factor::b) {
        std::fill(values.begin(), values.end(), T(0));
        continue;
      }
      const RandomStream stream(
          {.seed = seed, .purpose = Purpose::initialisation, .row = static_cast<std::uint32_t>(i)});
      const double bound = 1.0 / std::sqrt(static_cast<double>(e.cols));
      for (std::size_t k = 0; k < values.size(); ++k) {
        values[k] = static_cast<T>(bound * (2.0 * stream.uniform(static_cast<std::uint32_t>(k)) - 1.0));
      }
    }
  }
  /// B = 0: the adapters are switched off.
  void switch_off() {
    for (const Entry& e : entries_) {
      if (e.factor == Factor::b) std::fill_n(values_.data() + e.offset, e.rows * e.cols, T(0));
    }
  }

  /// Calls f(ParameterView<T>) for every factor with its gradient; an empty object gives no gradients.
  template <class F>
  void visit(LoraFactors& gradients, F&& f) {
    for (const Entry& e : entries_) {
      const std::size_t count = e.rows * e.cols;
      f(ParameterView<T>{
          .name = e.name,
          .values = {values_.data() + e.offset, count},
          .gradients = gradients.empty() ? std::span<T>() : std::span<T>(gradients.values_.data() + e.offset, count),
          .rows = e.rows,
          .cols = e.cols,
          .decay = WeightDecay::apply});
    }
  }
  template <class F>
  void visit(F&& f) {
    LoraFactors none;
    visit(none, f);
  }
  /// Calls f(ParameterView<const T>).
  template <class F>
  void visit(F&& f) const {
    for (const Entry& e : entries_) {
      f(ParameterView<const T>{.name = e.name,
                               .values = {values_.data() + e.offset, e.rows * e.cols},
                               .gradients = {},
                               .rows = e.rows,
                               .cols = e.cols});
    }
  }

 private:
  enum class Factor : std::uint8_t { a, b };
  struct Entry {
    std::string name;
    std::size_t offset;
    std::size_t rows;
    std::size_t cols;
    std::size_t layer;
    LoraTarget target;
    Factor factor;
  };

  void lay_out(std::size_t layer, LoraTarget target) {
    const auto index = static_cast<std::size_t>(target);
    const ProjectionShape shape = projection_shape(config_, target);
    const std::string part = target < LoraTarget::gate ? ".self_attn." : ".mlp.";
    const std::string name = "base_model.model.model.layers." + std::to_string(layer) + part +
                             std::string(lora_target_names[index]) + ".lora_";
    if (layer == 0) place_[index] = entries_.size();
    if (layer == 0) ++per_layer_;
    add({name + "A.weight", 0, options_.rank, shape.in, layer, target, Factor::a});
    add({name + "B.weight", 0, shape.out, options_.rank, layer, target, Factor::b});
  }
  void add(Entry entry) {
    constexpr std::size_t step = AlignedAllocator<T>::alignment / sizeof(T);
    size_ = (size_ + step - 1) / step * step;
    entry.offset = size_;
    size_ += entry.rows * entry.cols;
    entries_.push_back(std::move(entry));
  }

  template <class U, class Self>
  static LayerAdapters<U> views(Self& self, std::size_t layer) {
    const auto adapter = [&](LoraTarget target) {
      if (!self.options_.has(target)) return Adapter<U>{};
      const std::size_t at = layer * 2 * self.per_layer_ + self.place_[static_cast<std::size_t>(target)];
      const Entry& a = self.entries_[at];
      const Entry& b = self.entries_[at + 1];
      return Adapter<U>{{self.values_.data() + a.offset, a.rows, a.cols},
                        {self.values_.data() + b.offset, b.rows, b.cols},
                        self.options_.scale()};
    };
    return {adapter(LoraTarget::query),  adapter(LoraTarget::key),  adapter(LoraTarget::value),
            adapter(LoraTarget::output), adapter(LoraTarget::gate), adapter(LoraTarget::up),
            adapter(LoraTarget::down)};
  }

  ModelConfig config_;
  LoraOptions options_;
  std::vector<Entry> entries_;
  std::array<std::size_t, lora_target_names.size()> place_{};  ///< a target's A among the entries of layer 0
  std::size_t per_layer_ = 0;                                  ///< adapters
  std::size_t size_ = 0;
  AlignedVector<T> values_;
};

}  // namespace maestro
