#pragma once

/// @file
/// LoRA adapters in llama.cpp's format, for use with a GGUF model (--lora).
/// Source: https://github.com/ggml-org/llama.cpp (convert_lora_to_gguf.py, src/llama-adapter.cpp).

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "maestro/hub/config_json.hpp"
#include "maestro/hub/gguf.hpp"
#include "maestro/io/gguf_writer.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/lora.hpp"

namespace maestro {

namespace detail {

inline constexpr const char* adapter_gguf_name = "adapter.gguf";

/// Gives the values of a factor as floats. Rows of B are in llama's order for queries and keys if its target is one of
/// them.
template <class T>
std::vector<float> gguf_factor(const ModelConfig& config, TensorKind kind, MatrixView<const T> factor, bool outputs) {
  std::vector<float> values(factor.rows() * factor.cols());
  const bool permuted = outputs && is_permuted(config, kind);
  for (std::size_t row = 0; row < factor.rows(); ++row) {
    const std::size_t to = permuted ? paired_row(row, config.head_dim) : row;
    for (std::size_t col = 0; col < factor.cols(); ++col) {
      values[to * factor.cols() + col] = static_cast<float>(factor(row, col));
    }
  }
  return values;
}

}  // namespace detail

/// Writes the factors of every adapter into one GGUF file of type "adapter", in F32, for llama.cpp's --lora with the
/// GGUF file of the same model: `blk.N.NAME.weight.lora_a` (r x in) and `blk.N.NAME.weight.lora_b` (out x r). llama.cpp
/// scales their product by alpha / r. For rank-stabilized adapters, the written alpha is the one that gives their
/// scale.
/// @throws IoError if the file cannot be written; an older file is then kept.
template <class T>
void save_lora_gguf(const std::string& path, const LoraFactors<T>& factors) {
  const ModelConfig& config = factors.config();
  const bool mistral = config.architecture == Architecture::mistral;
  const auto family = static_cast<std::size_t>(mistral ? Architecture::llama : config.architecture);
  GgufWriter writer;
  writer.add("general.architecture", detail::family_names[family].model_type);
  writer.add("general.type", "adapter");
  writer.add("adapter.type", "lora");
  const double alpha = factors.options().scale() * static_cast<double>(factors.options().rank);
  writer.add("adapter.lora.alpha", static_cast<float>(alpha));
  for (std::size_t layer = 0; layer < config.layers; ++layer) {
    for (std::size_t t = 0; t < lora_target_count; ++t) {
      const auto target = static_cast<LoraTarget>(t);
      if (!factors.options().has(target)) continue;
      const TensorKind kind = lora_target_kinds[t];
      const std::string name = detail::gguf_name(kind, layer);
      const Adapter<const T> adapter = factors.adapter(layer, target);
      writer.add_tensor(name + ".lora_a", std::array{adapter.a.rows(), adapter.a.cols()},
                        detail::gguf_factor(config, kind, adapter.a, false));
      writer.add_tensor(name + ".lora_b", std::array{adapter.b.rows(), adapter.b.cols()},
                        detail::gguf_factor(config, kind, adapter.b, true));
    }
  }
  writer.write(path);
}

}  // namespace maestro
