#pragma once

/// @file
/// A reward for the right answer.

#include <optional>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// ExactMatchOptions describe the ExactMatch reward.
struct ExactMatchOptions {
  TagNames tags{};
};

/// ExactMatch is 1 if the answer equals the reference, both without white space at the ends, and else 0. A response
/// without the tag structure gets 0. If the prompt has no reference, the reward does not apply.
class ExactMatch {
 public:
  static constexpr std::string_view name = "exact_match";

  explicit ExactMatch(const ExactMatchOptions& options = {}) : structure_(options.tags) {}

  std::optional<float> operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    if (completion.prompt.reference.empty()) return std::nullopt;
    const TagParse parse = structure_.parse(text);
    return parse.valid && trimmed(parse.answer) == trimmed(completion.prompt.reference) ? 1.0f : 0.0f;
  }

 private:
  TagStructure structure_;
};

}  // namespace maestro
