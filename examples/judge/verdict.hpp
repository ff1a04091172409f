#pragma once

/// @file
/// What a judge says of a response, and how it reads one. The judges share no code with the rewards: they are the
/// measure that training is held against, so training code must not reach them (tests/examples checks the includes).

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro::judge {

/// The outcome of one named rule.
struct Rule {
  std::string_view name;
  bool kept = false;
  double weight = 1.0;
};

/// The rules of a family with their outcomes; the score is their weighted mean, in [0, 1].
struct Verdict {
  std::vector<Rule> rules;

  double score() const {
    double kept = 0.0;
    double all = 0.0;
    for (const Rule& rule : rules) {
      kept += rule.kept ? rule.weight : 0.0;
      all += rule.weight;
    }
    return all > 0.0 ? kept / all : 0.0;
  }
  /// "well formed: yes, exact answer: no".
  std::string breakdown() const {
    std::string text;
    for (const Rule& rule : rules) {
      if (!text.empty()) text += ", ";
      text += std::string(rule.name) + (rule.kept ? ": yes" : ": no");
    }
    return text;
  }
};

/// A response taken apart.
struct Reading {
  bool well_formed = false;  ///< exactly <think>..</think><answer>..</answer>, neither empty, nothing but space around
  bool has_answer = false;   ///< there is an <answer> with its </answer> behind it
  std::string think;         ///< between the first <think> and the next </think>; empty if there is none
  std::string answer;        ///< between the first <answer> and the next </answer>
};

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Reads a response. A misplaced or missing tag costs `well_formed`; an answer that can still be found is read.
inline Reading read_response(std::string_view response) {
  static constexpr std::string_view tags[] = {"<think>", "</think>", "<answer>", "</answer>"};
  Reading reading;
  std::size_t at[4];
  bool once_in_order = true;
  for (std::size_t t = 0; t < 4; ++t) {
    at[t] = response.find(tags[t]);
    once_in_order = once_in_order && at[t] != std::string_view::npos && (t == 0 || at[t] > at[t - 1]) &&
                    response.find(tags[t], at[t] + 1) == std::string_view::npos;
  }
  const auto element = [&](std::string_view open, std::string_view close, bool& found) {
    const std::size_t from = response.find(open);
    const std::size_t to = from == std::string_view::npos ? from : response.find(close, from);
    found = to != std::string_view::npos;
    if (!found) return std::string();
    return std::string(trimmed(response.substr(from + open.size(), to - from - open.size())));
  };
  bool has_think = false;
  reading.think = element(tags[0], tags[1], has_think);
  reading.answer = element(tags[2], tags[3], reading.has_answer);
  if (once_in_order) {
    const std::string_view before = response.substr(0, at[0]);
    const std::string_view between = response.substr(at[1] + tags[1].size(), at[2] - at[1] - tags[1].size());
    const std::string_view after = response.substr(at[3] + tags[3].size());
    reading.well_formed = trimmed(before).empty() && trimmed(between).empty() && trimmed(after).empty() &&
                          !reading.think.empty() && !reading.answer.empty();
  }
  return reading;
}

/// The lower-case words of a text, apostrophes kept, everything else dropped.
inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || c == '\'') {
      words.back() += c;
    } else if (c >= 'A' && c <= 'Z') {
      words.back() += static_cast<char>(c - 'A' + 'a');
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// Whether the words of `phrase` stand in `text` next to each other, in any case.
inline bool has_phrase(std::string_view text, std::string_view phrase) {
  const std::vector<std::string> words = words_of(text);
  const std::vector<std::string> sought = words_of(phrase);
  if (sought.empty()) return false;
  for (std::size_t i = 0; i + sought.size() <= words.size(); ++i) {
    std::size_t same = 0;
    while (same < sought.size() && words[i + same] == sought[same]) ++same;
    if (same == sought.size()) return true;
  }
  return false;
}

/// The metadata of a prompt as JSON.
/// @throws BadData naming the prompt's row when it is not a JSON object with the key `needed`.
inline nlohmann::json facts_of(const Prompt& prompt, const char* needed) {
  nlohmann::json facts = nlohmann::json::parse(prompt.metadata, nullptr, false);
  if (!facts.is_object() || !facts.contains(needed)) {
    throw BadData("judge: prompt " + std::to_string(prompt.row) + " of task '" + prompt.task +
                  "' needs the metadata key '" + needed + "'; add it to the data line");
  }
  return facts;
}

/// The string at `key`, empty if there is none. @throws BadData when it is something else.
inline std::string fact(const nlohmann::json& facts, const char* key, const Prompt& prompt) {
  const auto found = facts.find(key);
  if (found == facts.end() || found->is_null()) return {};
  if (found->is_string()) return found->get<std::string>();
  throw BadData("judge: metadata key '" + std::string(key) + "' of prompt " + std::to_string(prompt.row) +
                " must be a string");
}

}  // namespace maestro::judge
