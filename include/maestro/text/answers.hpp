#pragma once

/// @file
/// The answer in a response, read as a text, a number or a letter.

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "maestro/text/white_space.hpp"

namespace maestro {

namespace detail {

/// Gives the text between the last `open` and the next `close` after it; nullopt if there is no such pair.
inline std::optional<std::string_view> last_between(std::string_view text, std::string_view open,
                                                    std::string_view close) {
  const std::size_t start = text.rfind(open);
  if (start == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(start + open.size());
  const std::size_t end = rest.find(close);
  return end == std::string_view::npos ? std::nullopt : std::optional(rest.substr(0, end));
}

/// Gives the content of the last `\boxed{...}`; nullopt if there is none or its braces are not balanced.
inline std::optional<std::string_view> last_boxed(std::string_view text) {
  const std::size_t start = text.rfind("\\boxed{");
  if (start == std::string_view::npos) return std::nullopt;
  const std::string_view rest = text.substr(start + 7);
  int depth = 1;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    depth += rest[i] == '{' ? 1 : rest[i] == '}' ? -1 : 0;
    if (depth == 0) return rest.substr(0, i);
  }
  return std::nullopt;
}

inline bool is_word_byte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || (static_cast<unsigned char>(c) & 0x80u) != 0 || c == '_';
}

}  // namespace detail

/// Gives the answer in a response, without white space at its ends. It is the content of the last
/// `<answer>...</answer>`; else that of the last `\boxed{...}`; else the text after the last `</think>`; else the whole
/// text.
inline std::string_view answer_part(std::string_view text) {
  if (const auto tagged = detail::last_between(text, "<answer>", "</answer>")) return without_white_space(*tagged);
  if (const auto boxed = detail::last_boxed(text)) return without_white_space(*boxed);
  const std::size_t thought = text.rfind("</think>");
  if (thought != std::string_view::npos) text.remove_prefix(thought + 8);
  return without_white_space(text);
}

/// Gives the last number of a response's answer_part; nullopt if there is none. If there is a "####" (GSM8K's mark),
/// only the text after the last one is read. Commas may separate thousands. A minus sign counts if no word character is
/// before it. Two texts have equal numbers if these are the same double.
inline std::optional<double> number_answer(std::string_view text) {
  text = answer_part(text);
  if (const std::size_t mark = text.rfind("####"); mark != std::string_view::npos) text.remove_prefix(mark + 4);
  const auto digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  std::optional<double> last;
  for (std::size_t at = 0; at < text.size();) {
    const bool point = text[at] == '.' && digit(at + 1);
    if (!digit(at) && !point) {
      ++at;
      continue;
    }
    std::string number;
    if (at > 0 && text[at - 1] == '-' && (at == 1 || !detail::is_word_byte(text[at - 2]))) number = "-";
    if (point) number += '0';
    while (digit(at) ||
           (at < text.size() && text[at] == ',' && digit(at + 1) && digit(at + 2) && digit(at + 3) && !digit(at + 4))) {
      if (text[at] != ',') number += text[at];
      ++at;
    }
    if (at < text.size() && text[at] == '.' && digit(at + 1)) {
      number += text[at++];
      while (digit(at)) number += text[at++];
    }
    double value = 0.0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (error == std::errc{} && std::isfinite(value)) last = value;
  }
  return last;
}

/// Gives the letter of the choice in a response, 'A' to 'Z'. If the answer_part is only a letter, this is it; it may be
/// in parentheses or be followed by a mark and other text ("B", "(b)", "B. because"). Otherwise it is the letter after
/// the last "answer is" or "answer:". The result is nullopt if there is none: no letter is guessed from a sentence.
inline std::optional<char> letter_answer(std::string_view text) {
  text = answer_part(text);
  // A letter at the start: nothing before it but marks, and after it no word byte. In a sentence "A" and "I" are words.
  const auto at_start = [](std::string_view part, bool in_words) -> std::optional<char> {
    const std::size_t first = part.find_first_not_of(" \t\r\n*([\"'`$");
    if (first == std::string_view::npos) return std::nullopt;
    const char letter = part[first];
    if (std::isalpha(static_cast<unsigned char>(letter)) == 0) return std::nullopt;
    const std::string_view rest = part.substr(first + 1);
    if (!rest.empty() && (detail::is_word_byte(rest[0]) || rest[0] == '\'')) return std::nullopt;
    const std::size_t next = rest.find_first_not_of(" \t");
    const bool ends = next == std::string_view::npos ||
                      std::string_view(".):,]*\r\n\"`'$;").find(rest[next]) != std::string_view::npos;
    if (!ends && !in_words) return std::nullopt;
    if (!ends && std::isupper(static_cast<unsigned char>(letter)) == 0) return std::nullopt;
    return static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  };
  if (const auto letter = at_start(text, false)) return letter;
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (std::size_t at = lower.rfind("answer"); at != std::string::npos;
       at = at == 0 ? std::string::npos : lower.rfind("answer", at - 1)) {
    std::size_t rest = lower.find_first_not_of(" *", at + 6);
    if (rest == std::string::npos) continue;
    if (lower.compare(rest, 3, "is ") == 0 || lower.compare(rest, 3, "is:") == 0) {
      rest += 3;
    } else if (lower[rest] == ':') {
      rest += 1;
    } else {
      continue;
    }
    if (const auto letter = at_start(text.substr(rest), true)) return letter;
  }
  return std::nullopt;
}

}  // namespace maestro
