#pragma once

/// @file
/// Run-time choice by name, in one place that refuses an unknown name and lists the known ones.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

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

/// Gives the index of `name` in `names`.
/// @param what  what is being chosen, for the message.
/// @throws BadArgument naming the choice, the unknown name and the known ones.
inline std::size_t index_of_name(std::string_view what, std::string_view name,
                                 std::span<const std::string_view> names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return i;
  }
  throw BadArgument(std::string(what) + ": unknown name '" + std::string(name) + "'; known are " + join_names(names));
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
