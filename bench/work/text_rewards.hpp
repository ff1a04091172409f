#pragma once

/// @file
/// Simple rewards of a text; peers/text_rewards.py mirrors them.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <set>
#include <string_view>

#include "maestro/data/completion.hpp"

namespace maestro::bench {

inline float share(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0.0f : static_cast<float>(static_cast<double>(part) / static_cast<double>(whole));
}
inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_vowel(char c) { return std::string_view("aeiouAEIOU").find(c) != std::string_view::npos; }

template <class Is>
std::size_t count_characters(std::string_view text, const Is& is) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), is));
}

/// Share of four tags that occur exactly once.
struct Tags {
  static constexpr std::string_view name = "tags";
  float operator()(const Completion& c) const {
    std::size_t once = 0;
    for (const std::string_view tag : {"<think>", "</think>", "<answer>", "</answer>"}) {
      const std::size_t at = c.text.find(tag);
      once += at != std::string_view::npos && c.text.find(tag, at + 1) == std::string_view::npos ? 1u : 0u;
    }
    return share(once, 4);
  }
};

/// max(-1, -|tokens - 96| / 96).
struct TokenTarget {
  static constexpr std::string_view name = "token_target";
  float operator()(const Completion& c) const {
    return static_cast<float>(std::max(-1.0, -std::abs(static_cast<double>(c.tokens.size()) - 96.0) / 96.0));
  }
};

/// Share of vowels among the letters.
struct Vowels {
  static constexpr std::string_view name = "vowels";
  float operator()(const Completion& c) const {
    return share(count_characters(c.text, is_vowel), count_characters(c.text, is_letter));
  }
};

/// Share of digits among letters and digits.
struct Digits {
  static constexpr std::string_view name = "digits";
  float operator()(const Completion& c) const {
    const std::size_t digits = count_characters(c.text, is_digit);
    return share(digits, digits + count_characters(c.text, is_letter));
  }
};

/// Share of distinct words among the words.
struct DistinctWords {
  static constexpr std::string_view name = "distinct_words";
  float operator()(const Completion& c) const {
    constexpr std::string_view blanks = " \t\n\r\f\v";
    std::set<std::string_view> distinct;
    std::size_t words = 0;
    std::size_t begin = c.text.find_first_not_of(blanks);
    while (begin != std::string_view::npos) {
      const std::size_t end = std::min(c.text.find_first_of(blanks, begin), c.text.size());
      distinct.insert(c.text.substr(begin, end - begin));
      ++words;
      begin = c.text.find_first_not_of(blanks, end);
    }
    return share(distinct.size(), words);
  }
};

}  // namespace maestro::bench
