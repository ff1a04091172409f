#pragma once

/// @file
/// The functions that every template can call.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/text/jinja/access.hpp"
#include "maestro/text/jinja/print.hpp"

namespace maestro::jinja {

/// Day is a day of the Gregorian calendar.
struct Day {
  int year = 2024;
  int month = 7;  ///< 1 .. 12
  int day = 26;   ///< 1 .. 31

  friend bool operator==(const Day&, const Day&) = default;
};

namespace detail {

inline constexpr std::array<std::string_view, 12> month_names{"January",   "February", "March",    "April",
                                                              "May",       "June",     "July",     "August",
                                                              "September", "October",  "November", "December"};
inline constexpr std::array<std::string_view, 7> weekday_names{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                               "Thursday", "Friday", "Saturday"};

constexpr bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }
constexpr int days_in(int year, int month) {
  constexpr std::array<int, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[static_cast<std::size_t>(month - 1)] + (month == 2 && is_leap(year) ? 1 : 0);
}
constexpr int day_of_year(const Day& day) {
  int count = day.day;
  for (int month = 1; month < day.month; ++month) count += days_in(day.year, month);
  return count;
}
/// Gives the day of the week; 0 is Sunday.
constexpr int weekday_of(const Day& day) {
  const int before = day.year - 1;
  return (before * 365 + before / 4 - before / 100 + before / 400 + day_of_year(day)) % 7;
}

inline std::string padded_number(int value, int width, char fill = '0') {
  std::string text = std::to_string(value);
  while (static_cast<int>(text.size()) < width) text.insert(text.begin(), fill);
  return text;
}

/// Gives the text of one strftime directive, at midnight in the C locale.
inline std::string date_part(char32_t type, const Day& day, bool unpadded) {
  const auto number = [&](int value, int width) { return padded_number(value, unpadded ? 0 : width); };
  const std::string_view month = month_names[static_cast<std::size_t>(day.month - 1)];
  const std::string_view weekday = weekday_names[static_cast<std::size_t>(weekday_of(day))];
  switch (type) {
    case 'd':
      return number(day.day, 2);
    case 'e':
      return padded_number(day.day, unpadded ? 0 : 2, ' ');
    case 'm':
      return number(day.month, 2);
    case 'y':
      return number(day.year % 100, 2);
    case 'Y':
      return std::to_string(day.year);
    case 'j':
      return number(day_of_year(day), 3);
    case 'b':
      return std::string(month.substr(0, 3));
    case 'B':
      return std::string(month);
    case 'a':
      return std::string(weekday.substr(0, 3));
    case 'A':
      return std::string(weekday);
    case 'H':
      return number(0, 2);
    case 'I':
      return number(12, 2);
    case 'M':
    case 'S':
      return number(0, 2);
    case 'p':
      return "AM";
    case 'F':
      return std::to_string(day.year) + "-" + padded_number(day.month, 2) + "-" + padded_number(day.day, 2);
    case '%':
      return "%";
    default:
      break;
  }
  throw Unsupported("strftime_now: the directive %" + to_utf8(CharacterView(&type, 1)) + " is not implemented");
}

}  // namespace detail

/// Gives a day in strftime's format, at midnight in the C locale.
/// @throws Unsupported for a directive that is not implemented.
inline Characters date_text(CharacterView format, const Day& day) {
  Characters out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (plain(format[i]) != '%' || i + 1 == format.size()) {
      out.push_back(format[i]);
      continue;
    }
    const bool unpadded = plain(format[i + 1]) == '-' && i + 2 < format.size();
    i += unpadded ? 2 : 1;
    detail::append_ascii(out, detail::date_part(plain(format[i]), day, unpadded));
  }
  return out;
}

namespace detail {

inline constexpr std::array<std::string_view, 6> global_names{"dict",  "joiner",          "namespace",
                                                              "range", "raise_exception", "strftime_now"};

inline Value range(const Arguments& arguments, Budget& budget) {
  const Bound given("range", arguments, {"start", "stop", "step"}, 1);
  if (!arguments.named.empty()) throw BadData("range takes no named arguments");
  const std::int64_t start = given[1] ? given.integer(0, 0) : 0;
  const std::int64_t stop = given.integer(given[1] ? 1 : 0, 0);
  const std::int64_t step = given.integer(2, 1);
  if (step == 0) throw BadData("the step of a range is 0");
  constexpr std::int64_t most = 100000;
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(items.size()) >= most) throw BadData("a range has more than 100000 items");
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  budget.take(4 * items.size());
  return sequence_value(std::move(items), SequenceKind::range);
}

/// Gives the items of dict(...) and namespace(...): those of a dictionary or of pairs, then the named arguments.
inline std::vector<std::pair<Value, Value>> collected_items(const char* callee, const Arguments& arguments,
                                                            Budget& budget) {
  std::vector<std::pair<Value, Value>> items;
  if (arguments.positional.size() > 1) throw BadData(std::string(callee) + " takes at most one argument");
  if (!arguments.positional.empty()) {
    const Value& given = arguments.positional.front();
    if (const Dict* dict = given.get_if<Dict>()) {
      items = (*dict)->items;
      budget.take(items.size());
    } else {
      for (const Value& pair : items_of(given, budget)) {
        const std::vector<Value> both = items_of(pair, budget);
        if (both.size() != 2) throw BadData(std::string(callee) + " needs pairs of a key and a value");
        set_key(items, both[0], both[1], budget);
      }
    }
  }
  for (const auto& [name, value] : arguments.named) set_key(items, text_value(name), value, budget);
  return items;
}

}  // namespace detail

}  // namespace maestro::jinja
