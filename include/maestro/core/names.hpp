#pragma once

/// @file
/// Run-time choice by name, in one place that refuses an unknown name and lists the known ones.

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"

namespace maestro {

/// Joins names to "a, b, c", for --help and for error messages.
inline std::string join_names(std::span<const std::string_view> names) {
  std::string all;
  for (const std::string_view name : names) {
    if (!all.empty()) all += ", ";
    all += name;
  }
  return all;
}

/// Gives the number of steps that turn `a` into `b`. A step inserts, deletes or replaces a character, or swaps two
/// neighbors. O(|a| |b|).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  std::vector<std::size_t> above = row;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    const std::vector<std::size_t> two_above = std::exchange(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({above[j - 1] + (same ? 0 : 1), above[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_above[j - 2] + 1);
    }
  }
  return row[b.size()];
}

/// Gives the name that is probably meant by one that is not in `names`: the nearest by edit distance, and the first of
/// equals. It is empty if the nearest takes more than max(1, name.size() / 3) steps.
inline std::string_view nearest_name(std::string_view name, std::span<const std::string_view> names) {
  std::string_view nearest;
  std::size_t least = std::max<std::size_t>(name.size() / 3, 1) + 1;
  for (const std::string_view known : names) {
    const std::size_t distance = edit_distance(name, known);
    if (distance < least) nearest = known;
    least = std::min(least, distance);
  }
  return nearest;
}

/// Gives the index of `name` in `names`.
/// @param what  what is being chosen, for the message.
/// @throws BadArgument naming the choice, the unknown name, the one that may be meant and the known ones.
inline std::size_t index_of_name(std::string_view what, std::string_view name,
                                 std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return i;
  }
  const std::string_view nearest = nearest_name(name, names);
  throw BadArgument(std::string(what) + ": unknown name '" + std::string(name) + "'; " +
                    (nearest.empty() ? "" : "did you mean '" + std::string(nearest) + "'? ") + "known are " +
                    join_names(names));
}

namespace detail {

/// Gives the name of this function, in which T is spelled out.
template <class T>
constexpr std::string_view name_with_type() {
  return __PRETTY_FUNCTION__;
}

}  // namespace detail

/// Gives the name of T as the compiler spells it, for errors about a user's own type.
template <class T>
constexpr std::string_view type_name() {
  constexpr std::string_view full = detail::name_with_type<T>();
  constexpr std::string_view before = "T = ";
  const std::string_view name = full.substr(full.find(before) + before.size());
  // g++ appends what std::string_view stands for; clang ends here.
  return name.substr(0,
                     name.find("; std::string_view") < name.size() ? name.find("; std::string_view") : name.size() - 1);
}

}  // namespace maestro
