#pragma once

/// @file
/// Family `reasoning`: who comes first or last in a chain of two comparisons.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manner.hpp"

namespace maestro::examples::contexts {

/// The first is above the second, and the second above the third. The systematic mistake names the other end.
struct Reasoning {
  static constexpr std::string_view task = "reasoning";
  static constexpr Wanted wanted{.tags = true, .steps = true, .sure = true, .warm = false};
  struct Order {
    std::string_view above, highest, lowest;
  };
  static constexpr Order orders[] = {
      {"older", "oldest", "youngest"}, {"taller", "tallest", "shortest"}, {"faster", "fastest", "slowest"}};

  std::size_t person[3] = {0, 0, 0};
  std::size_t order = 0;
  bool asks_highest = false;

  static Reasoning draw(Draws& draws) {
    Reasoning exercise;
    draw_different(exercise.person, std::size(people), draws);
    exercise.order = draws.below(std::size(orders));
    exercise.asks_highest = draws.chance(0.5);
    return exercise;
  }

  std::string name(std::size_t place) const { return std::string(people[person[place]]); }
  std::string content() const { return std::string(task) + name(0) + name(1) + name(2); }
  std::string text() const {
    const Order& asked = orders[order];
    return name(0) + " is " + std::string(asked.above) + " than " + name(1) + ", " + name(1) + " than " + name(2) +
           ". Who is " + std::string(asks_highest ? asked.highest : asked.lowest) + "?";
  }
  std::string reference() const { return asks_highest ? name(0) : name(2); }
  nlohmann::json facts() const { return {{"answer", reference()}, {"chain", {name(0), name(1), name(2)}}}; }
  Parts parts(bool right, Draws&) const {
    return {right == asks_highest ? name(0) : name(2),
            "first " + name(0) + " over " + name(1) + ", then " + name(1) + " over " + name(2) + ", so it ends"};
  }
};

}  // namespace maestro::examples::contexts
