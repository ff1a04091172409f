#pragma once

/// @file
/// chrF and chrF++ as sacrebleu computes them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "maestro/text/words.hpp"

namespace maestro {

/// ChrfKind says whether words count in addition to characters.
enum class ChrfKind : std::uint8_t {
  chrf2,           ///< n-grams of 1 to 6 characters
  chrf_plus_plus,  ///< n-grams of 1 to 6 characters, and of 1 and 2 words
};

/// ChrfCounts holds the counts of some segments from which chrF is computed. Those of a corpus are the sums over its
/// segments.
struct ChrfCounts {
  static constexpr std::size_t characters = 6;
  static constexpr std::size_t orders = characters + 2;
  std::array<std::uint64_t, orders> ours{};     ///< n-grams of the response: of 1 to 6 characters, of 1 and 2 words
  std::array<std::uint64_t, orders> theirs{};   ///< of the reference
  std::array<std::uint64_t, orders> matches{};  ///< of both

  ChrfCounts& operator+=(const ChrfCounts& other) {
    for (std::size_t n = 0; n < orders; ++n) {
      ours[n] += other.ours[n];
      theirs[n] += other.theirs[n];
      matches[n] += other.matches[n];
    }
    return *this;
  }
};

namespace detail {

inline bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// Gives the words of a text. A punctuation mark at the end of a word, or else at its start, is a word of its own.
inline std::vector<std::string_view> chrf_words(std::string_view text) {
  std::vector<std::string_view> words;
  for (const std::string_view word : python_words(text)) {
    const std::size_t last = word.size() - 1;
    if (last > 0 && is_ascii_punctuation(word[last])) {
      words.push_back(word.substr(0, last));
      words.push_back(word.substr(last));
    } else if (last > 0 && is_ascii_punctuation(word[0])) {
      words.push_back(word.substr(0, 1));
      words.push_back(word.substr(1));
    } else {
      words.push_back(word);
    }
  }
  return words;
}

/// Counts the n-grams gram(i) of two texts. N-grams of the response do not count if the reference has none of this
/// order.
template <class Gram, class OtherGram>
void count_grams(ChrfCounts& counts, std::size_t order, std::size_t ours, const Gram& gram, std::size_t theirs,
                 const OtherGram& other) {
  std::unordered_map<std::string_view, std::uint64_t> left;
  for (std::size_t i = 0; i < theirs; ++i) ++left[other(i)];
  counts.theirs[order] = theirs;
  counts.ours[order] = theirs > 0 ? ours : 0;
  for (std::size_t i = 0; i < ours; ++i) {
    const auto it = left.find(gram(i));
    if (it == left.end() || it->second == 0) continue;
    --it->second;
    ++counts.matches[order];
  }
}

}  // namespace detail

/// Gives the counts of one response against its reference.
inline ChrfCounts chrf_counts(std::string_view response, std::string_view reference) {
  struct Letters {
    std::string text;
    std::vector<std::size_t> places;
    explicit Letters(std::string_view whole) {
      for (const std::string_view word : python_words(whole)) text += word;
      places = detail::character_places(text);
    }
    std::size_t grams(std::size_t n) const { return places.size() > n ? places.size() - n : 0; }
    std::string_view gram(std::size_t i, std::size_t n) const {
      return std::string_view(text).substr(places[i], places[i + n] - places[i]);
    }
  };
  ChrfCounts counts;
  const Letters ours(response);
  const Letters theirs(reference);
  for (std::size_t n = 1; n <= ChrfCounts::characters; ++n) {
    detail::count_grams(
        counts, n - 1, ours.grams(n), [&](std::size_t i) { return ours.gram(i, n); }, theirs.grams(n),
        [&](std::size_t i) { return theirs.gram(i, n); });
  }
  const detail::JoinedWords our_words(detail::chrf_words(response));
  const detail::JoinedWords their_words(detail::chrf_words(reference));
  const auto grams = [](const detail::JoinedWords& words, std::size_t n) {
    return words.size() >= n ? words.size() - n + 1 : 0;
  };
  for (std::size_t n = 1; n <= 2; ++n) {
    detail::count_grams(
        counts, ChrfCounts::characters + n - 1, grams(our_words, n),
        [&](std::size_t i) { return our_words.gram(i, n); }, grams(their_words, n),
        [&](std::size_t i) { return their_words.gram(i, n); });
  }
  return counts;
}

/// Gives chrF in [0, 100]: the F-score with beta 2 of the mean precision and the mean recall over the orders that both
/// texts have. The result equals sacrebleu's corpus_chrf and, for the counts of one segment, sentence_chrf, with
/// word_order 0 or 2. Source: Popovic 2015, 2017.
inline double chrf(const ChrfCounts& counts, ChrfKind kind = ChrfKind::chrf2) {
  const std::size_t orders = kind == ChrfKind::chrf2 ? ChrfCounts::characters : ChrfCounts::orders;
  double precision = 0.0;
  double recall = 0.0;
  double used = 0.0;
  for (std::size_t n = 0; n < orders; ++n) {
    if (counts.ours[n] == 0 || counts.theirs[n] == 0) continue;
    const auto matches = static_cast<double>(counts.matches[n]);
    precision += matches / static_cast<double>(counts.ours[n]);
    recall += matches / static_cast<double>(counts.theirs[n]);
    used += 1.0;
  }
  if (!(precision + recall > 0.0)) return 0.0;
  precision /= used;
  recall /= used;
  constexpr double factor = 4.0;
  return 100.0 * ((1.0 + factor) * precision * recall / (factor * precision + recall));
}

/// Gives the chrF of one response, in [0, 100], as sacrebleu's sentence_chrf.
inline double sentence_chrf(std::string_view response, std::string_view reference, ChrfKind kind = ChrfKind::chrf2) {
  return chrf(chrf_counts(response, reference), kind);
}

}  // namespace maestro
