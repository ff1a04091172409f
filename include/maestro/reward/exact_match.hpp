#pragma once

/// @file
/// Whether the answer is the reference.

#include <optional>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// The ExactMatch reward is made from these options.
struct ExactMatchOptions {
  TagNames tags{};
};

/// 1 when the answer equals the reference, both without white space at the ends; else 0. A response without the tag
/// structure gets 0; a prompt without a reference: the reward does not apply.
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
