#pragma once

/// @file
/// JSON from untrusted text. Depth is limited, and duplicate keys and broken UTF-8 are refused. The errors of the
/// getters name the file, the field, the expected and the found value.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/io/json_builder.hpp"

namespace maestro {

/// Json is a JSON value whose members are sorted by name.
using Json = nlohmann::json;
/// OrderedJson keeps members in the order in which they were added, for files that people read.
using OrderedJson = nlohmann::ordered_json;

/// Gives the text of a JSON value. It does not throw for text that is not UTF-8: broken bytes become U+FFFD.
template <class AnyJson>
std::string dump_json(const AnyJson& value, int indent = -1) {
  return value.dump(indent, ' ', false, AnyJson::error_handler_t::replace);
}

namespace detail {

/// Gives `text` as one quoted line of about `limit` bytes at most. Control bytes are escaped and broken UTF-8 is
/// replaced.
inline std::string quote_text(std::string_view text, std::size_t limit = 96) {
  const bool cut = text.size() > limit;
  std::string line = dump_json(Json(std::string(text.substr(0, limit))));
  if (cut) line += "...";
  return line;
}

inline std::string shown(const Json& value) {
  if (value.is_string()) return quote_text(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array() && value.size() > 8) return "an array of " + std::to_string(value.size());
  const std::string text = dump_json(value);
  return text.size() > 96 ? text.substr(0, 96) + "..." : text;
}

/// Refuses a pointer that a clone without Git LFS has in the place of a large file.
/// @throws BadFile naming the file and the remedy.
inline void refuse_lfs_pointer(std::string_view text, std::string_view file) {
  if (!text.starts_with("version https://git-lfs.")) return;
  throw BadFile(std::string(file) + ": is a pointer of Git LFS, not the file itself; fetch it with: git lfs pull");
}

}  // namespace detail

namespace detail {

template <class AnyJson>
AnyJson parse_json_as(std::string_view text, std::string_view file, int max_depth) {
  refuse_lfs_pointer(text, file);
  // The parser takes a zero byte for the end of its input: whatever follows one would go unread.
  if (text.find('\0') != std::string_view::npos) {
    throw BadFile(std::string(file) + ": not valid JSON: it holds a zero byte");
  }
  JsonBuilder<AnyJson> builder(text, max_depth);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {  // one parser for both: it takes long to compile
    throw BadFile(std::string(file) + (builder.is_valid() ? ": " : ": not valid JSON: ") + builder.problem());
  }
  return std::move(builder.value());
}

}  // namespace detail

/// Parses one JSON value, in time linear in the text.
/// @param file  name of the file, for messages.
/// @throws BadFile for a syntax error, broken UTF-8, a duplicate key, nesting deeper than `max_depth`, or a pointer of
///         Git LFS instead of the file.
inline Json parse_json(std::string_view text, std::string_view file, int max_depth = 64) {
  return detail::parse_json_as<Json>(text, file, max_depth);
}
/// Does the same and keeps the order of members, in time quadratic in the members of an object.
inline OrderedJson parse_ordered_json(std::string_view text, std::string_view file, int max_depth = 64) {
  return detail::parse_json_as<OrderedJson>(text, file, max_depth);
}

/// JsonFields gives typed access to the members of one JSON object. A member that is null counts as absent. Every
/// getter throws BadFile naming the file, the field and the found value. The `_or` forms give the fallback for an
/// absent member, but not for one of the wrong type. The object is valid as long as the Json from which it was made.
class JsonFields {
 public:
  /// Takes an object. `prefix` precedes field names in messages, such as "rope_parameters.".
  /// @throws BadFile if the value is not an object.
  JsonFields(const Json& object, std::string file, std::string prefix = {})
      : object_(&object), file_(std::move(file)), prefix_(std::move(prefix)) {
    if (!object.is_object()) {
      throw BadFile(file_ + ": " + (prefix_.empty() ? std::string("the content") : "field '" + prefix_ + "'") +
                    " must be a JSON object, found " + detail::shown(object));
    }
  }

  const std::string& file() const { return file_; }
  const Json& json() const { return *object_; }
  bool has(const std::string& key) const {
    const auto it = object_->find(key);
    return it != object_->end() && !it->is_null();
  }
  const Json& at(const std::string& key) const {
    if (!has(key)) throw BadFile(file_ + ": field '" + prefix_ + key + "' is missing");
    return (*object_)[key];
  }

  /// Gives an integer in [1, maximum].
  std::size_t positive(const std::string& key, std::size_t maximum = std::numeric_limits<std::size_t>::max()) const {
    const std::size_t value = unsigned_value(key, "a positive integer", maximum);
    if (value == 0) fail(key, "a positive integer");
    return value;
  }
  std::size_t positive_or(const std::string& key, std::size_t fallback,
                          std::size_t maximum = std::numeric_limits<std::size_t>::max()) const {
    return has(key) ? positive(key, maximum) : fallback;
  }
  /// Gives an integer in [0, maximum].
  std::size_t count(const std::string& key, std::size_t maximum = std::numeric_limits<std::size_t>::max()) const {
    return unsigned_value(key, "an integer of 0 or more", maximum);
  }
  std::size_t count_or(const std::string& key, std::size_t fallback,
                       std::size_t maximum = std::numeric_limits<std::size_t>::max()) const {
    return has(key) ? count(key, maximum) : fallback;
  }
  double number(const std::string& key) const {
    const Json& value = at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>())) fail(key, "a number");
    return value.get<double>();
  }
  double number_or(const std::string& key, double fallback) const { return has(key) ? number(key) : fallback; }
  double positive_number(const std::string& key) const {
    if (!(number(key) > 0.0)) fail(key, "a number above 0");
    return number(key);
  }
  const std::string& text(const std::string& key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(key, "a string");
    return value.get_ref<const std::string&>();
  }
  std::string text_or(const std::string& key, std::string fallback) const {
    return has(key) ? text(key) : std::move(fallback);
  }
  bool boolean(const std::string& key) const {
    const Json& value = at(key);
    if (!value.is_boolean()) fail(key, "true or false");
    return value.get<bool>();
  }
  bool boolean_or(const std::string& key, bool fallback) const { return has(key) ? boolean(key) : fallback; }
  JsonFields object(const std::string& key) const { return {at(key), file_, prefix_ + key + "."}; }

  /// Throws BadFile with the message that field `key` must be `wanted`, and its value.
  [[noreturn]] void fail(const std::string& key, const std::string& wanted) const {
    throw BadFile(file_ + ": field '" + prefix_ + key + "' must be " + wanted + ", found " + detail::shown(at(key)));
  }
  /// Throws Unsupported with the message that the value of field `key` is not implemented.
  [[noreturn]] void unsupported(const std::string& key, const std::string& remedy) const {
    throw Unsupported(file_ + ": field '" + prefix_ + key + "' is " + detail::shown(at(key)) + ", " + remedy);
  }

 private:
  std::size_t unsigned_value(const std::string& key, const std::string& wanted, std::size_t maximum) const {
    const Json& value = at(key);
    if (!value.is_number_unsigned()) fail(key, wanted);
    const auto number = value.get<std::uint64_t>();
    if (number > maximum) fail(key, wanted + " of at most " + std::to_string(maximum));
    return static_cast<std::size_t>(number);
  }

  const Json* object_;
  std::string file_;
  std::string prefix_;
};

}  // namespace maestro
