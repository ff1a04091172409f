#pragma once

/// @file
/// The values of a template: Python's values that JSON can hold, and those that templates make from them.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/characters.hpp"

namespace maestro::jinja {

class Value;

/// Undefined is a missing value. It holds the message of the error that its use throws.
struct Undefined {
  std::shared_ptr<const std::string> message;
};
struct None {};

/// Text is a text that its copies share. The filter `safe` sets the flag.
struct Text {
  std::shared_ptr<const Characters> characters;
  bool safe = false;

  CharacterView view() const { return *characters; }
};

/// SequenceKind is the Python type of a sequence. A view is that of a dictionary. An iterator can be read only once.
enum class SequenceKind : std::uint8_t { list, tuple, range, view, iterator };

struct SequenceData;
struct DictData;
struct FunctionData;
struct LoopData;
/// NamespaceData holds the values of a `namespace()`, the only value that can change.
struct NamespaceData;

using Sequence = std::shared_ptr<const SequenceData>;
using Dict = std::shared_ptr<const DictData>;
using Function = std::shared_ptr<const FunctionData>;
using Loop = std::shared_ptr<LoopData>;

/// The largest nesting of a value. Deeper values are refused, which limits every recursion over a value.
inline constexpr std::uint32_t deepest_value = 200;

/// Value is any value of a template. It is cheap to copy. Lists and dictionaries never change.
class Value {
 public:
  using Held =
      std::variant<Undefined, None, bool, std::int64_t, double, Text, Sequence, Dict, NamespaceData*, Function, Loop>;

  Value() : held_(None{}) {}
  Value(Held held) : held_(std::move(held)) {}
  Value(bool value) : held_(value) {}
  Value(std::int64_t value) : held_(value) {}
  Value(double value) : held_(value) {}
  Value(Characters text) : held_(Text{std::make_shared<const Characters>(std::move(text)), false}) {}

  const Held& held() const { return held_; }
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(held_);
  }
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&held_);
  }
  bool undefined() const { return is<Undefined>(); }
  bool none() const { return is<None>(); }
  /// Gives the characters of a text, else nullptr.
  const Characters* text() const {
    const Text* text = get_if<Text>();
    return text == nullptr ? nullptr : text->characters.get();
  }

 private:
  Held held_;
};

struct SequenceData {
  SequenceKind kind = SequenceKind::list;
  std::vector<Value> items;
  std::uint32_t depth = 1;
  mutable std::size_t read = 0;  ///< number of items of an iterator that were read
};

struct DictData {
  std::vector<std::pair<Value, Value>> items;  ///< in the order of insertion
  std::uint32_t depth = 1;
};

struct NamespaceData {
  std::vector<std::pair<std::string, Value>> items;
};

inline Value undefined_value(std::string message) {
  return Value(Undefined{std::make_shared<const std::string>(std::move(message))});
}
inline Value text_value(std::string_view text, Origin origin = Origin::in_template) {
  return Value(to_characters(text, origin));
}
inline Value integer_value(std::size_t value) { return Value(static_cast<std::int64_t>(value)); }

/// Gives the nesting of the values in a function or a loop.
std::uint32_t depth_of(const FunctionData& function);
std::uint32_t depth_of(const LoopData& loop);

/// Gives the nesting of a value; 0 for a value that holds no others.
inline std::uint32_t depth_of(const Value& value) {
  if (const Function* function = value.get_if<Function>()) return depth_of(**function);
  if (const Loop* loop = value.get_if<Loop>()) return depth_of(**loop);
  if (const Sequence* sequence = value.get_if<Sequence>()) return (*sequence)->depth;
  if (const Dict* dict = value.get_if<Dict>()) return (*dict)->depth;
  return 0;
}

namespace detail {

inline std::uint32_t checked_depth(std::uint32_t inner) {
  if (inner < deepest_value) return inner + 1;
  throw BadData("chat template: a value is nested more than " + std::to_string(deepest_value) + " levels deep");
}

}  // namespace detail

/// Makes a sequence.
/// @throws BadData if it is nested deeper than deepest_value.
inline Value sequence_value(std::vector<Value> items, SequenceKind kind = SequenceKind::list) {
  std::uint32_t depth = 0;
  for (const Value& item : items) depth = std::max(depth, depth_of(item));
  return Value(
      std::make_shared<const SequenceData>(SequenceData{kind, std::move(items), detail::checked_depth(depth), 0}));
}
/// Makes a dictionary, whose keys must differ.
/// @throws BadData if it is nested deeper than deepest_value.
inline Value dict_value(std::vector<std::pair<Value, Value>> items) {
  std::uint32_t depth = 0;
  for (const auto& [key, value] : items) depth = std::max({depth, depth_of(key), depth_of(value)});
  return Value(std::make_shared<const DictData>(DictData{std::move(items), detail::checked_depth(depth)}));
}

/// Gives the name of a value's Python type.
inline std::string type_name(const Value& value) {
  struct Names {
    std::string operator()(const Undefined&) const { return "undefined value"; }
    std::string operator()(None) const { return "None"; }
    std::string operator()(bool) const { return "bool"; }
    std::string operator()(std::int64_t) const { return "int"; }
    std::string operator()(double) const { return "float"; }
    std::string operator()(const Text&) const { return "str"; }
    std::string operator()(const Sequence& s) const {
      switch (s->kind) {
        case SequenceKind::list:
          return "list";
        case SequenceKind::tuple:
          return "tuple";
        case SequenceKind::range:
          return "range";
        case SequenceKind::view:
          return "dictionary view";
        default:
          return "iterator";
      }
    }
    std::string operator()(const Dict&) const { return "dict"; }
    std::string operator()(NamespaceData*) const { return "namespace"; }
    std::string operator()(const Function&) const { return "function"; }
    std::string operator()(const Loop&) const { return "loop"; }
  };
  return std::visit(Names{}, value.held());
}

}  // namespace maestro::jinja
