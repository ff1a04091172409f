#pragma once

/// @file
/// A reward with another name, so that two rewards of one type can be in one set.

#include <cstddef>
#include <string_view>
#include <utility>

#include "maestro/reward/reward.hpp"

namespace maestro {

/// FixedString is a string that can be a template argument.
template <std::size_t N>
struct FixedString {
  char value[N]{};

  consteval FixedString(const char (&text)[N]) {
    for (std::size_t i = 0; i < N; ++i) value[i] = text[i];
  }
  constexpr std::string_view view() const { return {value, N - 1}; }
};

/// Named is the reward R under another name: `Named<"strict", Length>{Length{{.max_length = 50}}}`.
template <FixedString Name, Reward R>
struct Named : R {
  static constexpr std::string_view name = Name.view();
};

/// Makes a Named and deduces its type: `named<"strict">(Length{{.max_length = 50}})`.
template <FixedString Name, Reward R>
Named<Name, R> named(R reward) {
  return {std::move(reward)};
}

}  // namespace maestro
