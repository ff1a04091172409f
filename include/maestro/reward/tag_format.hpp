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

namespace maestro {

/// TagNames holds the names of the tags that a response must have.
struct TagNames {
  std::string reasoning = "think";  ///< empty: the response has no reasoning part
  std::string answer = "answer";
};

/// TagParse says what a response has of the required structure. The views point into the parsed text.
struct TagParse {
  std::string_view reasoning{};        ///< between the reasoning tags; empty unless valid
  std::string_view answer{};           ///< between the answer tags; empty unless valid
  std::string_view through_opening{};  ///< the text up to and including the opening answer tag; empty unless valid
  std::size_t rules_kept = 0;
  std::size_t rules = 0;
  bool valid = false;  ///< every rule is kept
};

/// TagStructure parses responses by one set of tags. The rules are: each tag string occurs exactly once (4 rules, 2
/// without reasoning), in the order of the structure, with nothing but white space before, between and after the parts
/// (1 rule each).
class TagStructure {
 public:
  /// Takes the names of the tags.
  /// @throws BadArgument if a name is empty (answer), equals the other, or has white space, '<', '>' or '/'.
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

/// FormatGrade says how the format reward counts a response that keeps only some rules.
enum class FormatGrade : unsigned char {
  strict,  ///< 1 when every rule is kept, else 0
  graded,  ///< share of the rules kept
};

/// FormatOptions describe the Format reward.
struct FormatOptions {
  TagNames tags{};
  FormatGrade grade = FormatGrade::strict;
};

/// Format says how well a response keeps the required tag structure, in [0, 1]. Source: MAESTRO's format reward; the
/// grade is ours.
class Format {
 public:
  static constexpr std::string_view name = "format";

  explicit Format(FormatOptions options = {}) : structure_(options.tags), grade_(options.grade) {}

  float operator()(const Completion& completion) const {
    const TagParse parse = structure_.parse(text_of(completion));
    if (grade_ == FormatGrade::strict) return parse.valid ? 1.0f : 0.0f;
    return static_cast<float>(static_cast<double>(parse.rules_kept) / static_cast<double>(parse.rules));
  }

 private:
  TagStructure structure_;
  FormatGrade grade_;
};

}  // namespace maestro
