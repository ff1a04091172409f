#pragma once

/// @file
/// Arguments of calls, and the results of a dot and of brackets.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/names.hpp"
#include "maestro/text/jinja/operators.hpp"
#include "maestro/text/jinja/syntax.hpp"
#include "maestro/text/jinja/value.hpp"

namespace maestro::jinja {

struct Scope;

/// FunctionData is a value that can be called.
struct FunctionData {
  enum class Kind : std::uint8_t {
    global,  ///< `name` of the environment
    method,  ///< `name` of `self`
    macro,   ///< `macro`, defined in `scope`
  };
  Kind kind = Kind::global;
  std::string name{};
  Value self{};
  const Statement* macro = nullptr;
  Scope* scope = nullptr;
  mutable bool used = false;  ///< whether a joiner was used
};

/// Arguments holds the arguments of a call as they are given.
struct Arguments {
  std::vector<Value> positional{};
  std::vector<std::pair<std::string, Value>> named{};
};

/// Bound holds the arguments of a call by parameter.
class Bound {
 public:
  /// Assigns arguments to parameters.
  /// @throws BadData for too many arguments, for a name that is not a parameter, or if one of the first `required`
  ///         parameters is missing.
  Bound(const std::string& callee, const Arguments& arguments, std::initializer_list<std::string_view> parameters,
        std::size_t required = 0)
      : values_(parameters.size()) {
    if (arguments.positional.size() > parameters.size()) {
      throw BadData(callee + " takes at most " + std::to_string(parameters.size()) + " arguments");
    }
    for (std::size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = arguments.positional[i];
    for (const auto& [name, value] : arguments.named) {
      const auto place = std::find(parameters.begin(), parameters.end(), name);
      const auto index = static_cast<std::size_t>(place - parameters.begin());
      if (place == parameters.end() || values_[index]) throw BadData(callee + " takes no argument '" + name + "' here");
      values_[index] = value;
    }
    for (std::size_t i = 0; i < required; ++i) {
      if (!values_[i]) throw BadData(callee + " needs its argument '" + std::string(parameters.begin()[i]) + "'");
    }
  }

  const std::optional<Value>& operator[](std::size_t index) const { return values_[index]; }
  /// Tells whether an argument is given and is not None.
  bool given(std::size_t index) const { return values_[index] && !values_[index]->none(); }
  bool flag(std::size_t index, bool otherwise = false) const {
    return values_[index] ? truth(*values_[index]) : otherwise;
  }
  /// Gives an argument that must be a whole number, or `otherwise` if it is not given.
  /// @throws BadData for another type.
  std::int64_t integer(std::size_t index, std::int64_t otherwise) const {
    if (!values_[index]) return otherwise;
    const std::optional<std::int64_t> integer = as_integer(*values_[index]);
    if (!integer) throw BadData("an argument must be a whole number, not of type " + type_name(*values_[index]));
    return *integer;
  }
  /// Gives an argument that must be a text, or `otherwise` if it is not given.
  /// @throws BadData for another type.
  CharacterView text(std::size_t index, CharacterView otherwise = {}) const {
    if (!values_[index]) return otherwise;
    if (values_[index]->text() == nullptr) {
      throw BadData("an argument must be a text, not of type " + type_name(*values_[index]));
    }
    return *values_[index]->text();
  }

 private:
  std::vector<std::optional<Value>> values_;
};

/// LoopData holds the state of a loop.
struct LoopData {
  std::vector<Value> items;
  std::size_t index = 0;
  std::size_t depth = 0;
  std::optional<std::vector<Value>> changed{};
  const Statement* statement = nullptr;
  Scope* scope = nullptr;     ///< around the loop
  std::uint32_t nesting = 1;  ///< of the items
};

inline std::uint32_t depth_of(const FunctionData& function) { return depth_of(function.self) + 1; }
inline std::uint32_t depth_of(const LoopData& loop) { return loop.nesting; }

namespace detail {

inline constexpr std::array<std::string_view, 29> text_methods{
    "capitalize", "count",  "endswith", "find",      "format",       "index",        "isdigit", "isspace",
    "join",       "lower",  "lstrip",   "partition", "removeprefix", "removesuffix", "replace", "rfind",
    "rpartition", "rsplit", "rstrip",   "split",     "splitlines",   "startswith",   "strip",   "title",
    "upper",      "center", "ljust",    "rjust",     "zfill"};
inline constexpr std::array<std::string_view, 18> missing_text_methods{
    "casefold", "encode",    "expandtabs",   "format_map", "isalnum",   "isalpha",
    "isascii",  "isdecimal", "isidentifier", "islower",    "isnumeric", "isprintable",
    "istitle",  "isupper",   "maketrans",    "rindex",     "swapcase",  "translate"};
inline constexpr std::array<std::string_view, 5> dict_methods{"copy", "get", "items", "keys", "values"};
inline constexpr std::array<std::string_view, 3> list_methods{"copy", "count", "index"};
/// The methods that would change a list or a dictionary, which the sandbox forbids.
inline constexpr std::array<std::string_view, 13> changing_methods{
    "append",  "clear",      "extend", "insert", "pop",         "popitem",    "remove",
    "reverse", "setdefault", "sort",   "update", "__setitem__", "__delitem__"};

inline Value method_of(const Value& self, std::string_view name) {
  FunctionData method{.kind = FunctionData::Kind::method, .name = std::string(name), .self = self};
  return Value(std::make_shared<const FunctionData>(std::move(method)));
}
inline Value forbidden(const Value& self, std::string_view name) {
  return undefined_value("the method '" + std::string(name) + "' would change a value of type " + type_name(self) +
                         ", which templates may not; build a new one, or use a namespace");
}

inline std::optional<Value> loop_attribute(const LoopData& loop, std::string_view name) {
  const std::size_t size = loop.items.size();
  if (name == "index") return integer_value(loop.index + 1);
  if (name == "index0") return integer_value(loop.index);
  if (name == "revindex") return integer_value(size - loop.index);
  if (name == "revindex0") return integer_value(size - loop.index - 1);
  if (name == "first") return Value(loop.index == 0);
  if (name == "last") return Value(loop.index + 1 == size);
  if (name == "length") return integer_value(size);
  if (name == "depth") return integer_value(loop.depth + 1);
  if (name == "depth0") return integer_value(loop.depth);
  if (name == "previtem") {
    return loop.index > 0 ? loop.items[loop.index - 1] : undefined_value("there is no previous item");
  }
  if (name == "nextitem") {
    return loop.index + 1 < size ? loop.items[loop.index + 1] : undefined_value("there is no next item");
  }
  return std::nullopt;
}

/// Gives the result of Python's getattr; nullopt if there is no such attribute.
inline std::optional<Value> python_attribute(const Value& object, std::string_view name) {
  if (object.text() != nullptr) {
    if (has_name(text_methods, name)) return method_of(object, name);
    if (has_name(missing_text_methods, name)) {
      throw Unsupported("the method '" + std::string(name) + "' of texts is not implemented");
    }
  } else if (object.is<Dict>()) {
    if (has_name(dict_methods, name)) return method_of(object, name);
    for (const char* changing : {"clear", "pop", "popitem", "setdefault", "update"}) {
      if (name == changing) return forbidden(object, name);
    }
  } else if (const Sequence* sequence = object.get_if<Sequence>()) {
    const bool list = (*sequence)->kind == SequenceKind::list;
    const bool tuple = (*sequence)->kind == SequenceKind::tuple;
    if (((list || tuple) && has_name(list_methods, name)) && !(tuple && name == "copy")) return method_of(object, name);
    if (list && has_name(changing_methods, name)) return forbidden(object, name);
  } else if (const Loop* loop = object.get_if<Loop>()) {
    if (name == "cycle" || name == "changed") return method_of(object, name);
    return loop_attribute(**loop, name);
  } else if (const Function* function = object.get_if<Function>()) {
    if ((*function)->kind == FunctionData::Kind::macro && name == "name") return text_value((*function)->name);
  }
  return std::nullopt;
}

inline std::optional<Value> space_item(const NamespaceData& space, std::string_view name) {
  for (const auto& [key, value] : space.items) {
    if (key == name) return value;
  }
  return std::nullopt;
}

inline std::string shown_key(const Value& key) {
  if (key.text() != nullptr) return "'" + to_utf8(CharacterView(*key.text()).substr(0, 60)) + "'";
  return as_integer(key) ? std::to_string(*as_integer(key)) : "of type " + type_name(key);
}

/// Gives the element object[key]; nullopt if there is none.
inline std::optional<Value> python_element(const Value& object, const Value& key, Budget& budget) {
  if (const Dict* dict = object.get_if<Dict>()) {
    if (key.is<Dict>() || (key.is<Sequence>() && (*key.get_if<Sequence>())->kind == SequenceKind::list)) {
      return std::nullopt;
    }
    const Value* value = find_key(**dict, key, budget);
    return value == nullptr ? std::nullopt : std::optional(*value);
  }
  const std::optional<std::int64_t> index = as_integer(key);
  if (!index) return std::nullopt;
  const Sequence* sequence = object.get_if<Sequence>();
  const bool reads =
      sequence == nullptr || ((*sequence)->kind != SequenceKind::iterator && (*sequence)->kind != SequenceKind::view);
  if ((object.text() == nullptr && sequence == nullptr) || !reads) return std::nullopt;
  const auto size = static_cast<std::int64_t>(length_of(object));
  if (*index >= size || *index < -size) return std::nullopt;
  const auto place = static_cast<std::size_t>(*index < 0 ? *index + size : *index);
  if (sequence != nullptr) return (*sequence)->items[place];
  return Value(Text{std::make_shared<const Characters>(1, (*object.text())[place]), object.get_if<Text>()->safe});
}

inline Value nothing_at(const Value& object, const Value& key) {
  return undefined_value("a value of type " + type_name(object) + " has no element " + shown_key(key));
}

}  // namespace detail

/// Gives object.name: a Python attribute, else the element of that name.
/// @throws BadData for an undefined object.
inline Value attribute_of(const Value& object, std::string_view name, const Value& key, Budget& budget) {
  check_defined(object);
  if (name.starts_with("_") && !object.is<Dict>()) {
    return undefined_value("the attribute '" + std::string(name) + "' is private");
  }
  if (const auto* space = object.get_if<NamespaceData*>()) {
    const std::optional<Value> item = detail::space_item(**space, name);
    return item ? *item : undefined_value("the namespace has no attribute '" + std::string(name) + "'");
  }
  if (const std::optional<Value> found = detail::python_attribute(object, name)) return *found;
  if (const std::optional<Value> found = detail::python_element(object, key, budget)) return *found;
  return undefined_value("a value of type " + type_name(object) + " has no attribute '" + std::string(name) + "'");
}

/// Gives object[key]: an element, else the attribute of that name.
/// @throws BadData for an undefined object.
inline Value element_of(const Value& object, const Value& key, Budget& budget) {
  check_defined(object);
  if (const auto* space = object.get_if<NamespaceData*>(); space != nullptr && key.text() != nullptr) {
    const std::optional<Value> item = detail::space_item(**space, to_utf8(*key.text()));
    return item ? *item : detail::nothing_at(object, key);
  }
  if (const std::optional<Value> found = detail::python_element(object, key, budget)) return *found;
  if (key.text() != nullptr) {
    if (const std::optional<Value> found = detail::python_attribute(object, to_utf8(*key.text()))) return *found;
  }
  return detail::nothing_at(object, key);
}

}  // namespace maestro::jinja
