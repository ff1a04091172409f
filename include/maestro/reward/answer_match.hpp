#pragma once

/// @file
/// Whether the number or the letter of the response is the reference's.

#include <optional>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/text_parts.hpp"
#include "maestro/text/answers.hpp"

namespace maestro {

/// 1 when the number_answer of the response equals that of the reference, else 0; a response without a number gets 0. A
/// reference without one: the reward does not apply.
struct NumberMatch {
  static constexpr std::string_view name = "number";

  std::optional<float> operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    const auto wanted = number_answer(completion.prompt.reference);
    if (!wanted) return std::nullopt;
    return number_answer(text) == wanted ? 1.0f : 0.0f;
  }
};

/// 1 when the letter_answer of the response is that of the reference, else 0; a response without a letter gets 0. A
/// reference without one: the reward does not apply.
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
