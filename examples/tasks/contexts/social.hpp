#pragma once

/// @file
/// Family `social`: a social story, which tells someone gently how a situation can go.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manner.hpp"

namespace maestro::examples::contexts {

/// A person and what he or she is to manage. The systematic mistake is the reference's stock opening.
struct Social {
  static constexpr std::string_view task = "social";
  static constexpr Wanted wanted{.tags = false, .steps = true, .sure = false, .warm = true};
  static constexpr std::string_view deeds[] = {"share a ball", "wait in line", "say hello",   "ask for help",
                                               "lose a game",  "take turns",   "calm down",   "tidy the room",
                                               "keep quiet",   "meet a guest", "visit a vet", "join a team"};

  std::size_t person = 0;
  std::size_t deed = 0;
  std::size_t wording = 0;

  static Social draw(Draws& draws) {
    Social story;
    story.person = draws.below(std::size(people));
    story.deed = draws.below(std::size(deeds));
    story.wording = draws.below(3);
    return story;
  }

  std::string name() const { return std::string(people[person]); }
  std::string content() const { return std::string(task) + name() + std::string(deeds[deed]); }
  std::string text() const {
    static constexpr std::string_view forms[] = {"Tell how @ can ", "A story: @ has to ", "Help @ to "};
    std::string form(forms[wording]);
    return form.replace(form.find('@'), 1, name()) + std::string(deeds[deed]) + ".";
  }
  std::string reference() const { return "Once upon a time " + name() + " had to " + std::string(deeds[deed]) + "."; }
  nlohmann::json facts() const { return {{"person", name()}, {"deed", deeds[deed]}}; }
  Parts parts(bool right, Draws& draws) const {
    static constexpr std::string_view ways[] = {"first we wait, then we try, so all smile",
                                                "first we look, then we ask, so it goes well"};
    return {right ? name() + " can try to " + std::string(deeds[deed])
                  : "once upon a time " + name() + " had to " + std::string(deeds[deed]),
            std::string(draws.pick(ways))};
  }
};

}  // namespace maestro::examples::contexts
