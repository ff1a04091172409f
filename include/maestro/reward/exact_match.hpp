#pragma once

/// @file
/// A reward for an answer that equals the reference.

#include <optional>
#include <string>
#include <string_view>

#include "maestro/data/completion.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/reward/text_parts.hpp"
#include "maestro/text/answers.hpp"

namespace maestro {

/// ExactMatchOptions holds the options of the ExactMatch reward.
struct ExactMatchOptions {
  AnswerPlace answer = AnswerPlace::tags;
  TagNames tags{};  ///< for AnswerPlace::tags
};

/// ExactMatch is 1 if the answer equals the reference, both without white space at the ends, and else 0. A response
/// without the tag structure, or with AnswerPlace::boxed without a box, gets 0. With AnswerPlace::whole the answer is
/// the response's answer_part, and compared with that of the reference. If the prompt has no reference, the reward does
/// not apply.
class ExactMatch {
 public:
  static constexpr std::string_view name = "exact_match";

  explicit ExactMatch(const ExactMatchOptions& options = {}) : structure_(options.tags), answer_(options.answer) {}

  std::optional<float> operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    if (completion.prompt.reference.empty()) return std::nullopt;
    const std::string& reference = completion.prompt.reference;
    if (answer_ == AnswerPlace::whole) return answer_part(text) == answer_part(reference) ? 1.0f : 0.0f;
    if (answer_ == AnswerPlace::boxed) {
      const auto boxed = detail::last_boxed(text);
      return boxed && trimmed(*boxed) == trimmed(reference) ? 1.0f : 0.0f;
    }
    const TagParse parse = structure_.parse(text);
    return parse.valid && trimmed(parse.answer) == trimmed(reference) ? 1.0f : 0.0f;
  }

 private:
  TagStructure structure_;
  AnswerPlace answer_;
};

}  // namespace maestro
