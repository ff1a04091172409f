#pragma once

/// @file
/// The two visitors of core/state.hpp, which save a part's state to one safetensors file and load it with the same
/// bits.
///
/// Every value is stored in its own element type: a scalar or enum with shape [1], a vector or span [n], a matrix
/// [rows, cols], a string as U8 [n]. Names of nested parts are joined by '.'. A vector of parts, strings, matrices or
/// vectors stores its length as `name.size` (U64) and its elements as `name.0`, `name.1`, ...

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/state.hpp"
#include "maestro/io/safetensors.hpp"

namespace maestro {

namespace detail {

template <class T>
struct IsVector : std::false_type {};
template <class T, class A>
struct IsVector<std::vector<T, A>> : std::true_type {};
template <class T>
struct IsSpan : std::false_type {};
template <class T, std::size_t n>
struct IsSpan<std::span<T, n>> : std::true_type {};
template <class T>
struct IsArray : std::false_type {};
template <class T, std::size_t n>
struct IsArray<std::array<T, n>> : std::true_type {};
template <class T>
struct IsMatrix : std::false_type {};
template <class T>
struct IsMatrix<Matrix<T>> : std::true_type {};

template <class T>
inline constexpr bool is_plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

/// The arithmetic type in which a scalar is stored.
template <class T>
struct Stored {
  using type = T;
};
template <class T>
requires std::is_enum_v<T>
struct Stored<T> {
  using type = std::underlying_type_t<T>;
};

template <class T>
inline constexpr bool never = false;

}  // namespace detail

/// StateWriter collects state, and `write` stores it. Values are copied when they are visited. Only spans are not
/// copied; they must live until `write` has returned.
class StateWriter {
 public:
  static constexpr bool may_load() { return false; }

  template <class Value>
  void operator()(std::string_view name, Value&& value) {
    using V = std::remove_cvref_t<Value>;
    const std::string full = prefix_ + std::string(name);
    if constexpr (detail::is_plain<V>) {
      const auto stored = static_cast<typename detail::Stored<V>::type>(value);
      own(full, {1}, std::span(&stored, 1));
    } else if constexpr (std::is_same_v<V, std::string>) {
      own(full, {value.size()}, std::span(reinterpret_cast<const std::uint8_t*>(value.data()), value.size()));
    } else if constexpr (detail::IsMatrix<V>::value) {
      own(full, {value.rows(), value.cols()}, std::as_const(value).flat());
    } else if constexpr (detail::IsArray<V>::value) {
      own(full, {value.size()}, std::span<const typename V::value_type>(value));
    } else if constexpr (detail::IsSpan<V>::value) {
      using T = typename V::value_type;
      writer_.add<T>(full, {value.size()}, std::span<const T>(value));
    } else if constexpr (detail::IsVector<V>::value) {
      write_vector(full, value);
    } else {
      write_part(full, value);
    }
  }

  void set_metadata(std::string key, std::string value) { writer_.set_metadata(std::move(key), std::move(value)); }

  /// Writes the file.
  /// @throws IoError naming the path; an older file is then kept.
  void write(const std::string& path) {
    writer_.add_checksums();
    writer_.write(path);
  }

 private:
  template <class T>
  void own(const std::string& name, std::vector<std::size_t> shape, std::span<const T> values) {
    const auto bytes = std::as_bytes(values);
    writer_.add_owned(name, dtype_of<T>(), std::move(shape), std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  template <class Vector>
  void write_vector(const std::string& name, Vector& values) {
    using T = typename Vector::value_type;
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      own(name, {values.size()}, std::span<const T>(values));
    } else if constexpr (detail::is_plain<T>) {
      using S = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, typename detail::Stored<T>::type>;
      std::vector<S> copy;
      copy.reserve(values.size());
      for (const T value : values) copy.push_back(static_cast<S>(value));
      own(name, {copy.size()}, std::span<const S>(copy));
    } else {
      const std::uint64_t size = values.size();
      own(name + ".size", {1}, std::span(&size, 1));
      for (std::size_t i = 0; i < values.size(); ++i) (*this)(name + "." + std::to_string(i), values[i]);
    }
  }
  template <class Part>
  void write_part(const std::string& name, Part& part) {
    static_assert(Stateful<Part>, "state: an arithmetic value, string, vector, matrix, or a part with visit_state");
    std::string outer = std::exchange(prefix_, name + ".");
    part.visit_state(*this);
    prefix_ = std::move(outer);
  }

  SafetensorsWriter writer_;
  std::string prefix_;
};

/// StateReader loads state from a file and overwrites the visited values. `finish` refuses entries that no part
/// visited. If it throws, a part may be partly overwritten and must be made anew.
class StateReader {
 public:
  /// Opens the file. Data are checked against their checksums when they are loaded.
  /// @throws IoError if it cannot be opened; BadFile if it is not valid.
  explicit StateReader(const std::string& path) : file_(path) {}

  const SafetensorsFile& file() const { return file_; }

  /// Loads one value.
  /// @throws BadFile naming file and entry, if the entry is missing, of another type, of another shape, or damaged.
  template <class Value>
  void operator()(std::string_view name, Value&& value) {
    using V = std::remove_cvref_t<Value>;
    const std::string full = prefix_ + std::string(name);
    if constexpr (detail::is_plain<V>) {
      using S = typename detail::Stored<V>::type;
      S stored{};
      take(full, 1, dtype_of<S>(), 1);
      file_.read<S>(full, std::span(&stored, 1));
      value = static_cast<V>(stored);
    } else if constexpr (std::is_same_v<V, std::string>) {
      const TensorInfo& tensor = take(full, 1, Dtype::u8);
      value.assign(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    } else if constexpr (detail::IsMatrix<V>::value) {
      using T = std::remove_cvref_t<decltype(value(0, 0))>;
      const TensorInfo& tensor = take(full, 2, dtype_of<T>());
      value.resize(tensor.shape[0], tensor.shape[1]);
      file_.read<T>(full, value.flat());
    } else if constexpr (detail::IsSpan<V>::value || detail::IsArray<V>::value) {
      using T = typename V::value_type;
      take(full, 1, dtype_of<T>(), value.size());
      file_.read<T>(full, std::span<T>(value));
    } else if constexpr (detail::IsVector<V>::value) {
      read_vector(full, value);
    } else {
      static_assert(Stateful<V>, "state: an arithmetic value, string, vector, matrix, or a part with visit_state");
      std::string outer = std::exchange(prefix_, full + ".");
      value.visit_state(*this);
      prefix_ = std::move(outer);
    }
  }

  /// Checks that every entry was visited.
  /// @throws BadFile naming an entry that was not visited.
  void finish() const {
    for (const TensorInfo& tensor : file_.tensors()) {
      if (!taken_.contains(tensor.name)) {
        throw BadFile(file_.path() + ": entry " + detail::quote_text(tensor.name) +
                      " belongs to no part of this run; were the options changed?");
      }
    }
  }

 private:
  static constexpr std::size_t any = static_cast<std::size_t>(-1);

  const TensorInfo& take(const std::string& name, std::size_t rank, Dtype dtype, std::size_t count = any) {
    const TensorInfo* tensor = file_.find(name);
    const auto refuse = [&](const std::string& reason) {
      throw BadFile(file_.path() + ": entry " + detail::quote_text(name) + " " + reason);
    };
    if (tensor == nullptr) refuse("is missing; were the options changed?");
    if (tensor->dtype != dtype) {
      refuse("is of type " + std::string(name_of(tensor->dtype)) + ", wanted " + std::string(name_of(dtype)));
    }
    if (tensor->shape.size() != rank || (count != any && tensor->count != count)) {
      refuse(
          "has shape " + shape_text(tensor->shape) + ", wanted " +
          (count == any ? (rank == 1 ? std::string("[n]") : std::string("[rows, columns]")) : shape_text({&count, 1})));
    }
    if (!taken_.insert(name).second) refuse("is visited twice");
    file_.verify(name);
    return *tensor;
  }

  template <class Vector>
  void read_vector(const std::string& name, Vector& values) {
    using T = typename Vector::value_type;
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
      values.resize(take(name, 1, dtype_of<T>()).count);
      file_.read<T>(name, std::span<T>(values));
    } else if constexpr (detail::is_plain<T>) {
      using S = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, typename detail::Stored<T>::type>;
      std::vector<S> stored(take(name, 1, dtype_of<S>()).count);
      file_.read<S>(name, std::span<S>(stored));
      values.clear();
      for (const S value : stored) values.push_back(static_cast<T>(value));
    } else {
      std::uint64_t size = 0;
      take(name + ".size", 1, Dtype::u64, 1);
      file_.read<std::uint64_t>(name + ".size", std::span(&size, 1));
      if (size > file_.tensors().size()) {
        throw BadFile(file_.path() + ": entry " + detail::quote_text(name + ".size") + " says " + std::to_string(size) +
                      ", more than the entries in the file");
      }
      values.resize(static_cast<std::size_t>(size));
      for (std::size_t i = 0; i < values.size(); ++i) (*this)(name + "." + std::to_string(i), values[i]);
    }
  }

  SafetensorsFile file_;
  std::unordered_set<std::string> taken_;
  std::string prefix_;
};

/// Stores a part's state as one file.
/// @throws IoError naming the path; an older file is then kept.
template <Stateful Part>
void save_state(const std::string& path, Part& part, const std::map<std::string, std::string>& metadata = {}) {
  StateWriter writer;
  part.visit_state(writer);
  for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
  writer.write(path);
}

/// Loads a part's state. The file must hold exactly the entries that the part visits.
/// @throws IoError if it cannot be opened; BadFile naming the entry that does not fit.
template <Stateful Part>
void load_state(const std::string& path, Part& part) {
  StateReader reader(path);
  part.visit_state(reader);
  reader.finish();
}

}  // namespace maestro
