#pragma once

/// @file
/// Rewards for a response whose number or letter is the reference's.

#include <optional>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/text_parts.hpp"
#include "maestro/text/answers.hpp"

namespace maestro {

/// NumberMatch is 1 if the number_answer of the response equals that of the reference, else 0. A response without a
/// number gets 0. If the reference has no number, the reward does not apply.
struct NumberMatch {
  static constexpr std::string_view name = "number";

  std::optional<float> operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    const auto wanted = number_answer(completion.prompt.reference);
    if (!wanted) return std::nullopt;
    return number_answer(text) == wanted ? 1.0f : 0.0f;
  }
};

/// LetterMatch is 1 if the letter_answer of the response is that of the reference, else 0. A response without a letter
/// gets 0. If the reference has no letter, the reward does not apply.
struct LetterMatch {
  static constexpr std::string_view name = "letter";

  std::optional<float> operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    const auto wanted = letter_answer(completion.prompt.reference);
    if (!wanted) return std::nullopt;
    return letter_answer(text) == wanted ? 1.0f : 0.0f;
  }
};

}  // namespace maestro
