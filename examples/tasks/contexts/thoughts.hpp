#pragma once

/// @file
/// Family `thoughts`: a view on two everyday things.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manner.hpp"

namespace maestro::examples::contexts {

/// Two topics. The systematic mistake is the reference's flat phrase, which takes no view.
struct Thoughts {
  static constexpr std::string_view task = "thoughts";
  static constexpr Wanted wanted{.tags = false, .steps = true, .sure = true, .warm = true};
  static constexpr std::string_view topics[] = {"rain", "tea",   "dogs", "maps",  "bread", "songs", "games", "hills",
                                                "cats", "lamps", "jam",  "kites", "snow",  "figs",  "oats",  "wool"};

  std::size_t topic[2] = {0, 0};
  std::size_t wording = 0;

  static Thoughts draw(Draws& draws) {
    Thoughts exercise;
    draw_different(exercise.topic, std::size(topics), draws);
    exercise.wording = draws.below(3);
    return exercise;
  }

  std::string both() const { return std::string(topics[topic[0]]) + " and " + std::string(topics[topic[1]]); }
  std::string content() const { return std::string(task) + both(); }
  std::string text() const {
    static constexpr std::string_view forms[] = {"Your view of @?", "What of @?", "Say what you hold of @."};
    std::string form(forms[wording]);
    return form.replace(form.find('@'), 1, both());
  }
  std::string reference() const { return as_sentence(both() + " are common things"); }
  nlohmann::json facts() const { return {{"topics", {topics[topic[0]], topics[topic[1]]}}}; }
  Parts parts(bool right, Draws& draws) const {
    static constexpr std::string_view grounds[] = {"because one helps us, then the other rests us, so I want both",
                                                   "because both cost little, then both last, so I keep both"};
    return {both() + (right ? " make life good" : " are common things"), std::string(draws.pick(grounds))};
  }
};

}  // namespace maestro::examples::contexts
