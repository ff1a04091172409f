#pragma once

/// @file
/// The tests after `is`.

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "maestro/text/jinja/access.hpp"

namespace maestro::jinja {

inline constexpr std::array<std::string_view, 34> test_names{
    "!=",          "<",       "<=",       "==",       ">",        ">=",    "boolean",  "callable",    "defined",
    "divisibleby", "eq",      "equalto",  "even",     "false",    "float", "ge",       "greaterthan", "gt",
    "in",          "integer", "iterable", "le",       "lessthan", "lt",    "mapping",  "ne",          "none",
    "number",      "odd",     "sameas",   "sequence", "string",   "true",  "undefined"};

namespace detail {

/// Gives the result of a comparison; -1 if `name` is not a comparison.
inline int comparison_test(std::string_view name, const Value& a, const Value* b, Budget& budget) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const bool equals = is({"==", "eq", "equalto"});
  const bool differs = is({"!=", "ne"});
  const bool before = is({"<", "lt", "lessthan"});
  const bool after = is({">", "gt", "greaterthan"});
  const bool at_most = is({"<=", "le"});
  const bool at_least = is({">=", "ge"});
  if (!(equals || differs || before || after || at_most || at_least)) return -1;
  if (b == nullptr) throw BadData("the test '" + std::string(name) + "' needs something to compare with");
  if (equals || differs) return equal(a, *b, budget) == equals;
  if (before) return less(a, *b, budget);
  if (after) return less(*b, a, budget);
  const bool less_first = at_most ? less(a, *b, budget) : less(*b, a, budget);
  return less_first || equal(a, *b, budget);
}

/// Tells whether two values are the same object in Python, as far as templates can tell.
inline bool same_object(const Value& a, const Value& b, Budget& budget) {
  if (a.held().index() != b.held().index()) return false;
  if (a.none() || a.is<bool>() || a.is<std::int64_t>() || a.is<NamespaceData*>()) return equal(a, b, budget);
  throw Unsupported("the test sameas is implemented for none, booleans, whole numbers and namespaces only");
}

inline bool number_test(std::string_view name, const Value& value, const Value* argument) {
  const std::optional<std::int64_t> integer = as_integer(value);
  if (!integer) throw BadData("the test '" + std::string(name) + "' needs a whole number");
  if (name != "divisibleby") return (*integer % 2 != 0) == (name == "odd");
  const std::optional<std::int64_t> by = argument == nullptr ? std::nullopt : as_integer(*argument);
  if (!by || *by == 0) throw BadData("the test divisibleby needs a whole number other than 0");
  return *by == -1 || *integer % *by == 0;
}

inline bool type_test(std::string_view name, const Value& value) {
  if (name == "defined") return !value.undefined();
  if (name == "undefined") return value.undefined();
  if (name == "none") return value.none();
  if (name == "boolean") return value.is<bool>();
  if (name == "true" || name == "false") return value.is<bool>() && *value.get_if<bool>() == (name == "true");
  if (name == "integer") return value.is<std::int64_t>();
  if (name == "float") return value.is<double>();
  if (name == "number") return as_number(value).has_value();
  if (name == "string") return value.text() != nullptr;
  if (name == "mapping") return value.is<Dict>();
  if (name == "callable") return value.is<Function>() || value.is<Loop>() || value.undefined();
  const Sequence* sequence = value.get_if<Sequence>();
  const bool basic = value.text() != nullptr || value.is<Dict>() || value.undefined();
  if (name == "iterable") return basic || sequence != nullptr || value.is<Loop>();
  // sequence
  return basic || (sequence != nullptr && (*sequence)->kind != SequenceKind::iterator &&
                   (*sequence)->kind != SequenceKind::view);
}

}  // namespace detail

/// Tells whether `value is name(arguments)`.
/// @throws BadData for a test that does not exist or does not accept its value or arguments; Unsupported for what is
///         not implemented.
inline bool apply_test(const std::string& name, const Value& value, const Arguments& arguments, Budget& budget) {
  if (!has_name(test_names, name)) throw BadData("there is no test '" + name + "'");
  budget.take();
  const Bound given("the test '" + name + "'", arguments, {"other"});
  const Value* other = given[0] ? &*given[0] : nullptr;
  const int compared = detail::comparison_test(name, value, other, budget);
  if (compared >= 0) return compared > 0;
  if (name == "in" || name == "sameas") {
    if (other == nullptr) throw BadData("the test '" + name + "' needs an argument");
    return name == "in" ? contains(*other, value, budget) : detail::same_object(value, *other, budget);
  }
  if (name == "odd" || name == "even" || name == "divisibleby") return detail::number_test(name, value, other);
  if (other != nullptr) throw BadData("the test '" + name + "' takes no argument");
  return detail::type_test(name, value);
}

}  // namespace maestro::jinja
