#pragma once

/// @file
/// Judge of family `story`. Reads `hero`, `object`, `place` (the last two where asked for) and `sentences`, a number or
/// [fewest, most], from the metadata.

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "verdict.hpp"

namespace maestro::judge {

/// Sentences by their end marks; a rest without end mark counts as one.
inline std::vector<std::string> sentences_of(std::string_view text) {
  std::vector<std::string> sentences;
  std::string current;
  for (const char c : text) {
    current += c;
    if (c != '.' && c != '!' && c != '?') continue;
    if (!words_of(current).empty()) sentences.emplace_back(trimmed(current));
    current.clear();
  }
  if (!words_of(current).empty()) sentences.emplace_back(trimmed(current));
  return sentences;
}

/// The asked number of sentences, fewest and most.
inline std::pair<std::size_t, std::size_t> asked_sentences(const nlohmann::json& facts, const Prompt& prompt) {
  const nlohmann::json& asked = facts["sentences"];
  if (asked.is_number_unsigned()) return {asked.get<std::size_t>(), asked.get<std::size_t>()};
  if (asked.is_array() && asked.size() == 2 && asked[0].is_number_unsigned() && asked[1].is_number_unsigned()) {
    return {asked[0].get<std::size_t>(), asked[1].get<std::size_t>()};
  }
  throw BadData("judge: metadata key 'sentences' of prompt " + std::to_string(prompt.row) +
                " must be a number or [fewest, most]");
}

/// No sentence twice, whatever its case and punctuation.
inline bool all_different(const std::vector<std::string>& sentences) {
  std::set<std::vector<std::string>> seen;
  return std::all_of(sentences.begin(), sentences.end(),
                     [&](const std::string& sentence) { return seen.insert(words_of(sentence)).second; });
}

/// Each sentence starts with a capital and has three words or more.
inline bool all_proper(const std::vector<std::string>& sentences) {
  return !sentences.empty() && std::all_of(sentences.begin(), sentences.end(), [](const std::string& sentence) {
    return sentence.front() >= 'A' && sentence.front() <= 'Z' && words_of(sentence).size() >= 3;
  });
}

/// Rules: well formed (weight 1.5) and sentence count (3), together about half of the weight, since the family is about
/// format and length; hero, object and place named (where asked for) and no repeated sentence, 1 each; proper sentences
/// and full stop at the end, 1/4. All but the first are about the answer, and fail without one.
inline Verdict judge_story(const Prompt& prompt, std::string_view response) {
  const nlohmann::json facts = facts_of(prompt, "sentences");
  const auto [fewest, most] = asked_sentences(facts, prompt);
  const Reading reading = read_response(response);
  const std::vector<std::string> sentences = sentences_of(reading.answer);
  const bool told = reading.has_answer && !sentences.empty();
  Verdict verdict{{{"well formed", reading.well_formed, 1.5}}};
  const auto named = [&](const char* key, std::string_view rule) {
    const std::string wanted = fact(facts, key, prompt);
    if (!wanted.empty()) verdict.rules.push_back({rule, told && has_phrase(reading.answer, wanted)});
  };
  named("hero", "hero named");
  named("object", "object named");
  named("place", "place named");
  verdict.rules.push_back({"sentence count", told && sentences.size() >= fewest && sentences.size() <= most, 3.0});
  verdict.rules.push_back({"no repetition", told && all_different(sentences)});
  verdict.rules.push_back({"proper sentences", told && all_proper(sentences), 0.25});
  verdict.rules.push_back({"full stop", told && reading.answer.back() == '.', 0.25});
  return verdict;
}

}  // namespace maestro::judge
