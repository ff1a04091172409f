#pragma once

/// @file
/// Operators on values, with Python's semantics.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/jinja/budget.hpp"
#include "maestro/text/jinja/value.hpp"

namespace maestro::jinja {

/// Refuses an undefined value.
/// @throws BadData with the message of the value.
inline void check_defined(const Value& value) {
  if (const Undefined* undefined = value.get_if<Undefined>()) throw BadData(*undefined->message);
}

/// Tells whether a value counts as true.
inline bool truth(const Value& value) {
  if (value.undefined() || value.none()) return false;
  if (const bool* flag = value.get_if<bool>()) return *flag;
  if (const std::int64_t* integer = value.get_if<std::int64_t>()) return *integer != 0;
  if (const double* real = value.get_if<double>()) return *real != 0.0;
  if (const Characters* text = value.text()) return !text->empty();
  if (const Dict* dict = value.get_if<Dict>()) return !(*dict)->items.empty();
  if (const Sequence* sequence = value.get_if<Sequence>()) {
    return (*sequence)->kind == SequenceKind::iterator || !(*sequence)->items.empty();
  }
  return true;
}

/// Gives a value as a whole number; a bool is one. The result is nullopt for other types.
inline std::optional<std::int64_t> as_integer(const Value& value) {
  if (const bool* flag = value.get_if<bool>()) return *flag ? 1 : 0;
  if (const std::int64_t* integer = value.get_if<std::int64_t>()) return *integer;
  return std::nullopt;
}
inline std::optional<double> as_number(const Value& value) {
  if (const double* real = value.get_if<double>()) return *real;
  const std::optional<std::int64_t> integer = as_integer(value);
  return integer ? std::optional(static_cast<double>(*integer)) : std::nullopt;
}

/// Tells whether a == b.
inline bool equal(const Value& a, const Value& b, Budget& budget) {
  budget.take();
  if (a.undefined() || b.undefined()) return a.undefined() && b.undefined();
  if (a.none() || b.none()) return a.none() && b.none();
  const Characters* text = a.text();
  if (text != nullptr || b.text() != nullptr) {
    if (text == nullptr || b.text() == nullptr) return false;
    if (text->size() == b.text()->size()) budget.take_text(text->size());
    return same_text(*text, *b.text());
  }
  if (as_integer(a) && as_integer(b)) return *as_integer(a) == *as_integer(b);
  if (as_number(a) && as_number(b)) return *as_number(a) == *as_number(b);
  if (a.held().index() != b.held().index()) return false;
  if (const Sequence* left = a.get_if<Sequence>()) {
    const SequenceData& x = **left;
    const SequenceData& y = **b.get_if<Sequence>();
    if (&x == &y) return true;
    if (x.kind != y.kind || x.kind == SequenceKind::iterator) return false;
    if (x.kind == SequenceKind::view) throw Unsupported("to compare dictionary views is not implemented");
    return std::equal(x.items.begin(), x.items.end(), y.items.begin(), y.items.end(),
                      [&](const Value& p, const Value& q) { return equal(p, q, budget); });
  }
  if (const Dict* left = a.get_if<Dict>()) {
    const DictData& x = **left;
    const DictData& y = **b.get_if<Dict>();
    if (x.items.size() != y.items.size()) return false;
    return std::all_of(x.items.begin(), x.items.end(), [&](const auto& item) {
      for (const auto& [key, value] : y.items) {
        if (equal(item.first, key, budget)) return equal(item.second, value, budget);
      }
      return false;
    });
  }
  if (const auto* space = a.get_if<NamespaceData*>()) return *space == *b.get_if<NamespaceData*>();
  if (const Function* function = a.get_if<Function>()) return *function == *b.get_if<Function>();
  return false;
}

/// Tells whether a < b.
/// @throws BadData for types without an order.
inline bool less(const Value& a, const Value& b, Budget& budget) {
  budget.take();
  check_defined(a);
  check_defined(b);
  if (a.text() != nullptr && b.text() != nullptr) {
    budget.take_text(std::min(a.text()->size(), b.text()->size()));
    return text_before(*a.text(), *b.text());
  }
  if (as_integer(a) && as_integer(b)) return *as_integer(a) < *as_integer(b);
  if (as_number(a) && as_number(b)) return *as_number(a) < *as_number(b);
  const Sequence* x = a.get_if<Sequence>();
  const Sequence* y = b.get_if<Sequence>();
  const bool ordered = x != nullptr && y != nullptr && (*x)->kind == (*y)->kind &&
                       ((*x)->kind == SequenceKind::list || (*x)->kind == SequenceKind::tuple);
  if (!ordered) throw BadData("values of type " + type_name(a) + " and " + type_name(b) + " have no order");
  for (std::size_t i = 0; i < (*x)->items.size() && i < (*y)->items.size(); ++i) {
    if (!equal((*x)->items[i], (*y)->items[i], budget)) return less((*x)->items[i], (*y)->items[i], budget);
  }
  return (*x)->items.size() < (*y)->items.size();
}

/// Sorts items; equal ones keep their order.
template <class Items, class Less>
void sort_values(Items& items, Less&& before) {
  std::stable_sort(items.begin(), items.end(), before);
}

/// Refuses a value that cannot be a key.
/// @throws BadData naming its type.
inline void check_key(const Value& key) {
  const Sequence* sequence = key.get_if<Sequence>();
  const bool list = sequence != nullptr && (*sequence)->kind == SequenceKind::list;
  if (list || key.is<Dict>()) throw BadData("a value of type " + type_name(key) + " cannot be a key");
}
/// Gives the value of a key; nullptr if there is none.
inline const Value* find_key(const DictData& dict, const Value& key, Budget& budget) {
  check_key(key);
  for (const auto& [name, value] : dict.items) {
    if (equal(name, key, budget)) return &value;
  }
  return nullptr;
}
/// Adds a key, or replaces its value.
inline void set_key(std::vector<std::pair<Value, Value>>& items, Value key, Value value, Budget& budget) {
  check_key(key);
  for (auto& [name, old] : items) {
    if (!equal(name, key, budget)) continue;
    old = std::move(value);
    return;
  }
  items.emplace_back(std::move(key), std::move(value));
}

/// Gives the items over which a loop runs. An iterator is then used up.
/// @throws BadData for a value without items.
inline std::vector<Value> items_of(const Value& value, Budget& budget) {
  std::vector<Value> items;
  if (value.undefined()) return items;
  if (const Characters* text = value.text()) {
    budget.take(16 * text->size());
    for (const char32_t c : *text) items.emplace_back(Characters(1, c));
  } else if (const Sequence* sequence = value.get_if<Sequence>()) {
    const SequenceData& data = **sequence;
    budget.take(4 * data.items.size());
    items.assign(data.items.begin() + static_cast<std::ptrdiff_t>(data.read), data.items.end());
    if (data.kind == SequenceKind::iterator) data.read = data.items.size();
  } else if (const Dict* dict = value.get_if<Dict>()) {
    budget.take(4 * (*dict)->items.size());
    for (const auto& item : (*dict)->items) items.push_back(item.first);
  } else {
    throw BadData("a value of type " + type_name(value) + " cannot be looped over");
  }
  return items;
}

/// Tells whether part is in whole.
inline bool contains(const Value& whole, const Value& part, Budget& budget) {
  if (const Characters* text = whole.text()) {
    if (part.text() == nullptr) throw BadData("'in' a text needs a text, not a value of type " + type_name(part));
    budget.take_search(text->size(), part.text()->size());
    return find_text(*text, *part.text()) != CharacterView::npos;
  }
  if (const Dict* dict = whole.get_if<Dict>()) return find_key(**dict, part, budget) != nullptr;
  const std::vector<Value> items = items_of(whole, budget);
  return std::any_of(items.begin(), items.end(), [&](const Value& item) { return equal(item, part, budget); });
}

/// Gives len(value).
/// @throws BadData for a value without a length.
inline std::size_t length_of(const Value& value) {
  if (value.undefined()) return 0;
  if (const Characters* text = value.text()) return text->size();
  if (const Dict* dict = value.get_if<Dict>()) return (*dict)->items.size();
  const Sequence* sequence = value.get_if<Sequence>();
  if (sequence != nullptr && (*sequence)->kind != SequenceKind::iterator) return (*sequence)->items.size();
  throw BadData("a value of type " + type_name(value) + " has no length");
}

namespace detail {

[[noreturn]] inline void fail_operator(const std::string& name, const Value& a, const Value& b) {
  throw BadData("the operator " + name + " does not take values of type " + type_name(a) + " and " + type_name(b));
}
[[noreturn]] inline void fail_size() { throw Unsupported("whole numbers beyond 64 bits are not implemented"); }

inline Value repeated(const Value& what, std::int64_t count, Budget& budget) {
  const auto times = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
  const std::size_t size = length_of(what);
  if (size > 0 && times > (std::size_t{1} << 26) / size) throw BadData("a value is repeated too often");
  if (const Characters* text = what.text()) {
    budget.take_text(size * times);
    Characters out;
    out.reserve(size * times);
    for (std::size_t i = 0; size > 0 && i < times; ++i) out += *text;
    return Value(std::move(out));
  }
  budget.take(4 * size * times);
  const SequenceData& data = **what.get_if<Sequence>();
  std::vector<Value> items;
  for (std::size_t i = 0; size > 0 && i < times; ++i) items.insert(items.end(), data.items.begin(), data.items.end());
  return sequence_value(std::move(items), data.kind);
}

inline bool repeatable(const Value& value) {
  const Sequence* sequence = value.get_if<Sequence>();
  return value.text() != nullptr ||
         (sequence != nullptr && ((*sequence)->kind == SequenceKind::list || (*sequence)->kind == SequenceKind::tuple));
}

inline Value integer_result(const std::string& name, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (name == "+" && !__builtin_add_overflow(a, b, &result)) return Value(result);
  if (name == "-" && !__builtin_sub_overflow(a, b, &result)) return Value(result);
  if (name == "*" && !__builtin_mul_overflow(a, b, &result)) return Value(result);
  if (name == "/" || name == "//" || name == "%") {
    if (b == 0) throw BadData("a number is divided by zero");
    if (name == "/") return Value(static_cast<double>(a) / static_cast<double>(b));
    if (b == -1) return name == "%" ? Value(std::int64_t{0}) : integer_result("-", 0, a);
    const std::int64_t rest = a % b;
    const bool adjust = rest != 0 && (rest < 0) != (b < 0);
    return name == "%" ? Value(adjust ? rest + b : rest) : Value(a / b - (adjust ? 1 : 0));
  }
  if (name == "**") {
    if (b < 0) return Value(std::pow(static_cast<double>(a), static_cast<double>(b)));
    result = 1;
    for (std::int64_t i = 0; i < b; ++i) {
      if (__builtin_mul_overflow(result, a, &result)) fail_size();
      if (result == 0 || (result == 1 && a == 1)) break;
      if (a == -1) return Value(std::int64_t{b % 2 == 0 ? 1 : -1});
    }
    return Value(result);
  }
  fail_size();
}

inline Value real_result(const std::string& name, double a, double b) {
  if (name == "+") return Value(a + b);
  if (name == "-") return Value(a - b);
  if (name == "*") return Value(a * b);
  if (name == "**") return Value(std::pow(a, b));
  if (b == 0.0) throw BadData("a number is divided by zero");
  if (name == "/") return Value(a / b);
  double rest = std::fmod(a, b);
  if (rest != 0.0 && (rest < 0) != (b < 0)) rest += b;
  if (name == "%") return Value(rest);
  return Value(std::floor((a - rest) / b + 0.5));
}

}  // namespace detail

/// Gives the result of the arithmetic operator `name` on a and b.
/// @throws BadData for types that do not fit; Unsupported for whole numbers beyond 64 bits.
inline Value arithmetic(const std::string& name, const Value& a, const Value& b, Budget& budget) {
  check_defined(a);
  check_defined(b);
  const std::optional<std::int64_t> x = as_integer(a);
  const std::optional<std::int64_t> y = as_integer(b);
  if (x && y) return detail::integer_result(name, *x, *y);
  if (as_number(a) && as_number(b)) return detail::real_result(name, *as_number(a), *as_number(b));
  if (name == "*" && detail::repeatable(a) && y) return detail::repeated(a, *y, budget);
  if (name == "*" && detail::repeatable(b) && x) return detail::repeated(b, *x, budget);
  if (name != "+") detail::fail_operator(name, a, b);
  const Text* left = a.get_if<Text>();
  const Text* right = b.get_if<Text>();
  if (left != nullptr && right != nullptr) {
    if (left->safe != right->safe) throw Unsupported("a text of the filter safe with another text is not implemented");
    budget.take_text(left->view().size() + right->view().size());
    Characters out(left->view());
    out += right->view();
    return Value(Text{std::make_shared<const Characters>(std::move(out)), left->safe});
  }
  const Sequence* p = a.get_if<Sequence>();
  const Sequence* q = b.get_if<Sequence>();
  if (p == nullptr || q == nullptr || (*p)->kind != (*q)->kind || !detail::repeatable(a)) {
    detail::fail_operator(name, a, b);
  }
  budget.take(4 * ((*p)->items.size() + (*q)->items.size()));
  std::vector<Value> items = (*p)->items;
  items.insert(items.end(), (*q)->items.begin(), (*q)->items.end());
  return sequence_value(std::move(items), (*p)->kind);
}

/// Gives value[begin:end:step].
/// @throws BadData for bounds that are not whole numbers, or a step of 0.
inline Value slice(const Value& value, const Value& begin, const Value& end, const Value& step_value, Budget& budget) {
  const auto bound = [&](const Value& given, std::int64_t otherwise) {
    if (given.none()) return otherwise;
    const std::optional<std::int64_t> integer = as_integer(given);
    if (!integer) throw BadData("a slice needs whole numbers, not a value of type " + type_name(given));
    return std::clamp<std::int64_t>(*integer, -(std::int64_t{1} << 40), std::int64_t{1} << 40);
  };
  const auto size = static_cast<std::int64_t>(length_of(value));
  const std::int64_t step = bound(step_value, 1);
  if (step == 0) throw BadData("the step of a slice is 0");
  const std::int64_t low = step > 0 ? 0 : -1;
  const std::int64_t high = step > 0 ? size : size - 1;
  const auto place = [&](const Value& given, std::int64_t otherwise) {
    if (given.none()) return otherwise;
    const std::int64_t at = bound(given, 0);
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  const std::int64_t first = place(begin, step > 0 ? low : high);
  const std::int64_t last = place(end, step > 0 ? high : low);
  Characters text;
  std::vector<Value> items;
  const Sequence* sequence = value.get_if<Sequence>();
  budget.take(static_cast<std::size_t>(size) / (sequence == nullptr ? 4 : 1) + 1);
  for (std::int64_t i = first; step > 0 ? i < last : i > last; i += step) {
    const auto index = static_cast<std::size_t>(i);
    if (sequence == nullptr) {
      text.push_back((*value.text())[index]);
    } else {
      items.push_back((*sequence)->items[index]);
    }
  }
  if (sequence == nullptr) {
    return Value(Text{std::make_shared<const Characters>(std::move(text)), value.get_if<Text>()->safe});
  }
  return sequence_value(std::move(items), (*sequence)->kind);
}

}  // namespace maestro::jinja
