#pragma once

/// @file
/// Answers of OpenAI-compatible servers of chat completions, and the scores in them.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/json.hpp"
#include "maestro/remote/call_ledger.hpp"
#include "maestro/reward/text_parts.hpp"

namespace maestro {

/// ChatAnswer is the answer of a judge's server.
struct ChatAnswer {
  std::string content;
  TokenUsage usage{};
  bool cut = false;  ///< whether the answer was cut at the limit of tokens
};

/// Reads the first choice of an answer of chat completions. A missing usage counts no tokens.
/// @throws BadFile naming the field if it is not such an answer.
inline ChatAnswer parse_chat_answer(std::string_view body, const std::string& place) {
  const Json json = parse_json(body, place);
  const JsonFields fields(json, place);
  const Json& choices = fields.at("choices");
  if (!choices.is_array() || choices.empty()) fields.fail("choices", "an array of at least one");
  const JsonFields choice(choices[0], place, "choices[0].");
  const JsonFields message(choice.at("message"), place, "choices[0].message.");
  ChatAnswer answer{.content = message.text("content")};
  answer.cut = choice.text_or("finish_reason", "") == "length";
  if (fields.has("usage")) {
    constexpr std::size_t most = 1000000000;
    const JsonFields usage(fields.at("usage"), place, "usage.");
    answer.usage = {usage.count_or("prompt_tokens", 0, most), usage.count_or("completion_tokens", 0, most)};
  }
  return answer;
}

/// ScoreReading holds the score in a judge's text, or the reason why there is none.
struct ScoreReading {
  std::optional<double> score{};
  std::string why{};
};

namespace detail {

/// Removes a number from the start of `text` and gives it; nullopt if there is none, or if other characters continue
/// it.
inline std::optional<double> take_number(std::string_view& text) {
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.empty()) return value;
  const auto alphanumeric = [&](std::size_t i) {
    return i < text.size() && std::isalnum(static_cast<unsigned char>(text[i])) != 0;
  };
  const bool joins = text[0] == ',' || text[0] == '.' || text[0] == '-';
  if (alphanumeric(0) || text[0] == '%' || text[0] == '_' || (joins && alphanumeric(1))) return std::nullopt;
  return value;
}

/// Removes a score from the start of `text` and gives it: a number, which may be followed by "of `best`" as in "7/10"
/// and "7 out of 10".
inline std::optional<double> take_score(std::string_view& text, double best) {
  const std::optional<double> value = take_number(text);
  if (!value) return std::nullopt;
  std::string_view rest = text.substr(std::min(text.find_first_not_of(' '), text.size()));
  if (rest.starts_with('/')) {
    rest.remove_prefix(1);
  } else if (rest.starts_with("out of ")) {
    rest.remove_prefix(7);
  } else {
    return value;
  }
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::optional<double> out_of = take_number(rest);
  text = rest;
  return out_of && *out_of == best ? value : std::nullopt;
}

/// Gives the score if the text consists only of one.
inline std::optional<double> bare_score(std::string_view text, double best) {
  const std::size_t first = text.find_first_not_of(" \t\r\n*");
  if (first == std::string_view::npos) return std::nullopt;
  text = text.substr(first, text.find_last_not_of(" \t\r\n*") + 1 - first);
  const std::optional<double> value = take_score(text, best);
  return text.empty() || text == "." ? value : std::nullopt;
}

/// Gives the JSON object that starts at text[start]; empty if its braces do not close.
inline std::string_view object_at(std::string_view text, std::size_t start) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = start; i < text.size(); ++i) {
    if (quoted) {
      if (text[i] == '\\')
        ++i;
      else if (text[i] == '"')
        quoted = false;
    } else if (text[i] == '"') {
      quoted = true;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}' && --depth == 0) {
      return text.substr(start, i + 1 - start);
    }
  }
  return {};
}

/// Records another score, and tells whether it equals those before.
inline bool agree(std::optional<double>& score, double another) {
  if (score && *score != another) return false;
  score = another;
  return true;
}

/// Records the numbers under "score" in the JSON objects of a text, and tells whether all are equal.
inline bool json_scores(std::string_view text, double best, std::optional<double>& score) {
  int objects = 0;
  for (std::size_t at = text.find('{'); at != std::string_view::npos && objects < 32; ++objects) {
    const std::string_view object = object_at(text, at);
    bool found = false;
    try {
      const Json json = object.empty() ? Json() : parse_json(object, "the judge's answer");
      const auto member = json.is_object() ? json.find("score") : json.end();
      if (json.is_object() && member != json.end()) {
        const auto value = member->is_number()   ? std::optional(member->get<double>())
                           : member->is_string() ? bare_score(member->get_ref<const std::string&>(), best)
                                                 : std::nullopt;
        found = value.has_value();
        if (found && !agree(score, *value)) return false;
      }
    } catch (const BadFile&) {
      found = false;  // braces that are no JSON
    }
    at = text.find('{', found ? at + object.size() : at + 1);
  }
  return true;
}

/// Records the numbers that follow the word "score", and tells whether all are equal.
inline bool worded_scores(std::string_view text, double best, std::optional<double>& score) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (std::size_t at = lower.find("score"); at != std::string::npos; at = lower.find("score", at + 5)) {
    std::string_view rest = std::string_view(lower).substr(at + 5);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\"'*_"), rest.size()));
    if (rest.starts_with("is "))
      rest.remove_prefix(2);
    else if (rest.starts_with(':') || rest.starts_with('='))
      rest.remove_prefix(1);
    else
      continue;
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\"'*_"), rest.size()));
    const std::optional<double> value = take_score(rest, best);
    if (value && !agree(score, *value)) return false;
  }
  return true;
}

}  // namespace detail

/// Reads a judge's score. It takes the number under "score" of a JSON object in the text. If there is none, it takes
/// the number after "score:", "score =" or "score is". If there is none either, the text must consist only of a number.
/// "7/10" is 7 if `best` is 10. Text before "</think>" is ignored. Two different scores, a score outside [worst, best],
/// and a text without a score give no score.
inline ScoreReading read_score(std::string_view text, double worst, double best) {
  if (const std::size_t thought = text.rfind("</think>"); thought != std::string_view::npos) {
    text.remove_prefix(thought + 8);
  }
  std::optional<double> score;
  bool agreed = detail::json_scores(text, best, score);
  if (agreed && !score) agreed = detail::worded_scores(text, best, score);
  if (!agreed) return {.why = "the judge gives two different scores: " + detail::quote_text(text, 160)};
  if (!score) score = detail::bare_score(text, best);
  if (!score) return {.why = "the judge gives no score: " + detail::quote_text(text, 160)};
  if (!(*score >= worst && *score <= best)) {
    return {.why = "the judge's score lies outside its range: " + detail::quote_text(text, 160)};
  }
  return {.score = score};
}

}  // namespace maestro
