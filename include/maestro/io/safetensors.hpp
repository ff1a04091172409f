#pragma once

/// @file
/// The safetensors format: 8 bytes of header length, a JSON header, and the data of the tensors without holes. Source:
/// https://github.com/huggingface/safetensors (format section of its README).

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "maestro/core/crc32c.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/io/dtype.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// TensorInfo describes one tensor of an open file.
struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::f32;
  std::vector<std::size_t> shape;    ///< empty for a scalar
  std::size_t count = 0;             ///< product of shape
  std::span<const std::byte> bytes;  ///< count * bits_of(dtype) / 8 bytes, of any alignment
};

/// Gives a shape as text for messages, such as "[2, 3]". Only the first sizes of a long shape are listed.
inline std::string shape_text(std::span<const std::size_t> shape) {
  constexpr std::size_t limit = 8;
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(shape.size(), limit); ++i) {
    text.append(i > 0 ? ", " : "").append(std::to_string(shape[i]));
  }
  if (shape.size() > limit) text.append(", ... of ").append(std::to_string(shape.size())).append(" sizes");
  return text + "]";
}

namespace detail {
inline constexpr std::string_view checksum_key = "crc32c";
}  // namespace detail

/// SafetensorsFile is a safetensors file. It is checked as a whole when it is opened, and mapped into memory.
///
/// These rules are checked. The header lies in the file and is at most 100 MB of UTF-8 JSON without duplicate keys; it
/// starts with '{' and may end with spaces. Element types are known. Products of shapes do not overflow and fit the
/// offsets. Tensors neither overlap nor leave holes, in any order of the header. The data end where the file ends. Data
/// need no alignment. Several threads may use a const object at once.
class SafetensorsFile {
 public:
  static constexpr std::uint64_t max_header = 100'000'000;

  /// Opens and checks a file.
  /// @throws IoError if it cannot be opened; BadFile naming file, tensor and reason if it is not valid.
  explicit SafetensorsFile(const std::string& path) : path_(path), file_(path) { parse(file_.bytes()); }
  /// Reads bytes that the caller keeps valid; `name` is used in messages.
  /// @throws BadFile as the other constructor.
  SafetensorsFile(std::span<const std::byte> bytes, std::string name) : path_(std::move(name)) { parse(bytes); }

  const std::string& path() const { return path_; }
  /// Gives all tensors, in the order of their data.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  /// Gives the `__metadata__` map, which is empty if the file has none.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// Gives every tensor the name f(name). A tensor whose new name is empty is removed from the list.
  /// @throws BadFile if two tensors get the same name.
  template <class F>
  void rename(F&& f) {
    index_.clear();
    std::vector<TensorInfo> kept;
    kept.reserve(tensors_.size());
    for (TensorInfo& tensor : tensors_) {
      tensor.name = f(std::string_view(tensor.name));
      if (tensor.name.empty()) continue;
      if (!index_.emplace(tensor.name, kept.size()).second) refuse(tensor, "is there twice, under two names");
      kept.push_back(std::move(tensor));
    }
    tensors_ = std::move(kept);
  }

  /// Gives a tensor; nullptr if there is none of this name.
  const TensorInfo* find(std::string_view name) const {
    const auto it = index_.find(std::string(name));
    return it == index_.end() ? nullptr : &tensors_[it->second];
  }
  /// Gives a tensor.
  /// @throws BadFile naming a tensor that is missing.
  const TensorInfo& at(std::string_view name) const {
    const TensorInfo* tensor = find(name);
    if (tensor == nullptr) throw BadFile(path_ + ": tensor " + detail::quote_text(name) + " is missing");
    return *tensor;
  }

  /// Overwrites `out` with a tensor. A float or double may come from F64, F32, F16 and BF16 (rounded to nearest), an
  /// integer or bool only from its own type.
  /// @throws BadFile if the tensor is missing, is of another element type, or does not have out.size() elements.
  template <class T>
  void read(std::string_view name, std::span<T> out) const {
    const TensorInfo& tensor = sized(name, out.size());
    if (out.empty()) return;
    if constexpr (std::is_floating_point_v<T>) {
      if (tensor.dtype == dtype_of<T>()) return copy(tensor, out);
      switch (tensor.dtype) {
        case Dtype::f64:
          return convert<Dtype::f64>(tensor, out);
        case Dtype::f32:
          return convert<Dtype::f32>(tensor, out);
        case Dtype::f16:
          return convert<Dtype::f16>(tensor, out);
        case Dtype::bf16:
          return convert<Dtype::bf16>(tensor, out);
        default:
          refuse_type(tensor, "F64, F32, F16 or BF16");
      }
    } else {
      if (tensor.dtype != dtype_of<T>()) {
        refuse_type(tensor, name_of(dtype_of<T>()));
      }
      if constexpr (std::is_same_v<T, bool>) {
        for (std::size_t i = 0; i < out.size(); ++i) {
          if (tensor.bytes[i] > std::byte{1}) refuse(tensor, "has a BOOL that is neither 0 nor 1");
          out[i] = tensor.bytes[i] == std::byte{1};
        }
      } else {
        copy(tensor, out);
      }
    }
  }

  /// Overwrites `out` with a tensor as the bits of bfloat16 values. BF16 is copied, F32 and F16 are rounded to nearest
  /// (ties to even), and F64 is first rounded to F32.
  /// @throws BadFile as `read`.
  void read_bf16(std::string_view name, std::span<std::uint16_t> out) const {
    const TensorInfo& tensor = sized(name, out.size());
    if (out.empty()) return;
    switch (tensor.dtype) {
      case Dtype::bf16:
        return copy(tensor, out);
      case Dtype::f64:
        return round<Dtype::f64>(tensor, out);
      case Dtype::f32:
        return round<Dtype::f32>(tensor, out);
      case Dtype::f16:
        return round<Dtype::f16>(tensor, out);
      default:
        refuse_type(tensor, "F64, F32, F16 or BF16");
    }
  }

  /// Checks a tensor's data against the checksum in the file. Files of other writers have none, and pass.
  /// @throws BadFile if the tensor is missing, or if its data have changed since they were written.
  void verify(std::string_view name) const {
    const TensorInfo& tensor = at(name);
    const auto sum = checksums_.find(tensor.bytes.data());
    if (tensor.bytes.empty() || sum == checksums_.end() || crc32c(tensor.bytes) == sum->second) return;
    refuse(tensor, "is damaged: its data are not those that were written (CRC-32C); take an older copy of the file");
  }
  /// Checks all tensors.
  /// @throws BadFile as verify.
  void verify_all() const {
    for (const TensorInfo& tensor : tensors_) verify(tensor.name);
  }

  /// Releases the memory of a tensor's part of the mapped file. It is useful if the tensor is not read again soon.
  /// @throws BadFile if there is no such tensor.
  void release(std::string_view name) const { file_.release(at(name).bytes); }

 private:
  [[noreturn]] void refuse(const TensorInfo& tensor, const std::string& reason) const {
    throw BadFile(path_ + ": tensor " + detail::quote_text(tensor.name) + " " + reason);
  }
  [[noreturn]] void refuse_type(const TensorInfo& tensor, std::string_view wanted) const {
    refuse(tensor, "is of type " + std::string(name_of(tensor.dtype)) + ", wanted " + std::string(wanted));
  }
  const TensorInfo& sized(std::string_view name, std::size_t count) const {
    const TensorInfo& tensor = at(name);
    if (tensor.count != count) {
      refuse(tensor, "has shape " + shape_text(tensor.shape) + ", wanted " + std::to_string(count) + " elements");
    }
    return tensor;
  }

  /// Calls body(begin, end) for pieces of [0, count), in parallel.
  template <class F>
  static void in_pieces(std::size_t count, F&& body) {
    constexpr std::size_t piece = std::size_t{1} << 16;
    parallel_for((count + piece - 1) / piece, piece / 4,
                 [&](std::size_t i) { body(i * piece, std::min(count, (i + 1) * piece)); });
  }
  template <class T>
  static void copy(const TensorInfo& tensor, std::span<T> out) {
    in_pieces(out.size(), [&](std::size_t begin, std::size_t end) {
      std::memcpy(out.data() + begin, tensor.bytes.data() + begin * sizeof(T), (end - begin) * sizeof(T));
    });
  }
  template <Dtype dtype, class T>
  static void convert(const TensorInfo& tensor, std::span<T> out) {
    in_pieces(out.size(), [&](std::size_t begin, std::size_t end) {
      const std::byte* data = tensor.bytes.data();
      for (std::size_t i = begin; i < end; ++i) out[i] = static_cast<T>(load_float<dtype>(data, i));
    });
  }
  template <Dtype dtype>
  static void round(const TensorInfo& tensor, std::span<std::uint16_t> out) {
    in_pieces(out.size(), [&](std::size_t begin, std::size_t end) {
      const std::byte* data = tensor.bytes.data();
      for (std::size_t i = begin; i < end; ++i) out[i] = to_bf16(static_cast<float>(load_float<dtype>(data, i)));
    });
  }

  void parse(std::span<const std::byte> bytes) {
    if (bytes.size() < 8) {
      throw BadFile(path_ + ": " + std::to_string(bytes.size()) + " bytes are too few for a header length");
    }
    detail::refuse_lfs_pointer({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path_);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    if (length > max_header || length > bytes.size() - 8) {
      throw BadFile(
          path_ + ": header length " + std::to_string(length) + " exceeds " +
          (length > max_header ? "the limit of 100 MB" : "the file of " + std::to_string(bytes.size()) + " bytes"));
    }
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, static_cast<std::size_t>(length));
    if (text.empty() || text.front() != '{') throw BadFile(path_ + ": the header does not start with '{'");
    const Json header = parse_json(text, path_ + " (header)", 8);
    const auto data = bytes.subspan(8 + static_cast<std::size_t>(length));

    std::vector<std::size_t> begins;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        parse_metadata(entry);
      } else {
        parse_tensor(name, entry, data, begins);
      }
    }
    check_layout(begins, data.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
    parse_checksums();
  }

  /// Reads the checksums of the tensors, 8 hexadecimal digits each, in the order of their data.
  void parse_checksums() {
    const auto found = metadata_.find(std::string(detail::checksum_key));
    if (found == metadata_.end()) return;
    const std::string& digits = found->second;
    bool good = digits.size() == 8 * tensors_.size();
    for (std::size_t i = 0; i < tensors_.size() && good; ++i) {
      std::uint32_t sum = 0;
      const char* first = digits.data() + 8 * i;
      const auto [stop, error] = std::from_chars(first, first + 8, sum, 16);
      good = error == std::errc{} && stop == first + 8;
      // No two tensors that hold anything begin at the same place.
      if (!tensors_[i].bytes.empty()) checksums_.emplace(tensors_[i].bytes.data(), sum);
    }
    if (!good) throw BadFile(path_ + ": its checksums are damaged; take an older copy of the file");
  }

  void parse_metadata(const Json& entry) {
    if (!entry.is_object()) throw BadFile(path_ + ": '__metadata__' must be an object of strings");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) {
        throw BadFile(path_ + ": '__metadata__' field " + detail::quote_text(key) + " must be a string, found " +
                      detail::shown(value));
      }
      metadata_.emplace(key, value.get<std::string>());
    }
  }

  void parse_tensor(const std::string& name, const Json& entry, std::span<const std::byte> data,
                    std::vector<std::size_t>& begins) {
    TensorInfo tensor;
    tensor.name = name;
    if (!entry.is_object()) refuse(tensor, "must be described by an object, found " + detail::shown(entry));
    for (const auto& [key, value] : entry.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        refuse(tensor, "has an unknown field " + detail::quote_text(key));
      }
    }
    for (const char* key : {"dtype", "shape", "data_offsets"}) {
      if (!entry.contains(key)) refuse(tensor, "lacks the field '" + std::string(key) + "'");
    }
    tensor.dtype = parse_dtype(tensor, entry["dtype"]);
    tensor.shape = parse_sizes(tensor, "shape", entry["shape"]);
    const auto offsets = parse_sizes(tensor, "data_offsets", entry["data_offsets"]);
    if (offsets.size() != 2) refuse(tensor, "must have two data_offsets");

    tensor.count = 1;
    std::size_t bits = 0;
    for (const std::size_t extent : tensor.shape) {
      if (__builtin_mul_overflow(tensor.count, extent, &tensor.count)) {
        refuse(tensor, "has a shape whose product overflows: " + shape_text(tensor.shape));
      }
    }
    if (__builtin_mul_overflow(tensor.count, bits_of(tensor.dtype), &bits)) {
      refuse(tensor, "has a shape whose size in bits overflows: " + shape_text(tensor.shape));
    }
    if (bits % 8 != 0) {
      refuse(tensor, "of type " + std::string(name_of(tensor.dtype)) + " and shape " + shape_text(tensor.shape) +
                         " does not fill whole bytes");
    }
    const std::size_t size = bits / 8;
    if (offsets[0] > offsets[1] || offsets[1] > data.size()) {
      refuse(tensor, "has data_offsets " + shape_text(offsets) + " outside the " + std::to_string(data.size()) +
                         " bytes of data in the file");
    }
    if (offsets[1] - offsets[0] != size) {
      refuse(tensor, "of type " + std::string(name_of(tensor.dtype)) + " and shape " + shape_text(tensor.shape) +
                         " needs " + std::to_string(size) + " bytes, its data_offsets span " +
                         std::to_string(offsets[1] - offsets[0]));
    }
    tensor.bytes = data.subspan(offsets[0], size);
    begins.push_back(offsets[0]);
    tensors_.push_back(std::move(tensor));
  }

  Dtype parse_dtype(const TensorInfo& tensor, const Json& value) const {
    if (value.is_string()) {
      for (std::size_t i = 0; i < dtype_table.size(); ++i) {
        if (dtype_table[i].name == value.get_ref<const std::string&>()) return static_cast<Dtype>(i);
      }
    }
    refuse(tensor, "has an unknown dtype " + detail::shown(value));
  }

  std::vector<std::size_t> parse_sizes(const TensorInfo& tensor, const char* field, const Json& value) const {
    std::vector<std::size_t> sizes;
    if (!value.is_array()) refuse(tensor, "field '" + std::string(field) + "' must be an array of sizes");
    sizes.reserve(value.size());
    for (const Json& extent : value) {
      if (!extent.is_number_unsigned()) {
        refuse(tensor, "field '" + std::string(field) + "' must hold sizes, found " + detail::shown(extent));
      }
      sizes.push_back(static_cast<std::size_t>(extent.get<std::uint64_t>()));
    }
    return sizes;
  }

  /// Orders the tensors by their data, and refuses overlaps, holes and trailing bytes.
  void check_layout(const std::vector<std::size_t>& begins, std::size_t data_size) {
    std::vector<std::size_t> order(tensors_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const std::size_t end_a = begins[a] + tensors_[a].bytes.size();
      const std::size_t end_b = begins[b] + tensors_[b].bytes.size();
      return std::tie(begins[a], end_a, tensors_[a].name) < std::tie(begins[b], end_b, tensors_[b].name);
    });
    std::size_t end = 0;
    std::vector<TensorInfo> sorted;
    sorted.reserve(order.size());
    for (const std::size_t i : order) {
      if (begins[i] != end) {
        refuse(tensors_[i], "starts at " + std::to_string(begins[i]) +
                                (begins[i] < end ? ", overlapping the tensor that ends at "
                                                 : ", leaving a hole after the tensor that ends at ") +
                                std::to_string(end));
      }
      end += tensors_[i].bytes.size();
      sorted.push_back(std::move(tensors_[i]));
    }
    if (end != data_size) {
      throw BadFile(path_ + ": " + std::to_string(data_size - end) + " trailing bytes belong to no tensor");
    }
    tensors_ = std::move(sorted);
  }

  std::string path_;
  MappedFile file_;
  std::vector<TensorInfo> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
  std::map<std::string, std::string> metadata_;
  std::unordered_map<const std::byte*, std::uint32_t> checksums_;  ///< by the place of a tensor's data
};

/// SafetensorsWriter collects tensors and writes them as one file, in the order of the reference writer (by element
/// type, the widest first, then by name) and with the same bytes. Values are not copied, so they must live until
/// `write` has returned.
class SafetensorsWriter {
 public:
  /// Adds a tensor in the element type of T.
  /// @throws BadArgument if the name is taken, or if the product of the shape is not values.size().
  template <class T>
  void add(std::string name, std::vector<std::size_t> shape, std::span<const T> values) {
    push(std::move(name), dtype_of<T>(), dtype_of<T>(), std::move(shape), std::as_bytes(values));
  }
  /// Adds floating values that are stored as they are, as F32, or as BF16, rounded to nearest when they are written.
  /// @throws BadArgument as `add`, or for another stored type.
  template <class T>
  requires std::is_floating_point_v<T>
  void add_as(Dtype stored, std::string name, std::vector<std::size_t> shape, std::span<const T> values) {
    require(stored == dtype_of<T>() || stored == Dtype::f32 || stored == Dtype::bf16,
            "safetensors: floating values are stored as they are, as F32 or as BF16");
    push(std::move(name), dtype_of<T>(), stored, std::move(shape), std::as_bytes(values));
  }
  /// Adds bytes that the writer owns, for values that do not live until `write`.
  /// @throws BadArgument as `add`.
  void add_owned(std::string name, Dtype dtype, std::vector<std::size_t> shape, std::vector<std::byte> bytes) {
    owned_.push_back(std::move(bytes));
    push(std::move(name), dtype, dtype, std::move(shape), owned_.back());
  }
  void set_metadata(std::string key, std::string value) { metadata_[std::move(key)] = std::move(value); }
  /// Adds a checksum of every tensor's data to the metadata of the file, which SafetensorsFile::verify checks. `write`
  /// then reads the values twice.
  void add_checksums() { checksums_ = true; }

  /// Writes the file under a temporary name, syncs it, and renames it.
  /// @throws IoError naming the path; nothing is left behind, and an older file is kept. BadArgument if the header
  ///         would be longer than readers accept.
  void write(const std::string& path) const {
    std::vector<const Entry*> order;
    order.reserve(entries_.size());
    for (const auto& [name, entry] : entries_) order.push_back(&entry);
    std::stable_sort(order.begin(), order.end(), [](const Entry* a, const Entry* b) { return a->stored > b->stored; });

    const std::string header = header_text(order, checksums_ ? checksum_text(order) : std::string());
    const std::uint64_t length = header.size();
    if (length > SafetensorsFile::max_header) {
      throw BadArgument(path + ": the header of " + std::to_string(length) + " bytes exceeds the format's 100 MB");
    }
    AtomicFile file(path);
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    for (const Entry* entry : order) write_values(file, *entry);
    file.commit();
  }

 private:
  struct Entry {
    std::string name;
    Dtype source;
    Dtype stored;
    std::vector<std::size_t> shape;
    std::span<const std::byte> bytes;
  };

  void push(std::string name, Dtype source, Dtype stored, std::vector<std::size_t> shape,
            std::span<const std::byte> bytes) {
    std::size_t size = size_of(source);
    bool overflows = false;
    for (const std::size_t extent : shape) overflows = __builtin_mul_overflow(size, extent, &size) || overflows;
    if (overflows || size_of(source) == 0 || size != bytes.size()) {
      throw BadArgument("safetensors: tensor " + detail::quote_text(name) + " of type " + std::string(name_of(source)) +
                        " and shape " + shape_text(shape) + " is given " + std::to_string(bytes.size()) + " bytes");
    }
    if (name == "__metadata__" || entries_.contains(name)) {
      throw BadArgument("safetensors: the tensor name " + detail::quote_text(name) + " is taken");
    }
    Entry entry{name, source, stored, std::move(shape), bytes};
    entries_.emplace(std::move(name), std::move(entry));
  }

  static std::string checksum_text(const std::vector<const Entry*>& order) {
    std::string text;
    for (const Entry* entry : order) {
      std::uint32_t sum = 0;
      for_each_chunk(*entry, [&](std::span<const std::byte> bytes) { sum = crc32c(bytes, sum); });
      char digits[9];
      std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(sum));
      text += digits;
    }
    return text;
  }

  std::string header_text(const std::vector<const Entry*>& order, const std::string& checksums) const {
    std::string text = "{";
    std::map<std::string, std::string> metadata = metadata_;
    if (!checksums.empty()) metadata[std::string(detail::checksum_key)] = checksums;
    if (!metadata.empty()) text += "\"__metadata__\":" + dump_json(Json(metadata)) + (order.empty() ? "" : ",");
    std::size_t offset = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const Entry& entry = *order[i];
      if (i > 0) text += ',';
      text.append(dump_json(Json(entry.name))).append(":{\"dtype\":\"").append(name_of(entry.stored));
      text.append("\",\"shape\":[");
      std::size_t count = 1;
      for (std::size_t axis = 0; axis < entry.shape.size(); ++axis) {
        if (axis > 0) text += ',';
        text.append(std::to_string(entry.shape[axis]));
        count *= entry.shape[axis];
      }
      const std::size_t end = offset + count * size_of(entry.stored);
      text += "],\"data_offsets\":[" + std::to_string(offset) + "," + std::to_string(end) + "]}";
      offset = end;
    }
    text += "}";
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
  }

  static void write_values(AtomicFile& file, const Entry& entry) {
    for_each_chunk(entry, [&](std::span<const std::byte> bytes) { file.write(bytes); });
  }
  /// Calls f for the stored bytes of a tensor, piece by piece.
  template <class F>
  static void for_each_chunk(const Entry& entry, F&& f) {
    if (entry.source == entry.stored) return f(entry.bytes);
    std::array<std::byte, 16384> chunk;
    const std::size_t width = size_of(entry.stored);
    const std::size_t count = entry.bytes.size() / size_of(entry.source);
    for (std::size_t first = 0; first < count;) {
      const std::size_t n = std::min(count - first, chunk.size() / width);
      for (std::size_t i = 0; i < n; ++i) {
        const auto value =
            static_cast<float>(entry.source == Dtype::f64 ? load_float<Dtype::f64>(entry.bytes.data(), first + i)
                                                          : load_float<Dtype::f32>(entry.bytes.data(), first + i));
        const std::uint16_t rounded = to_bf16(value);
        std::memcpy(chunk.data() + i * width, width == 4 ? static_cast<const void*>(&value) : &rounded, width);
      }
      f(std::span<const std::byte>(chunk.data(), n * width));
      first += n;
    }
  }

  std::map<std::string, Entry> entries_;
  std::deque<std::vector<std::byte>> owned_;
  std::map<std::string, std::string> metadata_;
  bool checksums_ = false;
};

}  // namespace maestro
