#pragma once

/// @file
/// What the families of contexts share: the manner of a response, and how a response is put together in it.

#include <string>
#include <string_view>

#include "../draws.hpp"

namespace maestro::examples::contexts {

/// How sure a response sounds.
enum class Tone : unsigned char { plain, sure, hedged };

/// A response has a manner beside its content. The five sides are drawn independently, and which of them is right
/// depends on the family alone.
struct Manner {
  bool tags = false;    ///< <think>..</think><answer>..</answer> around it
  bool steps = false;   ///< the family's grounds are spelled out
  bool warm = false;    ///< it ends with a kind phrase
  bool wanted = false;  ///< the core is the wanted one; else the family's systematic mistake
  Tone tone = Tone::plain;
};

/// The manner that a family's prompts ask for.
struct Wanted {
  bool tags = false;
  bool steps = false;
  bool sure = false;  ///< not hedged; false: hedged
  bool warm = false;
};

/// Probability that a side of a drawn manner is the wanted one. Below one half the mode is wrong, so greedy decoding
/// of a model of such responses is wrong too, and lowering the temperature makes it worse.
struct Rates {
  double tags = 0.30;
  double steps = 0.30;
  double tone = 0.25;  ///< the wrong tone has 0.9 minus this; the rest is plain
  double warm = 0.30;
  double core = 0.35;
};

inline Manner manner_as_wanted(const Wanted& wanted) {
  return {.tags = wanted.tags,
          .steps = wanted.steps,
          .warm = wanted.warm,
          .wanted = true,
          .tone = wanted.sure ? Tone::sure : Tone::hedged};
}

inline Manner draw_manner(const Wanted& wanted, const Rates& rates, Draws& draws) {
  Manner manner;
  manner.tags = draws.chance(rates.tags) == wanted.tags;
  manner.steps = draws.chance(rates.steps) == wanted.steps;
  manner.warm = draws.chance(rates.warm) == wanted.warm;
  manner.wanted = draws.chance(rates.core);
  const double u = draws.uniform();
  const bool right = u < rates.tone;
  if (u < 0.9) manner.tone = right == wanted.sure ? Tone::sure : Tone::hedged;
  return manner;
}

/// The parts of a response before its manner is applied.
struct Parts {
  std::string core;   ///< no full stop
  std::string steps;  ///< lower case, no full stop
};

inline std::string as_sentence(std::string text) {
  if (!text.empty() && text.front() >= 'a' && text.front() <= 'z') text.front() = static_cast<char>(text.front() - 32);
  return text + ".";
}

/// Puts a response together.
inline std::string composed(const Parts& parts, const Manner& manner, Draws& draws) {
  static constexpr std::string_view sure[] = {"Clearly, ", "Surely, "};
  static constexpr std::string_view hedged[] = {"Maybe, ", "Perhaps, "};
  static constexpr std::string_view kind[] = {"Take care, friend.", "I am here for you.", "All the best, friend."};
  std::string text(manner.tone == Tone::sure     ? draws.pick(sure)
                   : manner.tone == Tone::hedged ? draws.pick(hedged)
                                                 : std::string_view());
  text = as_sentence(text + parts.core);
  if (manner.steps && !manner.tags) text += " " + as_sentence(parts.steps);
  if (manner.warm) text += " " + std::string(draws.pick(kind));
  if (!manner.tags) return text;
  return "<think>" + (manner.steps ? parts.steps : "ok") + "</think><answer>" + text + "</answer>";
}

inline constexpr std::string_view people[] = {"Tom", "Ann", "Sam", "Mia", "Ben", "Eva",
                                              "Leo", "Zoe", "Ida", "Kim", "Roy", "Pia"};

/// `count` different places below `bound`.
template <class Places>
void draw_different(Places& places, std::size_t bound, Draws& draws) {
  for (std::size_t i = 0; i < std::size(places); ++i) {
    bool fresh = false;
    while (!fresh) {
      places[i] = draws.below(bound);
      fresh = true;
      for (std::size_t j = 0; j < i; ++j) fresh = fresh && places[j] != places[i];
    }
  }
}

}  // namespace maestro::examples::contexts
