#pragma once

/// @file
/// Files in the GGUF format, versions 2 and 3: metadata and tensors, quantized or not.
/// Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/gguf_blocks.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// Tells whether a path is a GGUF file: a regular file that begins as one, or a name that ends in ".gguf" and is not a
/// folder.
inline bool is_gguf(const std::string& path) {
  struct ::stat status {};
  const bool found = ::stat(path.c_str(), &status) == 0;
  if (path.ends_with(".gguf") && !(found && S_ISDIR(status.st_mode))) return true;
  if (!found || !S_ISREG(status.st_mode)) return false;
  std::array<char, 4> magic{};
  const detail::RegularFile file = detail::open_regular(path);
  return ::read(file.descriptor.get(), magic.data(), magic.size()) == 4 &&
         std::string_view(magic.data(), magic.size()) == "GGUF";
}

/// GgufValue is a value of the metadata: an integer, a number, a boolean, a text, or a list of texts or numbers.
using GgufValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::string>, std::vector<double>>;

/// GgufTensor describes one tensor of an open file.
struct GgufTensor {
  std::string name;
  GgufType type = GgufType::f32;
  std::vector<std::size_t> shape;    ///< rows before columns, as in other formats
  std::size_t count = 0;             ///< product of shape
  std::span<const std::byte> bytes;  ///< the tensor's blocks
};

namespace detail {

/// GgufCursor reads the header of a file.
class GgufCursor {
 public:
  GgufCursor(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  std::size_t position() const { return at_; }
  [[noreturn]] void refuse(const std::string& reason) const { throw BadFile(path_ + ": " + reason); }

  template <class T>
  T number() {
    T value{};
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string text() {
    const std::span<const std::byte> bytes = take(number<std::uint64_t>());
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  /// Gives a count of items of at least `least` bytes each, which must fit into the rest of the file.
  std::size_t count(std::size_t least) {
    const auto value = number<std::uint64_t>();
    if (value > (bytes_.size() - at_) / least) refuse("a count of " + std::to_string(value) + " exceeds the file");
    return static_cast<std::size_t>(value);
  }
  GgufValue value(const std::string& key) { return value_of(number<std::uint32_t>(), key); }

 private:
  static constexpr std::uint32_t text_type = 8;
  static constexpr std::uint32_t list_type = 9;

  std::span<const std::byte> take(std::uint64_t size) {
    if (size > bytes_.size() - at_) refuse("it ends within its metadata");
    const auto part = bytes_.subspan(at_, static_cast<std::size_t>(size));
    at_ += part.size();
    return part;
  }
  GgufValue value_of(std::uint32_t type, const std::string& key) {
    switch (type) {
      case 0:
        return std::int64_t{number<std::uint8_t>()};
      case 1:
        return std::int64_t{number<std::int8_t>()};
      case 2:
        return std::int64_t{number<std::uint16_t>()};
      case 3:
        return std::int64_t{number<std::int16_t>()};
      case 4:
        return std::int64_t{number<std::uint32_t>()};
      case 5:
        return std::int64_t{number<std::int32_t>()};
      case 6:
        return static_cast<double>(number<float>());
      case 7:
        return number<std::uint8_t>() != 0;
      case text_type:
        return text();
      case list_type:
        return list_of(key);
      case 10:
        return static_cast<std::int64_t>(number<std::uint64_t>());
      case 11:
        return number<std::int64_t>();
      case 12:
        return number<double>();
      default:
        refuse("metadata " + quote_text(key) + " is of the unknown type " + std::to_string(type));
    }
  }
  GgufValue list_of(const std::string& key) {
    const auto type = number<std::uint32_t>();
    if (type == list_type) throw Unsupported(path_ + ": metadata " + quote_text(key) + " is a list of lists");
    const std::size_t size = count(type == text_type ? 8 : 1);
    if (type == text_type) {
      std::vector<std::string> texts(size);
      for (std::string& one : texts) one = text();
      return texts;
    }
    std::vector<double> numbers(size);
    for (double& one : numbers) {
      one = std::visit(
          [](const auto& value) {
            if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) {
              return static_cast<double>(value);
            } else {
              return 0.0;
            }
          },
          value_of(type, key));
    }
    return numbers;
  }

  std::span<const std::byte> bytes_;
  const std::string& path_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// GgufFile is a GGUF file. It is checked as a whole when it is opened, and mapped into memory. The checks cover the
/// counts, the types, and the position and alignment of the tensors. Several threads may use a const object at once.
class GgufFile {
 public:
  /// Opens and checks a file.
  /// @throws IoError if it cannot be opened; BadFile naming file and reason if it is not valid; Unsupported naming a
  ///         version or an element type that is not implemented.
  explicit GgufFile(const std::string& path) : path_(path), file_(path) { parse(file_.bytes()); }
  /// Reads bytes that the caller keeps valid; `name` is used in messages.
  /// @throws BadFile or Unsupported as the other constructor.
  GgufFile(std::span<const std::byte> bytes, std::string name) : path_(std::move(name)) { parse(bytes); }

  const std::string& path() const { return path_; }
  const std::map<std::string, GgufValue>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }

  /// Gives a tensor; nullptr if there is none of this name.
  const GgufTensor* find(std::string_view name) const {
    const auto it = index_.find(std::string(name));
    return it == index_.end() ? nullptr : &tensors_[it->second];
  }
  /// Gives a metadata value of type V (one of GgufValue's types); nullptr if there is none.
  /// @throws BadFile if it is of another type.
  template <class V>
  const V* find_value(const std::string& key) const {
    const auto it = metadata_.find(key);
    if (it == metadata_.end()) return nullptr;
    if (const V* value = std::get_if<V>(&it->second)) return value;
    throw BadFile(path_ + ": metadata " + detail::quote_text(key) + " is of another type than it should be");
  }

  /// Fills `out` (tensor.count) with a tensor's values, in parallel. The values have the bits that the `gguf` Python
  /// package gives.
  /// @throws BadArgument if the size differs.
  void read(const GgufTensor& tensor, std::span<float> out) const {
    require(out.size() == tensor.count, "gguf: the output has another size than the tensor");
    const std::size_t cols = tensor.shape.back();
    if (out.empty()) return;
    parallel_for(tensor.count / cols, cols,
                 [&](std::size_t row) { read_row(tensor, row, out.subspan(row * cols, cols)); });
  }
  /// Fills `out` (the last size of the shape) with one row of a tensor, on the calling thread.
  /// @throws BadArgument if the size differs, or if there is no such row.
  void read_row(const GgufTensor& tensor, std::size_t row, std::span<float> out) const {
    require(out.size() == tensor.shape.back(), "gguf: the output has another size than a row of the tensor");
    detail::dequantize(tensor.type, row_bytes(tensor, row).data(), 0, out.size(), out.data());
  }
  /// Gives the bytes of one row of a tensor, which are whole blocks.
  /// @throws BadArgument if there is no such row.
  std::span<const std::byte> row_bytes(const GgufTensor& tensor, std::size_t row) const {
    const std::size_t size = detail::gguf_row_bytes(tensor.type, tensor.shape.back());
    require(size > 0 && row < tensor.bytes.size() / size, "gguf: the tensor has no such row");
    return tensor.bytes.subspan(row * size, size);
  }

 private:
  void parse(std::span<const std::byte> bytes) {
    detail::GgufCursor head(bytes, path_);
    detail::refuse_lfs_pointer({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path_);
    if (bytes.size() < 24 || std::memcmp(bytes.data(), "GGUF", 4) != 0) head.refuse("no GGUF file");
    static_cast<void>(head.number<std::uint32_t>());
    const auto format_version = head.number<std::uint32_t>();
    if (format_version != 2 && format_version != 3) {
      throw Unsupported(path_ + ": GGUF version " + std::to_string(format_version) + ", only 2 and 3 are implemented");
    }
    const std::size_t tensors = head.count(24);
    const std::size_t values = head.count(12);
    for (std::size_t i = 0; i < values; ++i) {
      const std::string key = head.text();
      if (!metadata_.emplace(key, head.value(key)).second)
        head.refuse("metadata " + detail::quote_text(key) + " twice");
    }
    std::vector<std::size_t> offsets;
    for (std::size_t i = 0; i < tensors; ++i) parse_tensor(head, offsets);
    place_tensors(head, bytes, offsets);
  }

  void parse_tensor(detail::GgufCursor& head, std::vector<std::size_t>& offsets) {
    GgufTensor tensor;
    tensor.name = head.text();
    const std::string place = "tensor " + detail::quote_text(tensor.name) + " ";
    const auto rank = head.number<std::uint32_t>();
    if (rank == 0 || rank > 4) head.refuse(place + "has " + std::to_string(rank) + " dimensions");
    tensor.count = 1;
    for (std::uint32_t axis = 0; axis < rank; ++axis) {
      const auto extent = static_cast<std::size_t>(head.number<std::uint64_t>());
      if (__builtin_mul_overflow(tensor.count, extent, &tensor.count)) head.refuse(place + "is too large");
      tensor.shape.insert(tensor.shape.begin(), extent);
    }
    const auto type = head.number<std::uint32_t>();
    const auto known = std::find_if(detail::gguf_blocks.begin(), detail::gguf_blocks.end(),
                                    [&](const auto& block) { return static_cast<std::uint32_t>(block.type) == type; });
    if (known == detail::gguf_blocks.end()) {
      throw Unsupported(
          path_ + ": " + place + "is of type " + std::to_string(type) +
          ", which is not implemented; F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K are");
    }
    tensor.type = known->type;
    if (tensor.shape.back() % known->values != 0) head.refuse(place + "has rows of no whole blocks");
    offsets.push_back(static_cast<std::size_t>(head.number<std::uint64_t>()));
    if (!index_.emplace(tensor.name, tensors_.size()).second) head.refuse(place + "is there twice");
    tensors_.push_back(std::move(tensor));
  }

  void place_tensors(const detail::GgufCursor& head, std::span<const std::byte> bytes,
                     const std::vector<std::size_t>& offsets) {
    const std::int64_t* given = find_value<std::int64_t>("general.alignment");
    if (given != nullptr && (*given < 1 || *given > (1 << 20))) head.refuse("an alignment of no such file");
    const std::size_t alignment = given == nullptr ? 32 : static_cast<std::size_t>(*given);
    const std::size_t start = (head.position() + alignment - 1) / alignment * alignment;
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      GgufTensor& tensor = tensors_[i];
      const detail::GgufBlock& block = detail::gguf_block(tensor.type);
      const std::size_t size = tensor.count / block.values * block.bytes;
      const std::size_t room = start <= bytes.size() ? bytes.size() - start : 0;
      if (offsets[i] % alignment != 0 || offsets[i] > room || size > room - offsets[i] ||
          tensor.count / block.values > room) {
        head.refuse("tensor " + detail::quote_text(tensor.name) + " lies outside the file");
      }
      tensor.bytes = bytes.subspan(start + offsets[i], size);
    }
  }

  std::string path_;
  MappedFile file_;
  std::map<std::string, GgufValue> metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace maestro
