#pragma once

/// @file
/// Family `mind`: where someone will look for a thing that was moved meanwhile.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manner.hpp"

namespace maestro::examples::contexts {

/// A false belief. The systematic mistake is where the thing really is.
struct Mind {
  static constexpr std::string_view task = "mind";
  static constexpr Wanted wanted{.tags = true, .steps = true, .sure = false, .warm = false};
  static constexpr std::string_view things[] = {"key", "hat", "pen", "map", "cup", "toy"};
  static constexpr std::string_view places[] = {"box", "sack", "drawer", "tent", "hall", "van", "kitchen", "loft"};

  std::size_t person[2] = {0, 0};
  std::size_t place[2] = {0, 0};
  std::size_t thing = 0;

  static Mind draw(Draws& draws) {
    Mind exercise;
    draw_different(exercise.person, std::size(people), draws);
    draw_different(exercise.place, std::size(places), draws);
    exercise.thing = draws.below(std::size(things));
    return exercise;
  }

  std::string name(std::size_t who) const { return std::string(people[person[who]]); }
  std::string where(std::size_t which) const { return "the " + std::string(places[place[which]]); }
  std::string content() const { return std::string(task) + name(0) + where(0) + where(1); }
  std::string text() const {
    return name(0) + " left a " + std::string(things[thing]) + " in " + where(0) + ". " + name(1) + " moved it to " +
           where(1) + ". Where does " + name(0) + " look?";
  }
  std::string reference() const { return where(0); }
  nlohmann::json facts() const {
    return {{"person", name(0)}, {"belief", places[place[0]]}, {"place", places[place[1]]}};
  }
  Parts parts(bool right, Draws&) const {
    return {where(right ? 0 : 1), "first " + name(0) + " saw " + where(0) + ", then was away, so did not see"};
  }
};

}  // namespace maestro::examples::contexts
