#pragma once

/// @file
/// The filters of texts and numbers.

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/text/jinja/methods.hpp"

namespace maestro::jinja::detail {

/// FilterCall holds the input and the arguments of a filter.
struct FilterCall {
  const std::string& name;
  const Value& input;
  const Arguments& arguments;
  Budget& budget;
};

/// Gives the input as a text, which keeps the mark of the filter safe.
inline Text text_of(const FilterCall& call) {
  if (const Text* text = call.input.get_if<Text>()) return *text;
  return {std::make_shared<const Characters>(printed(call.input, call.budget)), false};
}

inline Value filter_case(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  const Text text = text_of(call);
  call.budget.take_text(text.view().size());
  if (call.name != "title") return text_case(text, call.name);
  // Words begin behind white space and some signs.
  static constexpr CharacterView beginnings = U"-({[<";
  Characters out(text.view());
  bool inside = false;
  for (char32_t& c : out) {
    const bool between = is_space(c) || beginnings.find(plain(c)) != CharacterView::npos;
    c = inside && !between ? lower_case(c) : upper_case(c);
    inside = !between;
  }
  return part(text, out);
}

inline Value filter_trim(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"chars"});
  const Text text = text_of(call);
  const CharacterView chars = given.given(0) ? given.text(0) : CharacterView();
  call.budget.take_search(text.view().size(), chars.size());
  return part(text, stripped(text.view(), Ends::both, given.given(0) ? &chars : nullptr));
}

inline Value filter_string(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  return Value(Value::Held(text_of(call)));
}
inline Value filter_safe(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  Text text = text_of(call);
  text.safe = true;
  return Value(Value::Held(std::move(text)));
}

inline Value filter_replace(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"old", "new", "count"}, 2);
  const Characters from = printed(*given[0], call.budget);
  const Characters to = printed(*given[1], call.budget);
  const std::int64_t count = given.given(2) ? given.integer(2, -1) : -1;
  return Value(replaced(printed(call.input, call.budget), from, to, count, call.budget));
}

inline Value filter_indent(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"width", "first", "blank"});
  if (call.input.text() == nullptr) throw BadData("indent needs a text, not a value of type " + type_name(call.input));
  const bool by_text = given[0] && given[0]->text() != nullptr;
  const std::int64_t width = by_text ? 0 : given.integer(0, 4);
  call.budget.take_text(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)));
  const Characters indent =
      by_text ? *given[0]->text() : Characters(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), U' ');
  Characters text = *call.input.text();
  text.push_back('\n');
  Characters out = given.flag(1) ? indent : Characters();
  bool begins = true;
  for (const CharacterView line : lines_of(text, false)) {
    if (!begins) {
      out.push_back('\n');
      if (!line.empty() || given.flag(2)) out += indent;
    }
    begins = false;
    call.budget.take_text(line.size() + indent.size());
    out += line;
  }
  return Value(std::move(out));
}

inline Value filter_center(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"width"});
  Arguments width;
  width.positional.push_back(Value(given.integer(0, 80)));
  return padded(text_of(call), "center", Bound("center", width, {"width", "fillchar"}), call.budget);
}

/// Gives the result of the filter format: text % arguments, with %s, %d and %%.
inline Value percent_format(CharacterView text, const std::vector<Value>& arguments, Budget& budget) {
  Characters out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (plain(text[i]) != '%') {
      out.push_back(text[i]);
      continue;
    }
    const char32_t type = i + 1 < text.size() ? plain(text[i + 1]) : 0;
    ++i;
    if (type == '%') {
      out.push_back('%');
      continue;
    }
    if (type != 's' && type != 'd') throw Unsupported("only %s, %d and %% are implemented in formats");
    if (next >= arguments.size()) throw BadData("a format has more places than arguments");
    const Value& value = arguments[next++];
    if (type == 'd' && !as_integer(value)) {
      if (!value.is<double>()) throw BadData("%d needs a number");
      throw Unsupported("%d with a real number is not implemented");
    }
    print_value(out, type == 'd' ? Value(*as_integer(value)) : value, budget);
  }
  if (next < arguments.size()) throw BadData("a format has fewer places than arguments");
  budget.take_text(out.size());
  return Value(std::move(out));
}
inline Value filter_format(const FilterCall& call) {
  if (!call.arguments.named.empty()) throw Unsupported("the filter format with named arguments is not implemented");
  return percent_format(printed(call.input, call.budget), call.arguments.positional, call.budget);
}

inline Value filter_tojson(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style{.ascii = given.flag(0), .sorted = given.flag(3), .lines = given.given(1)};
  if (given.given(1)) {
    style.item = U",";
    if (given[1]->text() != nullptr) {
      style.indent = *given[1]->text();
    } else {
      const std::int64_t width = std::max<std::int64_t>(given.integer(1, 0), 0);
      if (width > 1000) throw BadData("tojson: an indent of more than 1000 characters");
      style.indent = Characters(static_cast<std::size_t>(width), U' ');
    }
  }
  if (given.given(2)) {
    const std::vector<Value> pair = items_of(*given[2], call.budget);
    if (pair.size() != 2 || pair[0].text() == nullptr || pair[1].text() == nullptr) {
      throw BadData("tojson: separators must be two texts");
    }
    style.item = *pair[0].text();
    style.key = *pair[1].text();
  }
  return Value(json_text(call.input, style, call.budget));
}

/// Gives Python's float(text); nullopt if it is not a number.
inline std::optional<double> parse_real(CharacterView text) {
  std::string digits;
  bool digit_before = false;
  const CharacterView body = stripped(text, Ends::both);
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char32_t c = plain(body[i]);
    if (c == '_' && digit_before && i + 1 < body.size() && is_digit(body[i + 1])) continue;
    if (c >= 0x80) return std::nullopt;
    digit_before = is_digit(c);
    digits.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c));
  }
  const bool negative = digits.starts_with('-');
  std::string_view rest(digits);
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  for (const std::string_view name : {"inf", "infinity", "nan"}) {
    if (rest != name) continue;
    return name == "nan" ? std::nan("") : negative ? -HUGE_VAL : HUGE_VAL;
  }
  if (rest.empty() || rest.find_first_not_of("0123456789.e+-") != std::string_view::npos) return std::nullopt;
  if (rest.front() == '+' || rest.front() == '-') return std::nullopt;
  char* end = nullptr;
  const std::string number(rest);
  const double value = std::strtod(number.c_str(), &end);
  if (*end != '\0') return std::nullopt;
  return negative ? -value : value;
}
/// Gives Python's int(text) in base 10; nullopt if it is not a whole number.
/// @throws Unsupported beyond 64 bits.
inline std::optional<std::int64_t> parse_integer(CharacterView text) {
  std::string digits;
  const CharacterView body = stripped(text, Ends::both);
  for (std::size_t i = 0; i < body.size(); ++i) {
    const char32_t c = plain(body[i]);
    const bool sign = i == 0 && (c == '-' || c == '+');
    const bool group = c == '_' && i > 0 && is_digit(body[i - 1]) && i + 1 < body.size() && is_digit(body[i + 1]);
    if (!sign && !group && !is_digit(c)) return std::nullopt;
    if (!group && c != '+') digits.push_back(static_cast<char>(c));
  }
  if (digits.empty() || digits == "-") return std::nullopt;
  std::int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec == std::errc::result_out_of_range) fail_size();
  return value;
}

inline std::optional<std::int64_t> whole_part(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::abs(value) >= 9.2e18) fail_size();
  return static_cast<std::int64_t>(value);
}

inline Value filter_int(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"default", "base"});
  if (given.integer(1, 10) != 10) throw Unsupported("the filter int with another base than 10 is not implemented");
  check_defined(call.input);
  std::optional<std::int64_t> value = as_integer(call.input);
  if (const double* real = call.input.get_if<double>()) {
    if (std::isinf(*real)) throw BadData("an infinite number is no whole number");
    value = whole_part(*real);
  }
  if (const Characters* text = call.input.text()) {
    value = parse_integer(*text);
    const std::optional<double> real = value ? std::nullopt : parse_real(*text);
    if (real) value = whole_part(*real);
  }
  return value ? Value(*value) : given[0].value_or(Value(std::int64_t{0}));
}
inline Value filter_float(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"default"});
  check_defined(call.input);
  std::optional<double> value = as_number(call.input);
  if (const Characters* text = call.input.text()) value = parse_real(*text);
  return value ? Value(*value) : given[0].value_or(Value(0.0));
}

inline Value filter_abs(const FilterCall& call) {
  const Bound none(call.name, call.arguments, {});
  if (const std::optional<std::int64_t> integer = as_integer(call.input)) {
    return *integer < 0 ? arithmetic("-", Value(std::int64_t{0}), Value(*integer), call.budget) : Value(*integer);
  }
  if (const double* real = call.input.get_if<double>()) return Value(std::abs(*real));
  check_defined(call.input);
  throw BadData("abs needs a number, not a value of type " + type_name(call.input));
}

inline Value filter_round(const FilterCall& call) {
  const Bound given(call.name, call.arguments, {"precision", "method"});
  const std::int64_t digits = given.integer(0, 0);
  const std::string method = given[1] ? to_utf8(given.text(1)) : "common";
  check_defined(call.input);
  const std::optional<double> number = as_number(call.input);
  if (!number) throw BadData("round needs a number, not a value of type " + type_name(call.input));
  if (digits < 0 || digits > 20) throw Unsupported("round to fewer than 0 or more than 20 digits is not implemented");
  if (method == "common") {
    if (as_integer(call.input)) return Value(*as_integer(call.input));
    char buffer[400];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), *number);
    return Value(std::strtod(buffer, nullptr));
  }
  if (method != "ceil" && method != "floor") throw BadData("the method of round must be common, ceil or floor");
  const double scale = std::pow(10.0, static_cast<double>(digits));
  return Value((method == "ceil" ? std::ceil(*number * scale) : std::floor(*number * scale)) / scale);
}

}  // namespace maestro::jinja::detail
