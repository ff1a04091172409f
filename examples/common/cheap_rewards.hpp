#pragma once

/// @file
/// Cheap rewards of a response's text. Each is right in some families of contexts and misleads in others, by what it
/// measures rather than by noise. Their scales differ on purpose.

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro::examples {

/// How often one of `words` stands in the text, as a whole word, in any case.
inline std::size_t count_of_words(std::string_view text, std::span<const std::string_view> words) {
  std::size_t count = 0;
  std::string current;
  const auto close = [&] {
    count += std::find(words.begin(), words.end(), current) != words.end() ? 1u : 0u;
    current.clear();
  };
  for (const char c : text) {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      current += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else {
      close();
    }
  }
  close();
  return count;
}

/// Brevity is minus the number of characters: from about -110 to -5.
struct Brevity {
  static constexpr std::string_view name = "brevity";
  float operator()(const Completion& completion) const {
    return -static_cast<float>(count_characters(text_of(completion)));
  }
};

/// Confidence counts words of certainty, and words of doubt negatively, in [-2, 2].
struct Confidence {
  static constexpr std::string_view name = "confidence";
  float operator()(const Completion& completion) const {
    static constexpr std::string_view sure[] = {"clearly", "surely", "certainly", "indeed"};
    static constexpr std::string_view doubt[] = {"maybe", "perhaps", "possibly", "might"};
    const std::string_view text = text_of(completion);
    const auto more = static_cast<float>(count_of_words(text, sure));
    return std::clamp(more - static_cast<float>(count_of_words(text, doubt)), -2.0f, 2.0f);
  }
};

/// Elaboration is the share of four connectives that a longer account has, in [0, 1]; it does not see what they join.
struct Elaboration {
  static constexpr std::string_view name = "elaboration";
  float operator()(const Completion& completion) const {
    static constexpr std::string_view joins[] = {"first", "then", "so", "because"};
    return 0.25f * static_cast<float>(std::min<std::size_t>(count_of_words(text_of(completion), joins), 4));
  }
};

/// Liking stands for a preference model: it likes warm words, three points each and two at most, and, by bias, length,
/// a point for every 50 characters.
struct Liking {
  static constexpr std::string_view name = "liking";
  float operator()(const Completion& completion) const {
    static constexpr std::string_view warm[] = {"care", "friend", "here", "best", "glad", "dear"};
    const std::string_view text = text_of(completion);
    const auto kind = static_cast<float>(std::min<std::size_t>(count_of_words(text, warm), 2));
    return 3.0f * kind + 0.02f * static_cast<float>(count_characters(text));
  }
};

}  // namespace maestro::examples
