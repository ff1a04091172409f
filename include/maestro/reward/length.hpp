#pragma once

/// @file
/// Rewards for the length of a response.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/data/completion.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// LengthUnit says in which unit a length is counted.
enum class LengthUnit : unsigned char {
  tokens,      ///< of the whole response, the stop token included; the steps of float actions
  words,       ///< runs without white space
  characters,  ///< UTF-8 code points
};

/// LengthPart says which part of a response is measured.
enum class LengthPart : unsigned char {
  response,
  answer,  ///< the text between the answer tags; a response without the tag structure gets -1
};

/// LengthShape says how a length becomes a penalty.
enum class LengthShape : unsigned char {
  soft_overlong,  ///< 0 up to max_length - cache, then linear to -1 at max_length and beyond
  target,         ///< max(-1, -|L - target| / target)
};

/// LengthOptions holds the options of the Length reward. Each shape reads its own options.
struct LengthOptions {
  LengthShape shape = LengthShape::soft_overlong;
  LengthUnit unit = LengthUnit::tokens;
  LengthPart part = LengthPart::response;
  double max_length = 256;  ///< soft_overlong: > 0
  double cache = 64;        ///< soft_overlong: in [0, max_length]; 0 makes a step after max_length
  double target = 128;      ///< target: > 0
  /// For the shape `target`: the target of each prompt, > 0; nullopt: the reward does not apply. An empty function
  /// means `target` for all prompts. It must be thread-safe.
  std::function<std::optional<double>(const Prompt&)> target_of{};
  TagNames tags{};  ///< for LengthPart::answer
};

/// Gives DAPO's soft overlong penalty of a length L: 0 for L <= max - cache, (max - cache - L)/cache up to max, -1
/// beyond.
inline double soft_overlong(double length, double max_length, double cache) {
  if (length <= max_length - cache) return 0.0;
  if (length >= max_length) return -1.0;
  return (max_length - cache - length) / cache;
}

/// Gives max(-1, -|L - target|/target) for a length L.
inline double target_length(double length, double target) {
  return std::max(-1.0, -std::abs(length - target) / target);
}

/// Length is a length penalty in [-1, 0]. Source: the soft overlong shape is from DAPO [2503.14476]; the target shape
/// is ours.
class Length {
 public:
  static constexpr std::string_view name = "length";

  /// Makes the reward.
  /// @throws BadArgument for an option outside its domain, or for the answer in tokens (only the response has tokens).
  explicit Length(LengthOptions options = {}) : options_(std::move(options)), structure_(options_.tags) {
    if (options_.shape == LengthShape::soft_overlong) {
      require(std::isfinite(options_.max_length) && options_.max_length > 0, "Length: max_length must be positive");
      require(options_.cache >= 0 && options_.cache <= options_.max_length, "Length: cache must be in [0, max_length]");
    } else {
      require(std::isfinite(options_.target) && options_.target > 0, "Length: target must be positive");
    }
    require(options_.part == LengthPart::response || options_.unit != LengthUnit::tokens,
            "Length: the answer is measured in words or characters; only the response has tokens");
  }

  std::optional<float> operator()(const Completion& completion) const {
    std::string_view text;
    if (options_.unit != LengthUnit::tokens) text = text_of(completion);
    if (options_.part == LengthPart::answer) {
      const TagParse parse = structure_.parse(text);
      if (!parse.valid) return -1.0f;
      text = parse.answer;
    }
    const double length = static_cast<double>(measure(completion, text));
    if (options_.shape == LengthShape::soft_overlong) {
      return static_cast<float>(soft_overlong(length, options_.max_length, options_.cache));
    }
    const std::optional<double> target = options_.target_of ? options_.target_of(completion.prompt) : options_.target;
    if (!target) return std::nullopt;
    if (!(std::isfinite(*target) && *target > 0)) throw BadData("target_of must give a positive length");
    return static_cast<float>(target_length(length, *target));
  }

 private:
  std::size_t measure(const Completion& completion, std::string_view text) const {
    if (options_.unit == LengthUnit::tokens) return completion.tokens.size();
    return options_.unit == LengthUnit::words ? count_words(text) : count_characters(text);
  }

  LengthOptions options_;
  TagStructure structure_;
};

}  // namespace maestro
