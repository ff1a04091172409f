#pragma once

/// @file
/// BLEU as sacrebleu computes it by default: tokenizer 13a, case kept, exponential smoothing.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "maestro/text/white_space.hpp"
#include "maestro/text/words.hpp"

namespace maestro {

namespace detail {

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// Tells whether mteval-v13a.pl puts spaces around a character: ASCII punctuation and the space, but not quotes,
/// dashes, periods and commas.
constexpr bool stands_alone(char c) {
  return (c >= '{' && c <= '~') || (c >= '[' && c <= '`') || (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') ||
         (c >= ':' && c <= '@') || c == '/';
}

/// Replaces each pair of characters that `first` and `second` accept, from left to right, by `edit(out, a, b)`.
template <class First, class Second, class Edit>
std::string edit_pairs(std::string_view text, const First& first, const Second& second, const Edit& edit) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (i + 1 < text.size() && first(text[i]) && second(text[i + 1])) {
      edit(out, text[i], text[i + 1]);
      i += 2;
    } else {
      out += text[i++];
    }
  }
  return out;
}

}  // namespace detail

/// Gives the text with spaces between the tokens of mteval-v13a, as sacrebleu's tokenizer 13a does. Source: Post 2018.
inline std::string tokenize_13a(std::string_view text) {
  std::string line(text);
  detail::replace_all(line, "<skipped>", "");
  detail::replace_all(line, "-\n", "");
  detail::replace_all(line, "\n", " ");
  detail::replace_all(line, "&quot;", "\"");
  detail::replace_all(line, "&amp;", "&");
  detail::replace_all(line, "&lt;", "<");
  detail::replace_all(line, "&gt;", ">");
  std::string spaced = " ";
  for (const char c : " " + line + " ") {
    if (detail::stands_alone(c)) {
      spaced += {' ', c, ' '};
    } else {
      spaced += c;
    }
  }
  const auto digit = [](char c) { return detail::is_digit(c); };
  const auto other = [](char c) { return !detail::is_digit(c); };
  const auto stop = [](char c) { return c == '.' || c == ','; };
  const auto dash = [](char c) { return c == '-'; };
  const auto split_second = [](std::string& out, char a, char b) { out += {a, ' ', b, ' '}; };
  const auto split_first = [](std::string& out, char a, char b) { out += {' ', a, ' ', b}; };
  spaced = detail::edit_pairs(spaced, other, stop, split_second);
  spaced = detail::edit_pairs(spaced, stop, other, split_first);
  spaced = detail::edit_pairs(spaced, digit, dash, split_second);
  return detail::JoinedWords(python_words(spaced)).text;
}

/// BleuCounts holds the counts of some segments from which BLEU is computed. Those of a corpus are the sums over its
/// segments.
struct BleuCounts {
  static constexpr std::size_t orders = 4;
  std::array<std::uint64_t, orders> correct{};  ///< n-grams that the reference has too, for n = 1 to 4
  std::array<std::uint64_t, orders> total{};    ///< n-grams of the response
  std::uint64_t length = 0;                     ///< tokens of the response
  std::uint64_t reference_length = 0;

  BleuCounts& operator+=(const BleuCounts& other) {
    for (std::size_t n = 0; n < orders; ++n) {
      correct[n] += other.correct[n];
      total[n] += other.total[n];
    }
    length += other.length;
    reference_length += other.reference_length;
    return *this;
  }
};

/// Gives the counts of one response against its reference.
inline BleuCounts bleu_counts(std::string_view response, std::string_view reference) {
  const auto words = [](std::string_view text) {
    const std::string_view inner = without_white_space(text);
    const auto end =
        inner.empty() ? std::size_t{0} : static_cast<std::size_t>(inner.data() - text.data()) + inner.size();
    return detail::JoinedWords(python_words(tokenize_13a(text.substr(0, end))));
  };
  const detail::JoinedWords ours = words(response);
  const detail::JoinedWords theirs = words(reference);
  BleuCounts counts;
  counts.length = ours.size();
  counts.reference_length = theirs.size();
  for (std::size_t n = 1; n <= BleuCounts::orders; ++n) {
    std::unordered_map<std::string_view, std::uint64_t> left;
    for (std::size_t i = 0; i + n <= theirs.size(); ++i) ++left[theirs.gram(i, n)];
    for (std::size_t i = 0; i + n <= ours.size(); ++i) {
      ++counts.total[n - 1];
      const auto it = left.find(ours.gram(i, n));
      if (it == left.end() || it->second == 0) continue;
      --it->second;
      ++counts.correct[n - 1];
    }
  }
  return counts;
}

/// BleuOrder says which n-grams BLEU uses if a response is too short for the longer ones.
enum class BleuOrder : std::uint8_t {
  whole,      ///< all four, for a corpus
  effective,  ///< up to the longest that the response has, for one segment
};

/// Gives BLEU in [0, 100]: the brevity penalty times the geometric mean of the precisions of 1- to 4-grams, in percent.
/// A precision of 0 counts as 1 / (2^k total), where k counts the zeros so far. If no word matches, BLEU is 0. The
/// result equals sacrebleu's corpus_bleu (BleuOrder::whole) and sentence_bleu (BleuOrder::effective). Source: Papineni
/// et al. 2002; Post 2018.
inline double bleu(const BleuCounts& counts, BleuOrder order = BleuOrder::whole) {
  if (std::all_of(counts.correct.begin(), counts.correct.end(), [](std::uint64_t c) { return c == 0; })) return 0.0;
  const auto length = static_cast<double>(counts.length);
  const auto wanted = static_cast<double>(counts.reference_length);
  const double penalty = counts.length < counts.reference_length ? std::exp(1.0 - wanted / length) : 1.0;
  double zeros = 1.0;
  double sum = 0.0;
  std::size_t used = 0;
  for (; used < BleuCounts::orders && counts.total[used] > 0; ++used) {
    const auto total = static_cast<double>(counts.total[used]);
    if (counts.correct[used] == 0) zeros *= 2.0;
    sum += std::log(counts.correct[used] > 0 ? 100.0 * static_cast<double>(counts.correct[used]) / total
                                             : 100.0 / (zeros * total));
  }
  if (order == BleuOrder::whole && used < BleuCounts::orders) return 0.0;
  return penalty * std::exp(sum / static_cast<double>(used));
}

/// Gives the BLEU of one response, in [0, 100], as sacrebleu's sentence_bleu.
inline double sentence_bleu(std::string_view response, std::string_view reference) {
  return bleu(bleu_counts(response, reference), BleuOrder::effective);
}

}  // namespace maestro
