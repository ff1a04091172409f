#pragma once

/// @file
/// The split of a text into words. Byte-pair encoding never merges across words. Needs maestro::tokenizers.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/text/pattern.hpp"
#include "maestro/text/unicode.hpp"
#include "maestro/text/utf8.hpp"

namespace maestro {

/// SplitBehavior says what happens to a delimiter. The examples split "a-b--c" at "-".
enum class SplitBehavior : std::uint8_t {
  removed,               ///< a b c
  isolated,              ///< a - b - - c
  merged_with_previous,  ///< a- b- - c
  merged_with_next,      ///< a -b - -c
  contiguous             ///< a - b -- c
};

/// Delimiter says what a split treats as delimiters: the matches of its pattern, or the text between them.
enum class Delimiter : std::uint8_t { matches, rest };

/// SplitStep splits by a pattern, or by a fixed text.
struct SplitStep {
  std::variant<Pattern, std::string> pattern;
  SplitBehavior behavior = SplitBehavior::isolated;
  Delimiter delimiter = Delimiter::matches;
};

/// DigitsStep separates numbers (Unicode's category N) from the rest: each character alone (isolated), or in runs
/// (contiguous).
struct DigitsStep {
  SplitBehavior behavior = SplitBehavior::isolated;
};

/// PreTokenizerStep splits every piece that the previous step gave.
using PreTokenizerStep = std::variant<SplitStep, DigitsStep>;

/// PrefixSpace says whether a space is put before a text.
enum class PrefixSpace : std::uint8_t { none, add };  ///< add: unless there is one
/// WordPattern says whether the byte-level step splits words by GPT-2's pattern.
enum class WordPattern : std::uint8_t { none, gpt2 };  ///< how the byte-level step splits

namespace detail {

struct SplitPiece {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool delimiter = false;
};

/// Joins a delimiter with the previous piece, unless that is a delimiter too.
inline std::vector<SplitPiece> joined_with_previous(const std::vector<SplitPiece>& pieces) {
  std::vector<SplitPiece> joined;
  bool after_delimiter = false;
  for (const SplitPiece& piece : pieces) {
    if (piece.delimiter && !after_delimiter && !joined.empty()) {
      joined.back().end = piece.end;
    } else {
      joined.push_back(piece);
    }
    after_delimiter = piece.delimiter;
  }
  return joined;
}

/// Joins a delimiter with the next piece, unless that is a delimiter too.
inline std::vector<SplitPiece> joined_with_next(const std::vector<SplitPiece>& pieces) {
  std::vector<SplitPiece> joined;
  bool before_delimiter = false;
  for (std::size_t i = pieces.size(); i-- > 0;) {
    if (pieces[i].delimiter && !before_delimiter && !joined.empty()) {
      joined.back().begin = pieces[i].begin;
    } else {
      joined.push_back(pieces[i]);
    }
    before_delimiter = pieces[i].delimiter;
  }
  return {joined.rbegin(), joined.rend()};
}

/// Joins neighbors of the same kind. A first piece that is not a delimiter joins nothing.
inline std::vector<SplitPiece> joined_alike(const std::vector<SplitPiece>& pieces) {
  std::vector<SplitPiece> joined;
  bool previous = false;
  for (const SplitPiece& piece : pieces) {
    if (piece.delimiter == previous && !joined.empty()) {
      joined.back().end = piece.end;
    } else {
      joined.push_back(piece);
    }
    previous = piece.delimiter;
  }
  return joined;
}

/// Calls f(begin, end) for each match of a step in `text`.
template <class F>
void for_each_match(const SplitStep& step, std::string_view text, F&& f) {
  if (const auto* pattern = std::get_if<Pattern>(&step.pattern)) {
    pattern->for_each_match(text, f);
    return;
  }
  const std::string& sought = std::get<std::string>(step.pattern);
  for (std::size_t at = text.find(sought); at != std::string_view::npos; at = text.find(sought, at + sought.size())) {
    f(at, at + sought.size());
  }
}
template <class F>
void for_each_match(const DigitsStep&, std::string_view text, F&& f) {
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = first_code_point(text.substr(at));
    if (is_numeric(c.value)) f(at, at + c.bytes);
    at += c.bytes;
  }
}

/// Calls f(piece) for each piece that a step makes from `text`, in order.
template <class Step, class F>
void split(const Step& step, Delimiter delimiter, std::string_view text, F&& f) {
  std::size_t last = 0;
  if (step.behavior == SplitBehavior::isolated) {  // the usual one, without a list
    for_each_match(step, text, [&](std::size_t begin, std::size_t end) {
      if (begin > last) f(text.substr(last, begin - last));
      if (end > begin) f(text.substr(begin, end - begin));
      last = end;
    });
    if (last < text.size()) f(text.substr(last));
    return;
  }
  std::vector<SplitPiece> pieces;
  for_each_match(step, text, [&](std::size_t begin, std::size_t end) {
    if (begin > last) pieces.push_back({last, begin, delimiter == Delimiter::rest});
    pieces.push_back({begin, end, delimiter == Delimiter::matches});
    last = end;
  });
  if (last < text.size()) pieces.push_back({last, text.size(), delimiter == Delimiter::rest});
  if (step.behavior == SplitBehavior::merged_with_previous) pieces = joined_with_previous(pieces);
  if (step.behavior == SplitBehavior::merged_with_next) pieces = joined_with_next(pieces);
  if (step.behavior == SplitBehavior::contiguous) pieces = joined_alike(pieces);
  for (const SplitPiece& piece : pieces) {
    const bool removed = step.behavior == SplitBehavior::removed && piece.delimiter;
    if (!removed && piece.end > piece.begin) f(text.substr(piece.begin, piece.end - piece.begin));
  }
}

inline const SplitStep& gpt2_split() {
  static const SplitStep step{
      .pattern = Pattern("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+")};
  return step;
}

}  // namespace detail

/// PreTokenizer applies its split steps in order, and then the byte-level step. Several threads may use it at once.
class PreTokenizer {
 public:
  static constexpr std::size_t max_steps = 64;

  PreTokenizer() = default;
  /// Makes a pre-tokenizer from its steps.
  /// @throws BadArgument for a split by an empty text, or for more than `max_steps`.
  PreTokenizer(std::vector<PreTokenizerStep> steps, PrefixSpace prefix, WordPattern words)
      : steps_(std::move(steps)), prefix_(prefix), words_(words) {
    require(steps_.size() <= max_steps, "pre-tokenizer: more than 64 steps");
    for (const PreTokenizerStep& step : steps_) {
      const auto* split = std::get_if<SplitStep>(&step);
      const auto* text = split == nullptr ? nullptr : std::get_if<std::string>(&split->pattern);
      require(text == nullptr || !text->empty(), "pre-tokenizer: a split by an empty text");
    }
  }

  /// Calls f(word) for each word of `text`, in order. `text` must be valid UTF-8. A word is valid only during the call.
  /// @throws BadData as Pattern::for_each_match.
  template <class F>
  void for_each_word(std::string_view text, F&& f) const {
    if (!text.empty()) run(0, text, f);
  }

 private:
  // The recursion is as deep as there are steps.
  template <class F>
  void run(std::size_t index, std::string_view text, F& f) const {
    if (index == steps_.size()) {
      last_step(text, f);
      return;
    }
    const auto go_on = [&](std::string_view piece) { run(index + 1, piece, f); };
    if (const auto* step = std::get_if<SplitStep>(&steps_[index])) {
      detail::split(*step, step->delimiter, text, go_on);
    } else {
      detail::split(std::get<DigitsStep>(steps_[index]), Delimiter::matches, text, go_on);
    }
  }

  template <class F>
  void last_step(std::string_view text, F& f) const {
    std::string with_space;
    if (prefix_ == PrefixSpace::add && text.front() != ' ') {
      with_space.append(1, ' ').append(text);
      text = with_space;
    }
    if (words_ == WordPattern::gpt2) {
      detail::split(detail::gpt2_split(), Delimiter::matches, text, f);
    } else {
      f(text);
    }
  }

  std::vector<PreTokenizerStep> steps_;
  PrefixSpace prefix_ = PrefixSpace::none;
  WordPattern words_ = WordPattern::gpt2;
};

}  // namespace maestro
