#pragma once

/// @file
/// A reward against repeated phrases.

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/completion.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// RepetitionOptions holds the options of the Repetition reward.
struct RepetitionOptions {
  std::size_t n = 3;  ///< words of an n-gram, at least 1
};

/// Repetition is the share of distinct word n-grams, distinct / all, in (0, 1]. It is 1 if none occurs twice. If a
/// response has fewer than n words, it has no n-gram and the reward does not apply. It takes O(W log W) comparisons for
/// W words. Source: distinct-n [1510.03055].
class Repetition {
 public:
  static constexpr std::string_view name = "repetition";

  /// Makes the reward.
  /// @throws BadArgument if n is 0.
  explicit Repetition(RepetitionOptions options = {}) : n_(options.n) {
    require(n_ > 0, "Repetition: n must be positive");
  }

  std::optional<float> operator()(const Completion& completion) const {
    std::vector<std::string_view> words;
    for_each_word(text_of(completion), [&words](std::string_view word) { words.push_back(word); });
    if (words.size() < n_) return std::nullopt;
    std::vector<std::size_t> starts(words.size() - n_ + 1);
    for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = i;
    const auto at = [&words](std::size_t i) { return words.data() + i; };
    std::sort(starts.begin(), starts.end(), [&](std::size_t a, std::size_t b) {
      return std::lexicographical_compare(at(a), at(a) + n_, at(b), at(b) + n_);
    });
    const auto last = std::unique(starts.begin(), starts.end(),
                                  [&](std::size_t a, std::size_t b) { return std::equal(at(a), at(a) + n_, at(b)); });
    const auto distinct = static_cast<double>(last - starts.begin());
    return static_cast<float>(distinct / static_cast<double>(words.size() - n_ + 1));
  }

 private:
  std::size_t n_;
};

}  // namespace maestro
