#pragma once

/// @file
/// Judge of family `arithmetic`. Reads `answer` from the metadata, or else the reference.

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "verdict.hpp"

namespace maestro::judge {

/// A whole text as an integer of at most nine digits.
inline std::optional<long> integer(std::string_view text) {
  text = trimmed(text);
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 9) return std::nullopt;
  long value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return negative ? -value : value;
}

/// The value of a sum of integers such as "12+7-3".
inline std::optional<long> sum_of(std::string_view text) {
  long total = 0;
  std::size_t from = 0;
  while (from < text.size()) {
    std::size_t to = from + 1;
    while (to < text.size() && text[to] != '+' && text[to] != '-') ++to;
    std::string_view term = text.substr(from, to - from);
    if (from > 0 && term.front() == '+') term.remove_prefix(1);
    const std::optional<long> value = integer(term);
    if (!value) return std::nullopt;
    total += *value;
    from = to;
  }
  return text.empty() ? std::nullopt : std::optional<long>(total);
}

/// Whether the reasoning is a row of true equations, separated by spaces, whose last result is `answer`.
inline bool steps_hold(std::string_view think, long answer) {
  std::optional<long> last;
  think = trimmed(think);
  while (!think.empty()) {
    const std::size_t end = std::min(think.find(' '), think.size());
    const std::string_view step = think.substr(0, end);
    const std::size_t equals = step.find('=');
    if (equals == std::string_view::npos) return false;
    const std::optional<long> left = sum_of(step.substr(0, equals));
    last = integer(step.substr(equals + 1));
    if (!left || !last || *left != *last) return false;
    think = trimmed(think.substr(end));
  }
  return last && *last == answer;
}

/// Rules: well formed 0.2, exact answer 0.6, true steps that lead to it 0.2.
inline Verdict judge_arithmetic(const Prompt& prompt, std::string_view response) {
  const nlohmann::json facts = nlohmann::json::parse(prompt.metadata, nullptr, false);
  std::optional<long> expected;
  if (facts.is_object() && facts.contains("answer") && facts["answer"].is_number_integer()) {
    expected = facts["answer"].get<long>();
  } else {
    expected = integer(prompt.reference);
  }
  if (!expected) {
    throw BadData("judge: prompt " + std::to_string(prompt.row) +
                  " of task 'arithmetic' needs an integer 'answer' or reference");
  }
  const Reading reading = read_response(response);
  const std::optional<long> given = reading.has_answer ? integer(reading.answer) : std::nullopt;
  return {{{"well formed", reading.well_formed, 0.2},
           {"exact answer", given && *given == *expected, 0.6},
           {"true steps", reading.has_answer && steps_hold(reading.think, *expected), 0.2}}};
}

}  // namespace maestro::judge
