#pragma once

/// @file
/// Family `web`: a question as typed into a search box, after a snippet that answers it.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "manner.hpp"

namespace maestro::examples::contexts {

/// Two cities with opposite properties, one of which is asked for. The systematic mistake is the other city.
struct Web {
  static constexpr std::string_view task = "web";
  static constexpr Wanted wanted{.tags = false, .steps = false, .sure = true, .warm = false};
  static constexpr std::string_view cities[] = {"Lima",  "Oslo",  "Rome",  "Cairo", "Delhi",
                                                "Paris", "Quito", "Tokyo", "Kyiv",  "Bern"};
  static constexpr std::string_view properties[][2] = {{"warm", "cold"}, {"old", "new"}, {"big", "small"},
                                                       {"near", "far"},  {"wet", "dry"}, {"rich", "poor"}};

  std::size_t city[2] = {0, 0};
  std::size_t property = 0;
  bool turned = false;
  bool asks_first = false;

  static Web draw(Draws& draws) {
    Web question;
    draw_different(question.city, std::size(cities), draws);
    question.property = draws.below(std::size(properties));
    question.turned = draws.chance(0.5);
    question.asks_first = draws.chance(0.5);
    return question;
  }

  std::string name(std::size_t place) const { return std::string(cities[city[place]]); }
  std::string has(std::size_t place) const { return std::string(properties[property][turned ? 1 - place : place]); }
  std::string content() const { return std::string(task) + name(0) + name(1) + has(0); }
  std::string text() const {
    return name(0) + " is " + has(0) + ", " + name(1) + " is " + has(1) + ". Which is " + has(asks_first ? 0 : 1) + "?";
  }
  std::string reference() const { return name(asks_first ? 0 : 1); }
  nlohmann::json facts() const { return {{"answer", reference()}}; }
  Parts parts(bool right, Draws&) const {
    return {name(right == asks_first ? 0 : 1), "first many ask this, then I look, so I say it because it is so"};
  }
};

}  // namespace maestro::examples::contexts
