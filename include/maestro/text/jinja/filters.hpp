#pragma once

/// @file
/// The filters of sequences, and the table of all filters.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/text/jinja/tests.hpp"
#include "maestro/text/jinja/text_filters.hpp"

namespace maestro::jinja {

/// Gives `input | name(arguments)`.
/// @throws BadData for a filter that does not exist or does not accept its input or arguments; Unsupported for what is
///         not implemented.
Value apply_filter(const std::string& name, const Value& input, const Arguments& arguments, Budget& budget);

namespace detail {

/// Gives the value at a path such as "a.b.0".
inline Value path_of(Value value, const Value& path, Budget& budget) {
  if (path.none()) return value;
  if (path.text() == nullptr) return element_of(value, path, budget);
  CharacterView rest = *path.text();
  for (;;) {
    const std::size_t dot = std::min(find_text(rest, U"."), rest.size());
    const CharacterView name = rest.substr(0, dot);
    const bool index = !name.empty() && name.size() < 10 && std::all_of(name.begin(), name.end(), is_digit);
    value = element_of(value, index ? Value(*parse_integer(name)) : Value(Characters(name)), budget);
    if (dot == rest.size()) return value;
    rest.remove_prefix(dot + 1);
  }
}
inline Value lowered(const Value& value, Budget& budget) {
  if (value.text() == nullptr) return value;
  budget.take_text(value.text()->size());
  return Value(mapped(*value.text(), lower_case));
}
inline Value iterator(std::vector<Value> items) { return sequence_value(std::move(items), SequenceKind::iterator); }

/// Gives the keys by which sort, min, max, unique and dictsort compare items.
inline std::vector<std::pair<Value, Value>> keyed(const std::vector<Value>& items, const Value& path, bool exact,
                                                  Budget& budget) {
  std::vector<std::pair<Value, Value>> result;
  budget.take(8 * items.size());
  for (const Value& item : items) {
    const Value key = path_of(item, path, budget);
    result.emplace_back(exact ? key : lowered(key, budget), item);
  }
  return result;
}
inline std::vector<Value> sorted_items(std::vector<std::pair<Value, Value>> items, bool reverse, Budget& budget) {
  sort_values(items, [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first, budget) : less(a.first, b.first, budget);
  });
  std::vector<Value> result;
  for (auto& item : items) result.push_back(std::move(item.second));
  return result;
}

inline Value filter_sort(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"reverse", "case_sensitive", "attribute"});
  const Value path = given[2].value_or(Value());
  if (path.text() != nullptr && find_text(*path.text(), U",") != CharacterView::npos) {
    throw Unsupported("sort by several attributes is not implemented");
  }
  const std::vector<Value> items = items_of(call.input, call.budget);
  return sequence_value(sorted_items(keyed(items, path, given.flag(1), call.budget), given.flag(0), call.budget));
}
inline Value filter_dictsort(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"case_sensitive", "by", "reverse"});
  const Dict* dict = call.input.get_if<Dict>();
  check_defined(call.input);
  if (dict == nullptr) throw BadData("dictsort needs a dictionary, not a value of type " + type_name(call.input));
  const std::string by = given[1] ? to_utf8(given.text(1)) : "key";
  if (by != "key" && by != "value") throw BadData("dictsort: by must be key or value");
  std::vector<Value> items;
  for (const auto& [key, value] : (*dict)->items) items.push_back(sequence_value({key, value}, SequenceKind::tuple));
  const Value place(std::int64_t{by == "key" ? 0 : 1});
  return sequence_value(sorted_items(keyed(items, place, given.flag(0), call.budget), given.flag(2), call.budget));
}
inline Value filter_extreme(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"case_sensitive", "attribute"});
  const auto items = keyed(items_of(call.input, call.budget), given[1].value_or(Value()), given.flag(0), call.budget);
  if (items.empty()) return undefined_value("there is no item to aggregate, the sequence is empty");
  const std::pair<Value, Value>* best = &items.front();
  for (const auto& item : items) {
    const bool better =
        call.name == "min" ? less(item.first, best->first, call.budget) : less(best->first, item.first, call.budget);
    if (better) best = &item;
  }
  return best->second;
}
inline Value filter_unique(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"case_sensitive", "attribute"});
  std::vector<Value> seen;
  std::vector<Value> items;
  const auto keys = keyed(items_of(call.input, call.budget), given[1].value_or(Value()), given.flag(0), call.budget);
  for (const std::pair<Value, Value>& keyed_item : keys) {
    check_key(keyed_item.first);
    const auto same = [&](const Value& other) { return equal(other, keyed_item.first, call.budget); };
    if (std::any_of(seen.begin(), seen.end(), same)) continue;
    seen.push_back(keyed_item.first);
    items.push_back(keyed_item.second);
  }
  return iterator(std::move(items));
}

inline Value filter_sum(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"attribute", "start"});
  Value sum = given[1].value_or(Value(std::int64_t{0}));
  if (sum.text() != nullptr) throw BadData("sum does not add texts; use the filter join");
  for (const Value& item : items_of(call.input, call.budget)) {
    sum = arithmetic("+", sum, path_of(item, given[0].value_or(Value()), call.budget), call.budget);
  }
  return sum;
}
inline Value filter_join(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"d", "attribute"});
  std::vector<Value> items = items_of(call.input, call.budget);
  if (given.given(1)) {
    for (Value& item : items) item = path_of(item, *given[1], call.budget);
  }
  const Characters separator = given[0] ? printed(*given[0], call.budget) : Characters();
  return Value(joined(separator, items, call.budget));
}

inline Value filter_end(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  const Sequence* sequence = call.input.get_if<Sequence>();
  const bool reads = sequence != nullptr && (*sequence)->kind == SequenceKind::iterator;
  if (reads && call.name == "first") {
    if ((*sequence)->read == (*sequence)->items.size()) return undefined_value("the sequence is empty");
    return (*sequence)->items[(*sequence)->read++];
  }
  if ((reads || call.input.undefined()) && call.name == "last") {
    check_defined(call.input);
    throw BadData("the filter last cannot read an iterator from its end; use the filter list before it");
  }
  if (const Characters* text = call.input.text(); text != nullptr && !text->empty()) {
    return Value(Characters(1, call.name == "first" ? text->front() : text->back()));
  }
  const std::vector<Value> items = items_of(call.input, call.budget);
  if (items.empty()) return undefined_value("the sequence is empty");
  return call.name == "first" ? items.front() : items.back();
}
inline Value filter_length(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  return integer_value(length_of(call.input));
}
inline Value filter_list(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  return sequence_value(items_of(call.input, call.budget));
}
inline Value filter_reverse(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  if (const Text* text = call.input.get_if<Text>()) {
    call.budget.take_text(text->view().size());
    return part(*text, Characters(text->view().rbegin(), text->view().rend()));
  }
  const Sequence* sequence = call.input.get_if<Sequence>();
  const bool again = sequence != nullptr && (*sequence)->kind == SequenceKind::iterator;
  std::vector<Value> items = items_of(call.input, call.budget);
  std::reverse(items.begin(), items.end());
  return again ? sequence_value(std::move(items)) : iterator(std::move(items));
}
inline Value filter_items(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  if (call.input.undefined()) return iterator({});
  if (!call.input.is<Dict>()) throw BadData("items needs a dictionary, not a value of type " + type_name(call.input));
  return iterator(items_of(dict_method(call.input, "items", {}, call.budget), call.budget));
}
inline Value filter_default(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"default_value", "boolean"});
  const bool missing = call.input.undefined() || (given.flag(1) && !truth(call.input));
  return missing ? given[0].value_or(Value(Characters())) : call.input;
}

inline Value filter_batch(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"linecount", "fill_with"}, 1);
  const std::int64_t count = given.integer(0, 1);
  if (count < 1) throw BadData("batch needs a size of 1 or more");
  std::vector<Value> batches;
  std::vector<Value> batch;
  const auto close = [&] { batches.push_back(sequence_value(std::exchange(batch, {}))); };
  for (const Value& item : items_of(call.input, call.budget)) {
    if (static_cast<std::int64_t>(batch.size()) == count) close();
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (given.given(1)) call.budget.take(static_cast<std::size_t>(count) * 4);
    while (given.given(1) && static_cast<std::int64_t>(batch.size()) < count) batch.push_back(*given[1]);
    close();
  }
  return iterator(std::move(batches));
}
inline Value filter_slice(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"slices", "fill_with"}, 1);
  const std::int64_t count = given.integer(0, 1);
  if (count < 1 || count > 100000) throw BadData("slice needs a count of 1 to 100000");
  call.budget.take(static_cast<std::size_t>(count) * 8);
  const std::vector<Value> items = items_of(call.input, call.budget);
  const std::size_t each = items.size() / static_cast<std::size_t>(count);
  const std::size_t longer = items.size() % static_cast<std::size_t>(count);
  std::vector<Value> slices;
  std::size_t at = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const std::size_t end = at + each + (i < longer ? 1 : 0);
    std::vector<Value> one(items.begin() + static_cast<std::ptrdiff_t>(at),
                           items.begin() + static_cast<std::ptrdiff_t>(end));
    if (given.given(1) && i >= longer) one.push_back(*given[1]);
    slices.push_back(sequence_value(std::move(one)));
    at = end;
  }
  return iterator(std::move(slices));
}

/// Removes the first positional argument from the arguments and gives it.
inline Value take_first(Arguments& arguments, const std::string& what) {
  if (arguments.positional.empty()) throw BadData(what);
  Value first = std::move(arguments.positional.front());
  arguments.positional.erase(arguments.positional.begin());
  return first;
}
inline std::string name_in(const Value& value) {
  if (value.text() == nullptr) throw BadData("the name of a filter or test must be a text");
  return to_utf8(*value.text());
}

inline Value filter_map(const FilterCall& call) {
  std::vector<Value> items;
  if (!truth(call.input)) return iterator({});
  Arguments rest = call.arguments;
  if (rest.positional.empty()) {
    const Bound given(call.name, call.arguments, {"attribute", "default"}, 1);
    for (const Value& item : items_of(call.input, call.budget)) {
      Value value = path_of(item, *given[0], call.budget);
      items.push_back(value.undefined() && given.given(1) ? *given[1] : std::move(value));
    }
  } else {
    const std::string name = name_in(take_first(rest, ""));
    for (const Value& item : items_of(call.input, call.budget)) {
      items.push_back(apply_filter(name, item, rest, call.budget));
    }
  }
  return iterator(std::move(items));
}
/// Applies select, reject, selectattr and rejectattr.
inline Value filter_select(const FilterCall& call) {
  if (!truth(call.input)) return iterator({});
  Arguments rest = call.arguments;
  const bool by_attribute = call.name.ends_with("attr");
  const bool keep = call.name.starts_with("select");
  const Value path = by_attribute ? take_first(rest, call.name + " needs the name of an attribute") : Value();
  const bool tests = !rest.positional.empty();
  const std::string test = tests ? name_in(take_first(rest, "")) : std::string();
  std::vector<Value> items;
  for (const Value& item : items_of(call.input, call.budget)) {
    const Value value = path_of(item, path, call.budget);
    const bool holds = tests ? apply_test(test, value, rest, call.budget) : truth(value);
    if (holds == keep) items.push_back(item);
  }
  return iterator(std::move(items));
}

using FilterFunction = Value (*)(const FilterCall&);
struct NamedFilter {
  std::string_view name;
  FilterFunction function;
};
inline constexpr std::array<NamedFilter, 39> filters{
    {{"abs", filter_abs},         {"batch", filter_batch},       {"capitalize", filter_case},
     {"center", filter_center},   {"count", filter_length},      {"d", filter_default},
     {"default", filter_default}, {"dictsort", filter_dictsort}, {"first", filter_end},
     {"float", filter_float},     {"format", filter_format},     {"indent", filter_indent},
     {"int", filter_int},         {"items", filter_items},       {"join", filter_join},
     {"last", filter_end},        {"length", filter_length},     {"list", filter_list},
     {"lower", filter_case},      {"map", filter_map},           {"max", filter_extreme},
     {"min", filter_extreme},     {"reject", filter_select},     {"rejectattr", filter_select},
     {"replace", filter_replace}, {"reverse", filter_reverse},   {"round", filter_round},
     {"safe", filter_safe},       {"select", filter_select},     {"selectattr", filter_select},
     {"slice", filter_slice},     {"sort", filter_sort},         {"string", filter_string},
     {"sum", filter_sum},         {"title", filter_case},        {"tojson", filter_tojson},
     {"trim", filter_trim},       {"unique", filter_unique},     {"upper", filter_case}}};

inline FilterFunction find_filter(std::string_view name) {
  for (const NamedFilter& filter : filters) {
    if (filter.name == name) return filter.function;
  }
  return nullptr;
}

}  // namespace detail

inline Value apply_filter(const std::string& name, const Value& input, const Arguments& arguments, Budget& budget) {
  const detail::FilterFunction function = detail::find_filter(name);
  if (has_name(missing_filters, name)) throw Unsupported("the filter '" + name + "' is not implemented");
  if (function == nullptr) throw BadData("there is no filter '" + name + "'");
  budget.take();
  return function({name, input, arguments, budget});
}

}  // namespace maestro::jinja
