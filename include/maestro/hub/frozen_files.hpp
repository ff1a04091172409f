#pragma once

/// @file
/// Weights that are not trained, read from a model folder directly into the form in which they are used.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>

#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/hub/config_json.hpp"
#include "maestro/hub/gguf.hpp"
#include "maestro/hub/model_files.hpp"
#include "maestro/io/checkpoint_files.hpp"
#include "maestro/io/dtype.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/safetensors.hpp"
#include "maestro/model/config.hpp"
#include "maestro/model/frozen_weights.hpp"
#include "maestro/model/layout.hpp"

namespace maestro {

namespace detail {

template <Dtype dtype, class T>
bool read_finite(const TensorInfo& tensor, std::size_t first, std::span<T> values) {
  bool finite = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<T>(load_float<dtype>(tensor.bytes.data(), first + i));
    finite = finite && std::isfinite(values[i]);
  }
  return finite;
}

/// Reads elements [first, first + values.size()) of a tensor, and tells whether all are finite.
/// @throws BadFile for an element type without floating values.
template <class T>
bool read_part(const SafetensorsFile& file, const TensorInfo& tensor, std::size_t first, std::span<T> values) {
  switch (tensor.dtype) {
    case Dtype::f64:
      return read_finite<Dtype::f64>(tensor, first, values);
    case Dtype::f32:
      return read_finite<Dtype::f32>(tensor, first, values);
    case Dtype::f16:
      return read_finite<Dtype::f16>(tensor, first, values);
    case Dtype::bf16:
      return read_finite<Dtype::bf16>(tensor, first, values);
    default:
      throw BadFile(file.path() + ": tensor " + quote_text(tensor.name) + " is of type " +
                    std::string(name_of(tensor.dtype)) + ", wanted F64, F32, F16 or BF16");
  }
}

/// Does the same on all threads.
template <class T>
bool read_part_in_parallel(const SafetensorsFile& file, const TensorInfo& tensor, std::size_t first,
                           std::span<T> values) {
  constexpr std::size_t step = std::size_t{1} << 16;
  std::atomic<bool> finite = true;
  parallel_for((values.size() + step - 1) / step, step, [&](std::size_t i) {
    const std::span<T> part = values.subspan(i * step, std::min(step, values.size() - i * step));
    if (!read_part<T>(file, tensor, first + i * step, part)) finite = false;
  });
  return finite;
}

/// Gives the form that was found, but full in place of a bfloat16 that nobody asked for, if T is not float.
template <class T>
FrozenStore form_for(FrozenStore asked, FrozenStore found) {
  const bool cannot = found == FrozenStore::bfloat16 && !std::is_same_v<T, float>;
  return asked == FrozenStore::automatic && cannot ? FrozenStore::full : found;
}

}  // namespace detail

/// Tells whether a model folder or a GGUF file stores every matrix in BF16. If so, FrozenStore::bfloat16 is lossless.
/// @throws IoError if the weights cannot be opened; BadFile if they are not valid.
inline bool stores_bf16(const std::string& folder) {
  if (is_gguf(folder)) return stores_bf16(GgufFile(folder));
  const CheckpointFiles files = detail::open_weights(folder);
  return std::ranges::all_of(files.tensors(), [](const TensorInfo* tensor) {
    return tensor->shape.size() < 2 || tensor->dtype == Dtype::bf16;
  });
}

/// Gives the form in which a GGUF file stores its matrices: quantized if one of them is, bfloat16 if all are, or full.
inline FrozenStore stored_form(const GgufFile& file) {
  if (detail::holds_quantized(file)) return FrozenStore::quantized;
  return stores_bf16(file) ? FrozenStore::bfloat16 : FrozenStore::full;
}

/// Gives the form in which load_frozen stores the matrices of a model folder or a GGUF file.
/// @param asked  automatic: stored_form for a GGUF file; for a folder bfloat16 if stores_bf16, else full. Any other
///               form is taken as it is.
/// @throws IoError; BadFile; BadArgument if quantized is asked for and `path` is not a GGUF file.
inline FrozenStore frozen_store(const std::string& path, FrozenStore asked) {
  const bool gguf = is_gguf(path);
  if (asked == FrozenStore::quantized && !gguf) {
    throw BadArgument(path + ": only the weights of a GGUF file can stay quantized; hold them in float32 or bfloat16");
  }
  if (asked != FrozenStore::automatic) return asked;
  if (gguf) return stored_form(GgufFile(path));
  return stores_bf16(path) ? FrozenStore::bfloat16 : FrozenStore::full;
}

/// Gives the size in bytes of the matrices of a model of floats in a form that frozen_store gave.
/// @throws IoError or BadFile for a GGUF file that cannot be read; BadArgument for the form automatic.
inline std::uint64_t frozen_matrix_bytes(const std::string& path, const ModelConfig& config, FrozenStore store) {
  require(store != FrozenStore::automatic, "frozen weights: frozen_store resolves the form automatic");
  const ModelLayout layout(config);
  if (store != FrozenStore::quantized) {
    return std::uint64_t{layout.matrix_parameters()} * (store == FrozenStore::bfloat16 ? 2 : 4);
  }
  const GgufFile file(path);
  std::uint64_t bytes = 0;
  for (const TensorSpec& spec : layout.tensors()) {
    const GgufTensor* tensor = is_matrix(spec.kind) ? file.find(detail::gguf_name(spec.kind, spec.layer)) : nullptr;
    if (tensor != nullptr) bytes += tensor->bytes.size();
  }
  return bytes;
}

/// Reads the weights of a GGUF file, part by part. They are dequantized when they are packed, unless they stay
/// quantized.
/// @param asked  automatic: stored_form, but full instead of bfloat16 if T is not float.
/// @throws BadFile or Unsupported as load_gguf; BadArgument for bfloat16 if T is not float.
template <class T>
std::shared_ptr<const FrozenWeights<T>> load_frozen(const GgufFile& file, FrozenStore asked = FrozenStore::full) {
  const FrozenStore store = detail::form_for<T>(asked, asked == FrozenStore::automatic ? stored_form(file) : asked);
  const ModelConfig config = load_gguf_config(file);
  const ModelLayout layout(config);
  detail::check_gguf_tensors(file, layout);
  if (store == FrozenStore::quantized) {
    return std::make_shared<const FrozenWeights<T>>(
        config, detail::gguf_types(file, layout),
        [&](std::size_t index, std::size_t row, std::span<std::byte> bytes) {
          detail::copy_gguf_row(file, config, layout[index], row, bytes);
        },
        [&](std::size_t index, std::span<T> values) {
          detail::read_gguf_part<T>(file, config, layout[index], 0, values);
        });
  }
  return std::make_shared<const FrozenWeights<T>>(
      config, store, [&](std::size_t index, std::size_t first, std::span<T> values) {
        detail::read_gguf_part<T>(file, config, layout[index], first, values);
      });
}

/// Reads the weights of a model folder or a GGUF file, part by part, so that no second copy exists in between.
/// @param asked  automatic: frozen_store, but full instead of bfloat16 if T is not float.
/// @throws IoError, BadFile, Unsupported or BadArgument as load_model and frozen_store; BadArgument for bfloat16 if T
///         is not float.
template <class T>
std::shared_ptr<const FrozenWeights<T>> load_frozen(const std::string& folder, FrozenStore asked = FrozenStore::full) {
  if (is_gguf(folder)) return load_frozen<T>(GgufFile(folder), asked);
  const FrozenStore store = detail::form_for<T>(asked, frozen_store(folder, asked));
  const ModelConfig config = load_model_config(folder);
  const CheckpointFiles files = detail::open_weights(folder);
  const ModelLayout layout(config);
  detail::check_tensors(files, layout, detail::optional_names(config));
  if (config.head == HeadWeights::tied) detail::check_tied_head(files);
  const auto read = [&](std::size_t index, std::size_t first, std::span<T> values) {
    const std::string& name = layout[index].name;
    const SafetensorsFile& file = files.holder(name);
    const TensorInfo& tensor = file.at(name);
    if (first == 0) file.verify(name);
    if (!detail::read_part_in_parallel<T>(file, tensor, first, values)) {
      throw BadFile(file.path() + ": tensor " + detail::quote_text(name) + " holds a value that is not finite");
    }
    if (first + values.size() == tensor.count) files.release(name);
  };
  return std::make_shared<const FrozenWeights<T>>(config, store, read);
}

}  // namespace maestro
