#pragma once

/// @file
/// Models in llama.cpp's GGUF files, with any element type of core/gguf_blocks.hpp. Quantized values are dequantized
/// when they are read, unless they stay quantized in FrozenWeights.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/finite.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/hub/gguf_config.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/layout.hpp"
#include "maestro/model/weights.hpp"

namespace maestro {

namespace detail {

/// Tells whether llama.cpp stores a tensor's rows in another order. Mistral's files are those of llama.
inline bool is_permuted(const ModelConfig& config, TensorKind kind) {
  const bool llama = config.architecture == Architecture::llama || config.architecture == Architecture::mistral;
  return llama && (kind == TensorKind::query || kind == TensorKind::key || kind == TensorKind::query_bias ||
                   kind == TensorKind::key_bias);
}

/// Gives the index, in a llama file's queries or keys, of the row that is row `row` here. The file stores pairs next to
/// each other; here the elements of a pair are half a head apart.
inline std::size_t paired_row(std::size_t row, std::size_t head_dim) {
  const std::size_t half = head_dim / 2;
  const std::size_t i = row % head_dim;
  return row - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/// @throws BadFile naming the tensor if a value is not finite.
inline void require_finite(const GgufFile& file, const GgufTensor& tensor, std::span<const float> values) {
  if (all_finite(values.data(), values.size())) return;
  throw BadFile(file.path() + ": tensor " + quote_text(tensor.name) + " holds a value that is not finite");
}

/// Reads the row of a matrix that is row `row` here, and gives its index in the file.
/// @throws BadFile for a value that is not finite.
inline std::size_t read_gguf_row(const GgufFile& file, const ModelConfig& config, const TensorSpec& spec,
                                 const GgufTensor& tensor, std::size_t row, std::span<float> values) {
  const std::size_t stored = is_permuted(config, spec.kind) ? paired_row(row, config.head_dim) : row;
  file.read_row(tensor, stored, values);
  require_finite(file, tensor, values);
  return stored;
}

/// Reads elements [first, first + values.size()) of a tensor: whole rows of a matrix, or all of a vector.
/// @throws BadFile for a value that is not finite.
template <class T>
void read_gguf_part(const GgufFile& file, const ModelConfig& config, const TensorSpec& spec, std::size_t first,
                    std::span<T> values) {
  const GgufTensor& tensor = *file.find(gguf_name(spec.kind, spec.layer));
  const std::size_t cols = spec.cols;
  if (!is_matrix(spec.kind)) {
    std::vector<float> read(tensor.count);
    file.read(tensor, read);
    require_finite(file, tensor, read);
    const bool permuted = is_permuted(config, spec.kind);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<T>(read[permuted ? paired_row(i, config.head_dim) : i]);
    }
    return;
  }
  parallel_for(values.size() / cols, cols, [&](std::size_t i) {
    std::vector<float> read(cols);
    read_gguf_row(file, config, spec, tensor, first / cols + i, read);
    std::transform(read.begin(), read.end(), values.begin() + static_cast<std::ptrdiff_t>(i * cols),
                   [](float value) { return static_cast<T>(value); });
  });
}

/// Copies the blocks of one row of a matrix.
/// @throws BadFile for a value that is not finite.
inline void copy_gguf_row(const GgufFile& file, const ModelConfig& config, const TensorSpec& spec, std::size_t row,
                          std::span<std::byte> bytes) {
  const GgufTensor& tensor = *file.find(gguf_name(spec.kind, spec.layer));
  std::vector<float> values(spec.cols);
  const std::size_t stored = read_gguf_row(file, config, spec, tensor, row, values);
  std::ranges::copy(file.row_bytes(tensor, stored), bytes.begin());
}

/// Gives the element type of every tensor of the layout.
inline std::vector<GgufType> gguf_types(const GgufFile& file, const ModelLayout& layout) {
  std::vector<GgufType> types;
  for (const TensorSpec& spec : layout.tensors()) types.push_back(file.find(gguf_name(spec.kind, spec.layer))->type);
  return types;
}

/// Tells whether a matrix of the file is quantized.
inline bool holds_quantized(const GgufFile& file) {
  return std::ranges::any_of(file.tensors(), [](const GgufTensor& tensor) {
    return tensor.shape.size() >= 2 && gguf_block(tensor.type).values > 1;
  });
}

/// Checks that every tensor of the layout exists with its shape, and that there is no other.
/// @throws BadFile naming the tensor.
inline void check_gguf_tensors(const GgufFile& file, const ModelLayout& layout) {
  const auto refuse = [&](const std::string& name, const std::string& reason) {
    throw BadFile(file.path() + ": tensor " + quote_text(name) + " " + reason);
  };
  std::unordered_set<std::string> known{std::string(gguf_rope_factors)};
  for (const TensorSpec& spec : layout.tensors()) {
    const std::string name = gguf_name(spec.kind, spec.layer);
    const GgufTensor* tensor = file.find(name);
    if (tensor == nullptr) refuse(name, "is missing");
    if (tensor->shape != spec.shape()) {
      refuse(name, "has shape " + shape_text(tensor->shape) + ", the metadata want " + shape_text(spec.shape()));
    }
    known.insert(name);
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (!known.contains(tensor.name)) refuse(tensor.name, "belongs to no such model");
  }
}

}  // namespace detail

/// Tells whether a GGUF file stores every matrix of its model in BF16, so that FrozenStore::bfloat16 is lossless.
inline bool stores_bf16(const GgufFile& file) {
  const auto lossless = [](const GgufTensor& tensor) {
    return tensor.shape.size() < 2 || tensor.type == GgufType::bf16;
  };
  return std::all_of(file.tensors().begin(), file.tensors().end(), lossless);
}

/// Reads the model of a GGUF file as weights that can be trained, or saved in any other form (save_weights,
/// save_model).
/// @throws BadFile or Unsupported as load_gguf_config; BadFile naming tensors that are missing, surplus, of another
///         shape, or not finite.
template <class T>
ModelWeights<T> load_gguf(const GgufFile& file) {
  const ModelConfig config = load_gguf_config(file);
  const ModelLayout layout(config);
  detail::check_gguf_tensors(file, layout);
  ModelWeights<T> weights(config);
  for (std::size_t i = 0; i < layout.size(); ++i) {
    detail::read_gguf_part<T>(file, config, layout[i], 0, weights.values(i));
  }
  return weights;
}
/// Does the same for a path.
/// @throws IoError; what the other overload throws.
template <class T>
ModelWeights<T> load_gguf(const std::string& path) {
  return load_gguf<T>(GgufFile(path));
}

}  // namespace maestro
