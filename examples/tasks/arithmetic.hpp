#pragma once

/// @file
/// Family `arithmetic`: sums of two or three numbers, solved step by step.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "draws.hpp"
#include "faults.hpp"
#include "maestro/data/prompt.hpp"

namespace maestro::examples {

/// One exercise: first + second, then perhaps + or - a third number. The first has two digits, the others one: a small
/// model learns such steps in minutes.
struct Arithmetic {
  static constexpr std::string_view task = "arithmetic";

  int first = 0;
  int second = 0;
  int third = 0;  ///< signed; 0: there is none
  std::size_t wording = 0;
  std::size_t person = 0;
  std::size_t thing = 0;

  static Arithmetic draw(Draws& draws) {
    Arithmetic exercise;
    exercise.first = draws.between(10, 39);
    exercise.second = draws.between(2, 9);
    if (draws.chance(0.8)) exercise.third = draws.between(2, 9) * (draws.chance(0.3) ? -1 : 1);
    exercise.wording = draws.below(8);
    exercise.person = draws.below(8);
    exercise.thing = draws.below(8);
    return exercise;
  }

  int answer() const { return first + second + third; }

  /// The same for every order of the numbers that are added, and for every wording.
  std::string content() const {
    std::vector<int> added{first, second};
    if (third > 0) added.push_back(third);
    std::sort(added.begin(), added.end());
    std::string key(task);
    for (const int value : added) key.append("+").append(std::to_string(value));
    return third < 0 ? key + std::to_string(third) : key;
  }

  std::string expression() const {
    std::string text = std::to_string(first) + "+" + std::to_string(second);
    if (third != 0) text += (third > 0 ? "+" : "") + std::to_string(third);
    return text;
  }

  Prompt prompt() const {
    Prompt prompt;
    prompt.text = wording >= 6 ? told() : third >= 0 && wording >= 4 ? listed() : asked();
    prompt.text += "\n";
    prompt.reference = std::to_string(answer());
    prompt.task = std::string(task);
    prompt.metadata = nlohmann::json{{"answer", answer()}}.dump();
    return prompt;
  }

  /// A response with the faults that fall to it.
  std::string respond(const Faults& faults, Flaws& flaws, Draws& draws) const {
    static constexpr int slips[] = {-10, -2, -1, 1, 2, 10};
    const auto slipped = [&](int value) {
      const int wrong = value + draws.pick(slips);
      return wrong > 0 ? wrong : value + 1;
    };
    flaws.wrong_step = draws.chance(faults.wrong_step);
    const bool in_second = third != 0 && draws.chance(0.5);
    int running = first + second;
    if (flaws.wrong_step && !in_second) running = slipped(running);
    Draft draft{std::to_string(first) + "+" + std::to_string(second) + "=" + std::to_string(running), ""};
    if (third != 0) {
      const std::string step = std::to_string(running) + (third > 0 ? "+" : "") + std::to_string(third) + "=";
      running += third;
      if (flaws.wrong_step && in_second) running = slipped(running);
      draft.think += " " + step + std::to_string(running);
    }
    if ((flaws.wrong_answer = draws.chance(faults.wrong_answer))) running = slipped(running);
    draft.answer = std::to_string(running);
    return finish_response(draft, faults, flaws, draws);
  }

 private:
  std::string asked() const {
    static constexpr std::string_view forms[] = {"Compute @.", "What is @?", "Please work out @.",
                                                 "Solve step by step: @"};
    return with(std::string(forms[wording % 4]), "@", expression());
  }
  std::string listed() const {
    const std::string numbers =
        third == 0 ? std::to_string(first) + " and " + std::to_string(second)
                   : std::to_string(first) + ", " + std::to_string(second) + " and " + std::to_string(third);
    return (wording == 4 ? "Add " : "Find the sum of ") + numbers + ".";
  }
  std::string told() const {
    static constexpr std::string_view people[] = {"Tom", "Ann", "Sam", "Mia", "Ben", "Eva", "Leo", "Zoe"};
    static constexpr std::string_view things[] = {"pens",   "apples", "coins", "cards",
                                                  "shells", "books",  "eggs",  "nuts"};
    std::string text = std::string(people[person]) + " has " + std::to_string(first) + " " +
                       std::string(things[thing]) + " and gets " + std::to_string(second) + " more";
    if (third > 0) text += ", then " + std::to_string(third) + " more";
    if (third < 0) text += ", then loses " + std::to_string(-third);
    return text + (wording == 6 ? ". How many now?" : ". How many in all?");
  }
};

}  // namespace maestro::examples
