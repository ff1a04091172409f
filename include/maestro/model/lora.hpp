#pragma once

/// @file
/// LoRA: low-rank adapters of frozen projections. Source: Hu et al. 2021, https://arxiv.org/abs/2106.09685.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"
#include "maestro/model/adapter.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"

namespace maestro {

/// LoraTarget lists the projections that can have an adapter.
enum class LoraTarget : std::uint8_t { query, key, value, output, gate, up, down };

/// The number of projections of a layer that can have an adapter.
inline constexpr std::size_t lora_target_count = 7;

/// The kinds of the tensors that the targets adapt, in the enum's order.
inline constexpr std::array<TensorKind, lora_target_count> lora_target_kinds{
    TensorKind::query, TensorKind::key, TensorKind::value, TensorKind::output,
    TensorKind::gate,  TensorKind::up,  TensorKind::down};

/// Gives the target of a tensor; nullopt if the tensor can have no adapter.
constexpr std::optional<LoraTarget> lora_target_of(TensorKind kind) {
  for (std::size_t t = 0; t < lora_target_count; ++t) {
    if (lora_target_kinds[t] == kind) return static_cast<LoraTarget>(t);
  }
  return std::nullopt;
}

/// The targets' names in PEFT's configurations, in the enum's order: "q_proj" of "self_attn.q_proj.weight".
inline constexpr std::array<std::string_view, lora_target_count> lora_target_names = [] {
  std::array<std::string_view, lora_target_count> names{};
  for (std::size_t t = 0; t < lora_target_count; ++t) {
    const std::string_view path = tensor_name(lora_target_kinds[t]);
    const std::size_t begin = path.find('.') + 1;
    names[t] = path.substr(begin, path.find('.', begin) - begin);
  }
  return names;
}();

/// LoraScaling says how s, the factor of an adapter's product, is computed.
enum class LoraScaling : std::uint8_t {
  standard,         ///< alpha / r
  rank_stabilized,  ///< alpha / sqrt(r). Source: Kalajdzievski 2023, https://arxiv.org/abs/2312.03732
};
inline constexpr std::array<std::string_view, 2> lora_scaling_names{"standard", "rank_stabilized"};

/// LoraOptions describes the adapters of a model.
struct LoraOptions {
  std::size_t rank = 16;  ///< r
  double alpha = 32.0;
  LoraScaling scaling = LoraScaling::standard;
  std::vector<LoraTarget> targets{LoraTarget::query, LoraTarget::key, LoraTarget::value, LoraTarget::output,
                                  LoraTarget::gate,  LoraTarget::up,  LoraTarget::down};

  /// Gives s, the factor of an adapter's product.
  double scale() const {
    const auto r = static_cast<double>(rank);
    return alpha / (scaling == LoraScaling::standard ? r : std::sqrt(r));
  }
  bool has(LoraTarget target) const { return std::find(targets.begin(), targets.end(), target) != targets.end(); }

  friend bool operator==(const LoraOptions&, const LoraOptions&) = default;
};

/// Lists the options of the adapters; see OptionList. The rank has no help text here, since rank 0 means no LoRA on a
/// command line.
template <OptionsOf<LoraOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "lora_r", .list = "lora"}, o.rank);
  f({.name = "lora_alpha", .help = "LoRA's alpha: the adapters' product counts alpha / rank", .list = "lora"}, o.alpha);
  f({.name = "lora_scaling",
     .help = "standard: alpha / rank; rank_stabilized: alpha / sqrt(rank)",
     .values = lora_scaling_names,
     .list = "lora",
     .enum_as = EnumAs::number},
    o.scaling);
  f({.name = "lora_target_modules", .help = "Projections with adapters, of {}", .values = lora_target_names},
    o.targets);
}

/// Refuses options outside their domains.
/// @throws BadArgument naming the option, its domain and the remedy.
inline void check(const LoraOptions& options) {
  require(options.rank > 0 && options.rank <= 65536, "LoRA: the rank must lie in 1 .. 65536");
  require(std::isfinite(options.alpha) && options.alpha > 0.0, "LoRA: alpha must be positive and finite");
  require(!options.targets.empty(), "LoRA: at least one projection must have an adapter");
}

/// Gives the number of parameters of a model's adapters.
inline std::uint64_t adapter_parameters(const ModelLayout& layout, const LoraOptions& lora) {
  std::uint64_t count = 0;
  for (const TensorSpec& tensor : layout.tensors()) {
    const std::optional<LoraTarget> target = lora_target_of(tensor.kind);
    if (target && lora.has(*target)) count += std::uint64_t{lora.rank} * (tensor.cols + tensor.rows);
  }
  return count;
}

/// LoraFactors holds the factors A and B of every adapter of a model, or their gradients, in one allocation. The
/// factors have PEFT's names. Copying it copies the values.
template <class T>
class LoraFactors {
 public:
  LoraFactors() = default;
  /// Makes an object without any adapter.
  explicit LoraFactors(const ModelConfig& config) : config_(config) { options_.targets.clear(); }
  /// Makes factors that are all zero.
  /// @throws BadArgument for options outside their domains and for a configuration that is not valid.
  LoraFactors(const ModelConfig& config, const LoraOptions& options) : config_(config), options_(options) {
    check(options);
    const ModelLayout layout(config);
    for (const TensorSpec& tensor : layout.tensors()) {
      const std::optional<LoraTarget> target = lora_target_of(tensor.kind);
      if (target && options.has(*target)) lay_out(tensor, *target);
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
  /// Gives the adapter of one projection; it is empty if the projection has none.
  Adapter<const T> adapter(std::size_t layer, LoraTarget target) const {
    return adapter_view<const T>(*this, layer, target);
  }

  /// Draws A uniformly from (-1, 1) / sqrt(in), as PEFT does, and sets B to zero, so that the adapters change nothing
  /// at first. The result depends only on the seed and the shapes.
  void initialize(std::uint64_t seed) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Entry& e = entries_[i];
      const std::span<T> values(values_.data() + e.offset, e.rows * e.cols);
      if (e.factor == Factor::b) {
        std::fill(values.begin(), values.end(), T(0));
        continue;
      }
      const RandomStream stream(
          {.seed = seed, .purpose = Purpose::initialization, .row = static_cast<std::uint32_t>(i)});
      const double bound = 1.0 / std::sqrt(static_cast<double>(e.cols));
      for (std::size_t k = 0; k < values.size(); ++k) {
        values[k] = static_cast<T>(bound * (2.0 * stream.uniform(static_cast<std::uint32_t>(k)) - 1.0));
      }
    }
  }
  /// Sets B to zero, so that the adapters change nothing.
  void switch_off() {
    for (const Entry& e : entries_) {
      if (e.factor == Factor::b) std::fill_n(values_.data() + e.offset, e.rows * e.cols, T(0));
    }
  }

  /// Calls f(ParameterView<T>) for every factor with its gradient. If `gradients` is empty, the views have no
  /// gradients.
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
  /// Calls f(ParameterView<const T>) for every factor.
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
    Factor factor;
  };

  void lay_out(const TensorSpec& tensor, LoraTarget target) {
    if (tensor.layer == 0) {
      place_[static_cast<std::size_t>(target)] = entries_.size();
      ++per_layer_;
    }
    constexpr std::string_view suffix = "weight";
    const std::string name = "base_model.model." + tensor.name.substr(0, tensor.name.size() - suffix.size());
    add({name + "lora_A.weight", 0, options_.rank, tensor.cols, Factor::a});
    add({name + "lora_B.weight", 0, tensor.rows, options_.rank, Factor::b});
  }
  void add(Entry entry) {
    constexpr std::size_t step = AlignedAllocator<T>::alignment / sizeof(T);
    size_ = (size_ + step - 1) / step * step;
    entry.offset = size_;
    size_ += entry.rows * entry.cols;
    entries_.push_back(std::move(entry));
  }

  template <class U, class Self>
  static Adapter<U> adapter_view(Self& self, std::size_t layer, LoraTarget target) {
    if (!self.options_.has(target)) return {};
    const std::size_t at = layer * 2 * self.per_layer_ + self.place_[static_cast<std::size_t>(target)];
    const Entry& a = self.entries_[at];
    const Entry& b = self.entries_[at + 1];
    return {{self.values_.data() + a.offset, a.rows, a.cols},
            {self.values_.data() + b.offset, b.rows, b.cols},
            self.options_.scale()};
  }
  template <class U, class Self>
  static LayerAdapters<U> views(Self& self, std::size_t layer) {
    const auto adapter = [&](LoraTarget target) { return adapter_view<U>(self, layer, target); };
    return {adapter(LoraTarget::query),  adapter(LoraTarget::key),  adapter(LoraTarget::value),
            adapter(LoraTarget::output), adapter(LoraTarget::gate), adapter(LoraTarget::up),
            adapter(LoraTarget::down)};
  }

  ModelConfig config_;
  LoraOptions options_;
  std::vector<Entry> entries_;
  std::array<std::size_t, lora_target_count> place_{};  ///< a target's A among the entries of layer 0
  std::size_t per_layer_ = 0;                           ///< adapters
  std::size_t size_ = 0;
  AlignedVector<T> values_;
};

}  // namespace maestro
