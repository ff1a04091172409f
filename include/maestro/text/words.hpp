#pragma once

/// @file
/// Words as Python's str.split finds them.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/text/utf8.hpp"
#include "maestro/text/white_space.hpp"

namespace maestro {

/// Gives the maximal runs without white space, as Python's str.split() does. They are views of `text`. Bytes that are
/// not UTF-8 do not count as white space.
inline std::vector<std::string_view> python_words(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t start = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t broken = 0;
    const std::size_t length = utf8_length(text.substr(at), broken);
    const bool space = length > 0 && is_python_space(first_code_point(text.substr(at)).value);
    if (space) {
      if (at > start) words.push_back(text.substr(start, at - start));
      start = at + length;
    }
    at += length > 0 ? length : broken;
  }
  if (text.size() > start) words.push_back(text.substr(start));
  return words;
}

namespace detail {

/// Gives the index of the start of each character of a text, and its size. A broken UTF-8 sequence counts as one
/// character.
inline std::vector<std::size_t> character_places(std::string_view text) {
  std::vector<std::size_t> places;
  places.reserve(text.size() + 1);
  std::size_t at = 0;
  while (at < text.size()) {
    places.push_back(at);
    std::size_t broken = 0;
    const std::size_t length = utf8_length(text.substr(at), broken);
    at += length > 0 ? length : broken;
  }
  places.push_back(at);
  return places;
}

/// JoinedWords holds words joined by one space, and the index at which each begins. The last index is one past the end
/// of the text, as if a space followed it.
struct JoinedWords {
  std::string text;
  std::vector<std::size_t> begins;

  template <class Words>
  explicit JoinedWords(const Words& words) {
    for (const auto& word : words) {
      if (!begins.empty()) text += ' ';
      begins.push_back(text.size());
      text += word;
    }
    begins.push_back(text.size() + 1);
  }
  std::size_t size() const { return begins.size() - 1; }
  /// Gives words first, ..., first + n - 1 as one text.
  std::string_view gram(std::size_t first, std::size_t n) const {
    return std::string_view(text).substr(begins[first], begins[first + n] - 1 - begins[first]);
  }
};

}  // namespace detail

}  // namespace maestro
