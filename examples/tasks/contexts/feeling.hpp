#pragma once

/// @file
/// Family `feeling`: name what a person feels, to that person.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "../emotion.hpp"
#include "manner.hpp"

namespace maestro::examples::contexts {

/// A person in a situation of the family `emotion`. The systematic mistake is the reference's register, a case report.
struct Feeling {
  static constexpr std::string_view task = "feeling";
  static constexpr Wanted wanted{.tags = false, .steps = false, .sure = false, .warm = true};

  std::size_t person = 0;
  std::size_t feeling = 0;
  std::size_t situation = 0;

  static Feeling draw(Draws& draws) {
    Feeling exercise;
    exercise.person = draws.below(std::size(people));
    exercise.feeling = draws.below(std::size(Emotion::feelings));
    exercise.situation = draws.below(6);
    return exercise;
  }

  std::string name() const { return std::string(people[person]); }
  std::string felt() const { return std::string(Emotion::feelings[feeling].name); }
  std::string event() const {
    std::string text(Emotion::feelings[feeling].situations[situation]);
    const std::size_t at = text.find('@');
    return at == std::string::npos ? text : text.replace(at, 1, person % 2 == 0 ? "his" : "her");
  }
  std::string content() const { return std::string(task) + name() + event(); }
  std::string text() const { return name() + " " + event() + ". What is it like?"; }
  std::string reference() const { return "Case report: the subject is " + felt() + "."; }
  nlohmann::json facts() const { return {{"person", name()}, {"emotion", felt()}}; }
  Parts parts(bool right, Draws&) const {
    return {right ? "you feel " + felt() + ", " + name() : "case report: the subject is " + felt(),
            "first it hurts or helps, then it fades, so it is usual because it is so"};
  }
};

}  // namespace maestro::examples::contexts
