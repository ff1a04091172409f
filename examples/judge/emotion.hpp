#pragma once

/// @file
/// Judge of family `emotion`. Reads `emotion` and `person` from the metadata.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "verdict.hpp"

namespace maestro::judge {

/// Words that name one feeling; the first of each row is its own name.
inline const std::vector<std::vector<std::string_view>>& feeling_words() {
  static const std::vector<std::vector<std::string_view>> rows = {
      {"sad", "sadness", "unhappy", "sorrow", "grief", "heartbroken"},
      {"happy", "happiness", "joy", "joyful", "glad", "delighted"},
      {"scared", "afraid", "fear", "frightened", "terrified"},
      {"angry", "anger", "mad", "furious", "annoyed"},
      {"proud", "pride"},
      {"lonely", "loneliness", "left out"},
  };
  return rows;
}

/// Whether one of the row's words stands in the text, "not sad" apart.
inline bool names_feeling(std::string_view text, const std::vector<std::string_view>& row) {
  for (const std::string_view word : row) {
    if (has_phrase(text, word) && !has_phrase(text, "not " + std::string(word))) return true;
  }
  return false;
}

inline bool sounds_kind(std::string_view answer) {
  static constexpr std::string_view kind[] = {"sorry",
                                              "here for you",
                                              "hope it gets better",
                                              "hope you feel better",
                                              "how nice",
                                              "lovely",
                                              "enjoy",
                                              "safe now",
                                              "are safe",
                                              "all right",
                                              "understand",
                                              "not fair",
                                              "take your",
                                              "well done",
                                              "good for you",
                                              "did great",
                                              "did well",
                                              "not alone",
                                              "join us",
                                              "hug",
                                              "take care",
                                              "glad for you",
                                              "happy for you",
                                              "proud of you"};
  static constexpr std::string_view unkind[] = {"get over",   "so what", "whining", "who cares", "silly",
                                                "your fault", "stop",    "stupid",  "shut up",   "that is all"};
  for (const std::string_view phrase : unkind) {
    if (has_phrase(answer, phrase)) return false;
  }
  for (const std::string_view phrase : kind) {
    if (has_phrase(answer, phrase)) return true;
  }
  return false;
}

/// Whether the person is spoken to: the name stands at a comma, as in "I am sorry, Tom." or "Tom, you ...".
inline bool speaks_to(std::string_view answer, const std::string& person) {
  for (std::size_t at = answer.find(person); at != std::string_view::npos; at = answer.find(person, at + 1)) {
    const std::size_t end = at + person.size();
    const bool after_comma = at >= 2 && answer[at - 1] == ' ' && answer[at - 2] == ',';
    const bool stops = end == answer.size() || std::string_view(".,!?").find(answer[end]) != std::string_view::npos;
    const bool before_comma = end < answer.size() && answer[end] == ',';
    if ((after_comma && stops) || before_comma) return true;
  }
  return false;
}

/// Rules: well formed, right emotion (weight 2), no second emotion, kind, speaks to the person (where the metadata name
/// one). All but the first are about the answer, and fail without one; "no second emotion" needs a first.
inline Verdict judge_emotion(const Prompt& prompt, std::string_view response) {
  const nlohmann::json facts = facts_of(prompt, "emotion");
  const std::string wanted = fact(facts, "emotion", prompt);
  const std::string person = fact(facts, "person", prompt);
  const Reading reading = read_response(response);
  bool known = false;
  bool right = false;
  std::size_t named = 0;
  for (const std::vector<std::string_view>& row : feeling_words()) {
    const bool is_named = names_feeling(reading.answer, row);
    named += is_named ? 1 : 0;
    if (row.front() != wanted) continue;
    known = true;
    right = is_named;
  }
  if (!known) {
    throw BadData("judge: emotion '" + wanted + "' of prompt " + std::to_string(prompt.row) +
                  " is unknown; use sad, happy, scared, angry, proud or lonely");
  }
  Verdict verdict{{{"well formed", reading.well_formed},
                   {"right emotion", right, 2.0},
                   {"no second emotion", named == 1},
                   {"kind", sounds_kind(reading.answer)}}};
  if (!person.empty()) verdict.rules.push_back({"speaks to the person", speaks_to(reading.answer, person)});
  return verdict;
}

}  // namespace maestro::judge
