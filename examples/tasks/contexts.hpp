#pragma once

/// @file
/// Seven families of prompts among which the right manner of a response differs, so that no one weighting of cheap
/// rewards suits them all. All are functions of their arguments alone.

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "contexts/feeling.hpp"
#include "contexts/manner.hpp"
#include "contexts/mind.hpp"
#include "contexts/reasoning.hpp"
#include "contexts/social.hpp"
#include "contexts/thoughts.hpp"
#include "contexts/translation.hpp"
#include "contexts/web.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/data/prompt.hpp"
#include "tasks.hpp"

namespace maestro::examples::contexts {

/// An exercise of any of the seven families.
using AnyExercise = std::variant<Reasoning, Social, Web, Mind, Thoughts, Translation, Feeling>;
inline constexpr std::size_t family_count = std::variant_size_v<AnyExercise>;
inline constexpr std::array<std::string_view, family_count> names{
    Reasoning::task, Social::task, Web::task, Mind::task, Thoughts::task, Translation::task, Feeling::task};

/// What a stream of draws is for; see DataUse.
enum class Use : std::uint32_t { prompts = 32, base = 40, demonstrations = 41, compositions = 42 };

namespace detail {

template <std::size_t... I>
AnyExercise drawn(std::size_t family, Draws& draws, std::index_sequence<I...>) {
  AnyExercise exercise;
  static_cast<void>(
      ((family == I && (exercise = std::variant_alternative_t<I, AnyExercise>::draw(draws), true)) || ...));
  return exercise;
}

}  // namespace detail

/// The exercise of a data row: family row % 7, redrawn until its content belongs to `split`.
inline AnyExercise exercise_of_row(Split split, std::uint64_t seed, Use use, std::uint32_t row,
                                   std::uint32_t first_attempt = 0) {
  for (std::uint32_t attempt = first_attempt;; ++attempt) {
    Draws draws(seed, static_cast<std::uint32_t>(use), row, attempt);
    AnyExercise exercise = detail::drawn(row % family_count, draws, std::make_index_sequence<family_count>());
    if (split_of(std::visit([](const auto& e) { return e.content(); }, exercise)) == split) return exercise;
  }
}

/// A response to an exercise in a given manner.
inline std::string respond(const AnyExercise& exercise, const Manner& manner, Draws& draws) {
  return std::visit([&](const auto& e) { return composed(e.parts(manner.wanted, draws), manner, draws); }, exercise);
}

inline const Wanted& wanted_of(const AnyExercise& exercise) {
  return std::visit([](const auto& e) -> const Wanted& { return e.wanted; }, exercise);
}

/// A full response as it should be, in the form of the policy's own responses.
inline std::string demonstration_of(const AnyExercise& exercise, Draws& draws) {
  return respond(exercise, manner_as_wanted(wanted_of(exercise)), draws);
}

inline Prompt prompt_of(const AnyExercise& exercise, std::int64_t row) {
  Prompt prompt;
  std::visit(
      [&](const auto& e) {
        prompt.text = e.text() + "\n";
        prompt.reference = e.reference();
        prompt.task = e.task;
        prompt.metadata = e.facts().dump();
      },
      exercise);
  prompt.row = row;
  return prompt;
}

/// A prompt and a response to it.
struct Pair {
  Prompt prompt;
  std::string response;
};

/// `count` prompts of a split, each with a demonstration, the families in turn (in the order of `names`), `row` from 0.
/// No text comes twice while a thousand redraws find a new one.
inline std::vector<Pair> make_pairs(Split split, std::size_t count, std::uint64_t seed) {
  require(count <= 0xFFFFFFFFu, "contexts: at most 2^32 - 1 prompts");
  std::vector<Pair> pairs;
  std::set<std::string> seen;
  const auto use = static_cast<Use>(static_cast<std::uint32_t>(Use::prompts) + static_cast<std::uint32_t>(split));
  for (std::uint32_t row = 0; row < count; ++row) {
    Pair pair;
    for (std::uint32_t retry = 0; retry < 1000; ++retry) {
      const AnyExercise exercise = exercise_of_row(split, seed, use, row, retry * 1000);
      Draws draws(seed, static_cast<std::uint32_t>(Use::compositions), row, retry);
      pair = {contexts::prompt_of(exercise, static_cast<std::int64_t>(row)), demonstration_of(exercise, draws)};
      if (seen.insert(pair.prompt.text).second) break;
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// As make_pairs, without the demonstrations.
inline std::vector<Prompt> make_prompts(Split split, std::size_t count, std::uint64_t seed) {
  std::vector<Prompt> prompts;
  for (Pair& pair : make_pairs(split, count, seed)) prompts.push_back(std::move(pair.prompt));
  return prompts;
}

/// `count` responses of the base's corpus on prompts of the train split, from data row `first_row` on: in a manner
/// drawn with `rates`, so the most frequent one is wrong on every side.
inline std::vector<Pair> make_corpus(std::size_t count, std::uint64_t seed, const Rates& rates = {},
                                     std::size_t first_row = 0) {
  std::vector<Pair> pairs(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::uint32_t>(first_row + i);
    const AnyExercise exercise = exercise_of_row(Split::train, seed, Use::base, row);
    Draws draws(seed, static_cast<std::uint32_t>(Use::base), row, 0x800000u);
    const Manner manner = draw_manner(wanted_of(exercise), rates, draws);
    pairs[i] = {contexts::prompt_of(exercise, row), respond(exercise, manner, draws)};
  }
  return pairs;
}

}  // namespace maestro::examples::contexts
