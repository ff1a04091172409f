#pragma once

/// @file
/// The demo's prompts, demonstrations and preference pairs. All are functions of their arguments alone.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "arithmetic.hpp"
#include "draws.hpp"
#include "emotion.hpp"
#include "faults.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"
#include "maestro/core/names.hpp"
#include "maestro/data/prompt.hpp"
#include "story.hpp"

namespace maestro::examples {

/// Parts of the data that share no content: no exercise, no cast of a story, no person in a situation.
enum class Split : std::uint8_t { train, dev, held_out };

/// Any exercise of the three families.
using Exercise = std::variant<Arithmetic, Story, Emotion>;
inline constexpr std::size_t families = std::variant_size_v<Exercise>;
inline constexpr std::string_view family_names[families] = {Arithmetic::task, Story::task, Emotion::task};

/// The split that owns a content, by its hash (FNV-1a, then a finalizer): 70 % train, 10 % dev, 20 % held out.
inline Split split_of(std::string_view content) {
  std::uint64_t hash = fnv1a(content);
  hash = (hash ^ (hash >> 33)) * 0xFF51AFD7ED558CCDu;
  hash ^= hash >> 33;
  const std::uint64_t slot = hash % 10;
  return slot < 7 ? Split::train : slot < 8 ? Split::dev : Split::held_out;
}

inline std::string content_of(const Exercise& exercise) {
  return std::visit([](const auto& e) { return e.content(); }, exercise);
}

/// The exercise of a data row: family row % 3, redrawn until its content belongs to `split`.
inline Exercise draw_exercise(Split split, std::uint64_t seed, std::uint32_t use, std::uint32_t row,
                              std::uint32_t first_attempt = 0) {
  for (std::uint32_t attempt = first_attempt;; ++attempt) {
    Draws draws(seed, use, row, attempt);
    Exercise exercise = row % families == 0   ? Exercise(Arithmetic::draw(draws))
                        : row % families == 1 ? Exercise(Story::draw(draws))
                                              : Exercise(Emotion::draw(draws));
    if (split_of(content_of(exercise)) == split) return exercise;
  }
}

/// The prompt of an exercise; a story's reference depends on its content alone.
inline Prompt prompt_of(const Exercise& exercise, std::int64_t row) {
  Prompt prompt = std::visit(
      [](const auto& e) {
        if constexpr (std::is_same_v<std::decay_t<decltype(e)>, Story>) {
          std::uint64_t key = 0;
          for (const char c : e.content()) key = key * 131 + static_cast<unsigned char>(c);
          return e.prompt(Draws(key, static_cast<std::uint32_t>(DataUse::references), 0));
        } else {
          return e.prompt();
        }
      },
      exercise);
  prompt.row = row;
  return prompt;
}

/// `count` prompts of a split, the chosen families in turn (in the order of family_names), `row` from 0. No text comes
/// twice while a thousand redraws find a new one, so a small evaluation set has no repetitions. Every text ends in a
/// newline. The prompts of a family are the same, in the same order, whichever others are chosen.
/// @throws BadArgument for a name that is no family, or when none is given.
inline std::vector<Prompt> make_prompts(Split split, std::size_t count, std::uint64_t seed,
                                        std::span<const std::string> chosen) {
  if (chosen.empty()) throw BadArgument("tasks: none chosen; known are " + join_names(family_names));
  bool wanted[families] = {};
  for (const std::string& name : chosen) wanted[index_of_name("tasks", name, family_names)] = true;
  if (count > 0xFFFFFFFFu / families)
    throw BadArgument("tasks: at most 2^32 / 3 prompts, not " + std::to_string(count));
  std::vector<Prompt> prompts;
  std::set<std::string> seen;
  for (std::uint32_t row = 0; prompts.size() < count; ++row) {
    if (!wanted[row % families]) continue;
    Prompt prompt;
    for (std::uint32_t retry = 0; retry < 1000; ++retry) {
      const auto use = static_cast<std::uint32_t>(DataUse::prompts) + static_cast<std::uint32_t>(split);
      prompt = prompt_of(draw_exercise(split, seed, use, row, retry * 1000), static_cast<std::int64_t>(prompts.size()));
      if (seen.insert(prompt.text).second) break;
    }
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

/// As above, of all families.
inline std::vector<Prompt> make_prompts(Split split, std::size_t count, std::uint64_t seed) {
  const std::vector<std::string> all(std::begin(family_names), std::end(family_names));
  return make_prompts(split, count, seed, all);
}

/// A prompt with a response, and what is wrong with it.
struct Demonstration {
  Prompt prompt;
  std::string response;
  Flaws flaws;
};

inline std::string respond(const Exercise& exercise, const Faults& faults, Flaws& flaws, Draws& draws) {
  return std::visit([&](const auto& e) { return e.respond(faults, flaws, draws); }, exercise);
}

/// `count` demonstrations on prompts of the train split, the families in turn, from data row `first_row` on: a longer
/// list starts with the shorter one, so a stream of batches can be made piece by piece.
inline std::vector<Demonstration> make_demonstrations(std::size_t count, std::uint64_t seed, const Faults& faults = {},
                                                      std::size_t first_row = 0) {
  const auto use = static_cast<std::uint32_t>(DataUse::demonstrations);
  std::vector<Demonstration> demonstrations(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::uint32_t>(first_row + i);
    const Exercise exercise = draw_exercise(Split::train, seed, use, row);
    Demonstration& demonstration = demonstrations[i];
    demonstration.prompt = prompt_of(exercise, row);
    Draws draws(seed, use, row, 0x800000u);
    demonstration.response = respond(exercise, faults, demonstration.flaws, draws);
  }
  return demonstrations;
}

/// Two responses to one prompt, the first preferred.
struct PreferencePair {
  Prompt prompt;
  std::string chosen;
  std::string rejected;
};

/// What the preference oracle likes: kind, fluent, on the topic, well formed. It cannot calculate and does not count.
inline double preference_utility(const Flaws& flaws) {
  return -1.0 * flaws.tags - 1.2 * flaws.garbled - 1.0 * flaws.rambling - 0.8 * flaws.repeated_sentence -
         1.0 * flaws.missing_word - 0.8 * flaws.wrong_emotion - 0.4 * flaws.second_emotion - 1.5 * flaws.unkind -
         0.7 * flaws.neutral - 0.4 * flaws.no_reasoning;
}

/// `count` pairs on prompts of the train split. The order is that of utility plus logistic noise of scale 0.2, so the
/// oracle errs now and then. The two responses have a random share of the fault rates each, and some have letters lost
/// or swapped. As make_demonstrations otherwise.
inline std::vector<PreferencePair> make_preference_pairs(std::size_t count, std::uint64_t seed,
                                                         const Faults& faults = {}, std::size_t first_row = 0) {
  const auto use = static_cast<std::uint32_t>(DataUse::preferences);
  std::vector<PreferencePair> pairs(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = static_cast<std::uint32_t>(first_row + i);
    const Exercise exercise = draw_exercise(Split::train, seed, use, row);
    Draws draws(seed, use, row, 0x800000u);
    std::string responses[2];
    double liking[2] = {0.0, 0.0};
    const double shares[2] = {draws.uniform(), draws.uniform()};
    Flaws first;
    for (std::size_t side = 0; side < 2; ++side) {
      Flaws flaws;
      for (int attempt = 0; attempt < 4; ++attempt) {
        flaws = Flaws{};
        responses[side] = respond(exercise, faults.scaled(shares[side]), flaws, draws);
        if ((flaws.garbled = draws.chance(0.15))) responses[side] = garbled(responses[side], draws);
        if (side == 0 || flaws != first) break;
      }
      first = flaws;
      const double u = (draws.uniform() + 0x1p-54);
      liking[side] = preference_utility(flaws) + 0.2 * std::log(u / (1.0 - u));
    }
    const std::size_t better = liking[0] >= liking[1] ? 0 : 1;
    pairs[i] = {prompt_of(exercise, row), std::move(responses[better]), std::move(responses[1 - better])};
  }
  return pairs;
}

}  // namespace maestro::examples
