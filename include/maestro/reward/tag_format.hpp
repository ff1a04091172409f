#pragma once

/// @file
/// The tag structure of a response, `<think>...</think><answer>...</answer>` by default, and the format reward.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/data/completion.hpp"
#include "maestro/reward/text_parts.hpp"
#include "maestro/text/answers.hpp"

namespace maestro {

/// TagNames holds the names of the tags that a response must have.
struct TagNames {
  std::string reasoning = "think";  ///< empty: the response has no reasoning part
  std::string answer = "answer";
};

/// TagParse says how far a response has the required structure. The views point into the parsed text.
struct TagParse {
  std::string_view reasoning{};        ///< between the reasoning tags; empty unless valid
  std::string_view answer{};           ///< between the answer tags; empty unless valid
  std::string_view through_opening{};  ///< the text up to and including the opening answer tag; empty unless valid
  std::size_t rules_kept = 0;
  std::size_t rules = 0;
  bool valid = false;  ///< every rule is kept
};

/// TagStructure parses responses with one set of tags. It has the following rules. Each tag string occurs exactly once
/// (4 rules, or 2 without reasoning). The tags are in the order of the structure (1 rule). Before, between and after
/// the parts there is only white space (1 rule).
class TagStructure {
 public:
  /// Takes the names of the tags.
  /// @throws BadArgument if the answer's name is empty, if both names are equal, or if a name has white space, '<', '>'
  ///         or '/'.
  explicit TagStructure(const TagNames& names = {}) {
    require(!names.answer.empty(), "tags: the answer tag needs a name");
    require(names.answer != names.reasoning, "tags: reasoning and answer need different names");
    for (const std::string* name : {&names.reasoning, &names.answer}) {
      require(name->find_first_of(" \t\r\n\f\v<>/") == std::string::npos,
              "tags: a name must have no white space, '<', '>' or '/'; give 'think', not '<think>'");
    }
    if (!names.reasoning.empty()) {
      tags_[count_++] = "<" + names.reasoning + ">";
      tags_[count_++] = "</" + names.reasoning + ">";
    }
    tags_[count_++] = "<" + names.answer + ">";
    tags_[count_++] = "</" + names.answer + ">";
  }

  TagParse parse(std::string_view text) const {
    TagParse result{.rules = count_ + 2};
    std::array<std::size_t, 4> at{};
    for (std::size_t t = 0; t < count_; ++t) {
      at[t] = text.find(tags_[t]);
      const bool once = at[t] != std::string_view::npos && text.find(tags_[t], at[t] + 1) == std::string_view::npos;
      result.rules_kept += once ? 1u : 0u;
    }
    if (result.rules_kept < count_) return result;
    for (std::size_t t = 1; t < count_; ++t) {
      if (at[t] < at[t - 1]) return result;
    }
    ++result.rules_kept;
    const auto after = [&](std::size_t t) { return at[t] + tags_[t].size(); };
    bool blank = trimmed(text.substr(0, at[0])).empty() && trimmed(text.substr(after(count_ - 1))).empty();
    if (has_reasoning()) blank = blank && trimmed(text.substr(after(1), at[2] - after(1))).empty();
    if (!blank) return result;
    ++result.rules_kept;
    result.valid = true;
    if (has_reasoning()) result.reasoning = text.substr(after(0), at[1] - after(0));
    result.through_opening = text.substr(0, after(count_ - 2));
    result.answer = text.substr(after(count_ - 2), at[count_ - 1] - after(count_ - 2));
    return result;
  }

  bool has_reasoning() const { return count_ == 4; }

 private:
  std::array<std::string, 4> tags_;
  std::size_t count_ = 0;
};

/// FormatGrade says what the format reward gives to a response that keeps only some rules.
enum class FormatGrade : unsigned char {
  strict,  ///< 1 if every rule is kept, else 0
  graded,  ///< the share of the rules that are kept
};

/// FormatOptions holds the options of the Format reward.
struct FormatOptions {
  AnswerPlace answer = AnswerPlace::tags;  ///< tags or boxed
  TagNames tags{};                         ///< for AnswerPlace::tags
  FormatGrade grade = FormatGrade::strict;
};

/// Format measures how far a response keeps the required tag structure, in [0, 1]. With AnswerPlace::boxed, the rules
/// are that the response has a `\boxed{`, that it has only one, and that this one is closed and not blank. Source:
/// MAESTRO's format reward; the grade is ours.
class Format {
 public:
  static constexpr std::string_view name = "format";

  /// Makes the reward.
  /// @throws BadArgument for AnswerPlace::whole, which has no form, or for tag names that TagStructure refuses.
  explicit Format(FormatOptions options = {})
      : structure_(options.tags), answer_(options.answer), grade_(options.grade) {
    require(answer_ != AnswerPlace::whole, "Format: an answer without a place of its own has no form to keep");
  }

  float operator()(const Completion& completion) const {
    const std::string_view text = text_of(completion);
    const TagParse parse = answer_ == AnswerPlace::boxed ? parse_boxed(text) : structure_.parse(text);
    if (grade_ == FormatGrade::strict) return parse.valid ? 1.0f : 0.0f;
    return static_cast<float>(static_cast<double>(parse.rules_kept) / static_cast<double>(parse.rules));
  }

 private:
  static TagParse parse_boxed(std::string_view text) {
    TagParse parse{.rules = 3};
    const std::size_t first = text.find("\\boxed{");
    if (first == std::string_view::npos) return parse;
    const auto content = detail::last_boxed(text);
    const bool closed = content && !trimmed(*content).empty();
    parse.rules_kept = 1u + (text.rfind("\\boxed{") == first ? 1u : 0u) + (closed ? 1u : 0u);
    parse.valid = parse.rules_kept == parse.rules;
    return parse;
  }

  TagStructure structure_;
  AnswerPlace answer_;
  FormatGrade grade_;
};

}  // namespace maestro
