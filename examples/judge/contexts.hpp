#pragma once

/// @file
/// Judges of the seven families of contexts. Five rules of equal weight each: mark-up, grounds, tone, warmth, core.
/// Reads from the metadata what each family needs.

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "verdict.hpp"

namespace maestro::judge {

/// A response of a family of contexts, taken apart.
struct ContextReading {
  Reading tags;
  std::string whole;                ///< the response without its tags
  std::vector<std::string> core{};  ///< the words of the answer's first sentence, openings of tone left out
  bool plain = false;               ///< no tag at all
};

inline bool says_any(std::string_view text, std::initializer_list<std::string_view> phrases) {
  return std::any_of(phrases.begin(), phrases.end(), [&](std::string_view phrase) { return has_phrase(text, phrase); });
}
inline bool sounds_hedged(std::string_view text) {
  return says_any(text, {"maybe", "perhaps", "possibly", "might", "could be", "I think", "not sure", "probably"});
}
inline bool sounds_sure(std::string_view text) {
  return says_any(text, {"clearly", "surely", "certainly", "definitely", "no doubt", "of course", "indeed"});
}
inline bool sounds_warm(std::string_view text) {
  return says_any(text,
                  {"take care", "here for you", "all the best", "friend", "well done", "be proud", "glad for you"});
}
/// Words that join the pieces of an account.
inline std::size_t joints_of(std::string_view text) {
  static constexpr std::array<std::string_view, 7> joints{"first", "then",  "so",       "because",
                                                          "since", "hence", "therefore"};
  const std::vector<std::string> words = words_of(text);
  return static_cast<std::size_t>(std::count_if(words.begin(), words.end(), [](const std::string& word) {
    return std::find(joints.begin(), joints.end(), word) != joints.end();
  }));
}

inline ContextReading read_context(std::string_view response) {
  ContextReading reading{read_response(response), std::string()};
  reading.plain = response.find('<') == std::string_view::npos;
  for (std::size_t at = 0; at < response.size();) {
    const std::size_t open = std::min(response.find('<', at), response.size());
    reading.whole += std::string(response.substr(at, open - at)) + " ";
    const std::size_t close = response.find('>', open);
    at = close == std::string_view::npos ? response.size() : close + 1;
  }
  const std::string_view answer = reading.tags.has_answer ? std::string_view(reading.tags.answer) : response;
  static constexpr std::array<std::string_view, 6> openings{"clearly", "surely",  "certainly",
                                                            "maybe",   "perhaps", "possibly"};
  for (const std::string& word : words_of(answer.substr(0, answer.find('.')))) {
    if (std::find(openings.begin(), openings.end(), word) == openings.end()) reading.core.push_back(word);
  }
  return reading;
}

/// What a family asks of the manner: of the grounds, `grounds_given` says whether they are there where they are asked
/// for; elsewhere two joints are too many.
struct ContextManner {
  bool tags = false;
  bool grounds = false;
  bool sure = false;
  bool warm = false;
};

inline Verdict context_verdict(const ContextReading& reading, const ContextManner& asked, bool grounds_given,
                               bool core_right) {
  const bool said = !reading.core.empty();
  const bool hedged = sounds_hedged(reading.whole);
  return {
      {{asked.tags ? "marked up" : "plain text", asked.tags ? reading.tags.well_formed : said && reading.plain},
       {asked.grounds ? "grounds given" : "to the point",
        asked.grounds ? grounds_given : said && joints_of(reading.whole) < 2},
       {asked.sure ? "not hedged" : "careful", asked.sure ? said && !hedged : hedged && !sounds_sure(reading.whole)},
       {asked.warm ? "warm" : "no small talk", asked.warm == sounds_warm(reading.whole) && said},
       {"core", core_right}}};
}

/// The text at `key`. @throws BadData where it is missing.
inline std::string needed_fact(const Prompt& prompt, const char* key) {
  return fact(facts_of(prompt, key), key, prompt);
}
/// The list of texts at `key`. @throws BadData where it is not a list of `count` texts.
inline std::vector<std::string> needed_facts(const Prompt& prompt, const char* key, std::size_t count) {
  const nlohmann::json list = facts_of(prompt, key)[key];
  bool fits = list.is_array() && list.size() == count;
  for (const nlohmann::json& value : list) fits = fits && value.is_string();
  if (!fits) {
    throw BadData("judge: metadata key '" + std::string(key) + "' of prompt " + std::to_string(prompt.row) +
                  " must be a list of " + std::to_string(count) + " texts");
  }
  return list.get<std::vector<std::string>>();
}

inline Verdict judge_reasoning(const Prompt& prompt, std::string_view response) {
  const std::vector<std::string> chain = needed_facts(prompt, "chain", 3);
  const ContextReading reading = read_context(response);
  const bool grounds = has_phrase(reading.whole, chain[0] + " over " + chain[1]) &&
                       has_phrase(reading.whole, chain[1] + " over " + chain[2]);
  return context_verdict(reading, {.tags = true, .grounds = true, .sure = true, .warm = false}, grounds,
                         reading.core == words_of(needed_fact(prompt, "answer")));
}

inline Verdict judge_social(const Prompt& prompt, std::string_view response) {
  const ContextReading reading = read_context(response);
  const std::string_view whole = reading.whole;
  const bool own_words = has_phrase(whole, needed_fact(prompt, "person")) &&
                         has_phrase(whole, needed_fact(prompt, "deed")) && !has_phrase(whole, "once upon");
  return context_verdict(reading, {.tags = false, .grounds = true, .sure = false, .warm = true}, joints_of(whole) >= 3,
                         own_words);
}

inline Verdict judge_web(const Prompt& prompt, std::string_view response) {
  const ContextReading reading = read_context(response);
  return context_verdict(reading, {.tags = false, .grounds = false, .sure = true, .warm = false}, false,
                         reading.core == words_of(needed_fact(prompt, "answer")));
}

inline Verdict judge_mind(const Prompt& prompt, std::string_view response) {
  const ContextReading reading = read_context(response);
  const std::string belief = needed_fact(prompt, "belief");
  const bool grounds = has_phrase(reading.whole, needed_fact(prompt, "person") + " saw the " + belief) &&
                       says_any(reading.whole, {"away", "not see"});
  const bool core = reading.core == words_of("the " + belief) || reading.core == words_of("in the " + belief);
  return context_verdict(reading, {.tags = true, .grounds = true, .sure = false, .warm = false}, grounds, core);
}

inline Verdict judge_thoughts(const Prompt& prompt, std::string_view response) {
  const ContextReading reading = read_context(response);
  const std::vector<std::string> topics = needed_facts(prompt, "topics", 2);
  const std::string_view whole = reading.whole;
  const bool view =
      has_phrase(whole, topics[0]) && has_phrase(whole, topics[1]) && !says_any(whole, {"common", "usual", "ordinary"});
  return context_verdict(reading, {.tags = false, .grounds = true, .sure = true, .warm = true},
                         has_phrase(whole, "because") && joints_of(whole) >= 3, view);
}

inline Verdict judge_translation(const Prompt& prompt, std::string_view response) {
  const ContextReading reading = read_context(response);
  return context_verdict(reading, {.tags = true, .grounds = false, .sure = true, .warm = false}, false,
                         reading.core == words_of(needed_fact(prompt, "kem")));
}

inline Verdict judge_feeling(const Prompt& prompt, std::string_view response) {
  const ContextReading reading = read_context(response);
  const std::string_view whole = reading.whole;
  const bool to_person = has_phrase(whole, "you feel " + needed_fact(prompt, "emotion")) &&
                         has_phrase(whole, needed_fact(prompt, "person")) && !says_any(whole, {"subject", "case"});
  return context_verdict(reading, {.tags = false, .grounds = false, .sure = false, .warm = true}, false, to_person);
}

}  // namespace maestro::judge
