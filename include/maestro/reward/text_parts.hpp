#pragma once

/// @file
/// The text of a response, and its white space, words and characters as the text rewards count them.

#include <cstddef>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/data/completion.hpp"

namespace maestro {

/// Refuses a response of float actions for a reward that judges texts.
/// @param actions  (T x D) of the response or batch.
/// @throws BadArgument if there are actions.
inline void require_text(MatrixView<const float> actions) {
  require(actions.empty(),
          "this reward judges texts, but the policy's actions are floats (Completion::actions) and its responses have "
          "no text; take a reward that reads the actions");
}

/// AnswerPlace says where a response has its answer.
enum class AnswerPlace : unsigned char {
  tags,   ///< between the answer tags of a TagStructure
  boxed,  ///< in the last `\boxed{...}`
  whole,  ///< the whole response is the answer
};

/// Gives the text that a reward judges.
/// @throws BadArgument if the response consists of float actions.
inline std::string_view text_of(const Completion& completion) {
  require_text(completion.actions);
  return completion.text;
}

/// The characters of ASCII white space, which separate words in the text rewards.
inline constexpr std::string_view white_space = " \t\r\n\f\v";

/// Gives `text` without ASCII white space at its ends.
inline std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(white_space);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white_space) - first + 1);
}

/// Calls f(word) for each maximal run of characters that are not ASCII white space.
template <class F>
void for_each_word(std::string_view text, F&& f) {
  for (std::size_t at = text.find_first_not_of(white_space); at != std::string_view::npos;) {
    const std::size_t end = text.find_first_of(white_space, at);
    f(text.substr(at, end == std::string_view::npos ? end : end - at));
    at = end == std::string_view::npos ? end : text.find_first_not_of(white_space, end);
  }
}

/// Gives the number of maximal runs of characters that are not ASCII white space.
inline std::size_t count_words(std::string_view text) {
  std::size_t count = 0;
  for_each_word(text, [&count](std::string_view) { ++count; });
  return count;
}

/// Gives the number of UTF-8 code points: bytes that do not continue a character.
inline std::size_t count_characters(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) count += (static_cast<unsigned char>(c) & 0xC0) == 0x80 ? 0u : 1u;
  return count;
}

}  // namespace maestro
