#pragma once

/// @file
/// What goes wrong in demonstrations, how often, and how a response is put together with or without it.

#include <cstddef>
#include <string>
#include <string_view>

#include "draws.hpp"

namespace maestro::examples {

/// Probability of each fault in a demonstration. Faults are drawn independently; those of other families do not apply.
/// The defaults leave a base model with room, and make the right behavior frequent enough to be found by sampling.
struct Faults {
  double tags = 0.35;               ///< a tag is missing, doubled or misplaced, or there is none
  double no_reasoning = 0.12;       ///< the reasoning is empty
  double rambling = 0.10;           ///< filler words go on and on
  double wrong_step = 0.25;         ///< arithmetic: a step's result is wrong, later steps follow it
  double wrong_answer = 0.12;       ///< arithmetic: the answer is not what the steps say
  double wrong_count = 0.35;        ///< story: one sentence too few or too many
  double missing_word = 0.30;       ///< story: the object or the place is left out or replaced
  double repeated_sentence = 0.20;  ///< story: a sentence comes twice
  double wrong_emotion = 0.35;      ///< emotion: another emotion is named
  double second_emotion = 0.10;     ///< emotion: a second emotion is named
  double unkind = 0.20;             ///< emotion: the reply is unkind
  double neutral = 0.25;            ///< emotion: the reply has no kind phrase, or does not address the person

  /// Every probability times `factor`, in [0, 1].
  Faults scaled(double factor) const {
    Faults faults = *this;
    for (double* rate : {&faults.tags, &faults.no_reasoning, &faults.rambling, &faults.wrong_step, &faults.wrong_answer,
                         &faults.wrong_count, &faults.missing_word, &faults.repeated_sentence, &faults.wrong_emotion,
                         &faults.second_emotion, &faults.unkind, &faults.neutral}) {
      *rate *= factor;
    }
    return faults;
  }
  /// No fault at all: every response is a good one.
  static Faults none() { return Faults{}.scaled(0.0); }
};

/// Which faults a response was given.
struct Flaws {
  bool tags = false;
  bool no_reasoning = false;
  bool rambling = false;
  bool wrong_step = false;
  bool wrong_answer = false;
  bool wrong_count = false;
  bool missing_word = false;
  bool repeated_sentence = false;
  bool wrong_emotion = false;
  bool second_emotion = false;
  bool unkind = false;
  bool neutral = false;
  bool garbled = false;  ///< letters lost or swapped; in preference pairs only

  friend bool operator==(const Flaws&, const Flaws&) = default;
};

/// The two parts of a response, before the tags.
struct Draft {
  std::string think;
  std::string answer;
};

/// Replaces every `from` by `to`.
inline std::string with(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// "a fox", "an owl".
inline std::string with_article(std::string_view noun) {
  const bool vowel = std::string_view("aeiou").find(noun.front()) != std::string_view::npos;
  return (vowel ? "an " : "a ") + std::string(noun);
}

/// The response as it should be.
inline std::string tagged(const Draft& draft) {
  return "<think>" + draft.think + "</think><answer>" + draft.answer + "</answer>";
}

/// The response with one of eight faults in its tags.
inline std::string badly_tagged(const Draft& draft, Draws& draws) {
  const std::string good = tagged(draft);
  switch (draws.below(8)) {
    case 0:
      return with(good, "<think>", "");
    case 1:
      return with(good, "</think>", " ");
    case 2:
      return with(good, "<answer>", "");
    case 3:
      return with(good, "</answer>", "");
    case 4:
      return with(good, "<think>", "<think><think>");
    case 5:
      return with(good, "</answer>", "</answer></answer>");
    case 6:
      return "<answer>" + draft.answer + "</answer><think>" + draft.think + "</think>";
    default:
      return draft.think + " " + draft.answer;
  }
}

inline std::string filler(Draws& draws) {
  static constexpr std::string_view fillers[] = {"and so on and so on", "well well let me see", "so it goes and goes",
                                                 "or so they say they say"};
  return std::string(draws.pick(fillers));
}

/// Faults that every family shares: rambling, missing reasoning, broken tags.
inline std::string finish_response(Draft draft, const Faults& faults, Flaws& flaws, Draws& draws) {
  if ((flaws.rambling = draws.chance(faults.rambling))) {
    std::string& part = draws.chance(0.5) ? draft.think : draft.answer;
    part += " " + filler(draws);
  }
  if ((flaws.no_reasoning = draws.chance(faults.no_reasoning))) draft.think.clear();
  flaws.tags = draws.chance(faults.tags);
  return flaws.tags ? badly_tagged(draft, draws) : tagged(draft);
}

/// `text` with two to four letters lost or swapped with their neighbor.
inline std::string garbled(std::string text, Draws& draws) {
  const std::size_t slips = 2 + draws.below(3);
  for (std::size_t slip = 0; slip < slips && text.size() > 4; ++slip) {
    const std::size_t at = draws.below(text.size() - 1);
    if (draws.chance(0.5)) {
      text.erase(at, 1);
    } else {
      const char kept = text[at];
      text[at] = text[at + 1];
      text[at + 1] = kept;
    }
  }
  return text;
}

}  // namespace maestro::examples
