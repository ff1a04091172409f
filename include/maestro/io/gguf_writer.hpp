#pragma once

/// @file
/// A writer of the GGUF format, version 3, with metadata and tensors in F32.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/gguf_blocks.hpp"
#include "maestro/io/file.hpp"

namespace maestro {

/// GgufWriter collects metadata and tensors, and writes them as one file. It keeps the values of the tensors as floats.
/// The bytes of the file depend only on the added items and their order.
class GgufWriter {
 public:
  /// Adds a text to the metadata. Keys must differ.
  void add(std::string_view key, std::string_view value) {
    begin_value(key, text_type);
    put_text(metadata_, value);
  }
  /// Adds a single-precision number to the metadata.
  void add(std::string_view key, float value) {
    begin_value(key, float_type);
    put(metadata_, value);
  }
  /// Adds a count to the metadata.
  void add(std::string_view key, std::uint32_t value) {
    begin_value(key, count_type);
    put(metadata_, value);
  }

  /// Adds a tensor, whose shape has rows before columns.
  /// @throws BadArgument if the product of the shape is not values.size().
  void add_tensor(std::string_view name, std::span<const std::size_t> shape, std::vector<float> values) {
    std::size_t count = 1;
    for (const std::size_t extent : shape) count *= extent;
    require(count == values.size(), "gguf: the shape of a tensor is not its number of values");
    put_text(tensors_, name);
    put(tensors_, static_cast<std::uint32_t>(shape.size()));
    for (std::size_t axis = shape.size(); axis > 0; --axis) put(tensors_, std::uint64_t{shape[axis - 1]});
    put(tensors_, static_cast<std::uint32_t>(GgufType::f32));
    put(tensors_, std::uint64_t{size_});
    size_ = padded(size_ + values.size() * sizeof(float));
    values_.push_back(std::move(values));
  }

  /// Writes the file under a temporary name, syncs it, and renames it.
  /// @throws IoError if that fails; an older file is then kept.
  void write(const std::string& path) const {
    std::string head = "GGUF";
    put(head, std::uint32_t{3});
    put(head, std::uint64_t{values_.size()});
    put(head, count_);
    head += metadata_;
    head += tensors_;
    head.resize(padded(head.size()));
    AtomicFile file(path);
    file.write(head);
    for (const std::vector<float>& values : values_) {
      const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
      file.write(bytes);
      file.write(std::string(padded(bytes.size()) - bytes.size(), '\0'));
    }
    file.commit();
  }

 private:
  static constexpr std::uint32_t count_type = 4;
  static constexpr std::uint32_t float_type = 6;
  static constexpr std::uint32_t text_type = 8;

  static std::size_t padded(std::size_t size) { return (size + 31) / 32 * 32; }
  template <class T>
  static void put(std::string& to, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    to.append(bytes, sizeof(T));
  }
  static void put_text(std::string& to, std::string_view text) {
    put(to, std::uint64_t{text.size()});
    to += text;
  }
  void begin_value(std::string_view key, std::uint32_t type) {
    put_text(metadata_, key);
    put(metadata_, type);
    ++count_;
  }

  std::string metadata_;
  std::uint64_t count_ = 0;
  std::string tensors_;
  std::vector<std::vector<float>> values_;
  std::size_t size_ = 0;  ///< of the data so far, padded
};

}  // namespace maestro
