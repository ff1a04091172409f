/// @file
/// What the Python tests compare RewardSide with: the parts of the library put together as C++ types. Reads lines of a
/// hidden state (6) and three rewards, twelve lines a step; writes the advantages of every step.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "maestro/conductor/learned.hpp"
#include "maestro/scalarization/default.hpp"

namespace {

constexpr std::size_t rewards = 3;
constexpr std::size_t hidden_size = 6;
constexpr std::size_t groups = 3;
constexpr std::size_t group_size = 4;
constexpr std::size_t responses = groups * group_size;

}  // namespace

int main() {
  maestro::LinearConductor<rewards> conductor({.period = 2, .learning_rate = 0.05});
  const maestro::DefaultScalarization scalarize;
  const maestro::Groups partition = maestro::Groups::uniform(groups, group_size);
  const std::vector<std::int64_t> prompts{0, 1, 2};
  maestro::SingleProcess alone;
  maestro::Matrix<float> hidden(responses, hidden_size);
  maestro::Matrix<float> scores(responses, rewards);
  maestro::Matrix<float> counterfactuals(responses, rewards);
  std::vector<float> advantages(responses);
  std::vector<float> scalar_rewards(responses);

  std::string line;
  for (std::uint32_t step = 0;; ++step) {
    for (std::size_t i = 0; i < responses; ++i) {
      if (!std::getline(std::cin, line)) return 0;
      std::istringstream words(line);
      std::string word;
      for (float& value : hidden.row(i)) value = (words >> word, std::strtof(word.c_str(), nullptr));
      for (float& value : scores.row(i)) value = (words >> word, std::strtof(word.c_str(), nullptr));
    }
    const maestro::Decision decision = conductor.decide(
        {.hidden = hidden, .rewards = scores, .groups = partition, .rows = prompts, .seed = 9, .step = step});
    scalarize({scores, decision, partition}, {advantages, scalar_rewards, counterfactuals.view()}, alone);
    conductor.observe({.decision = decision,
                       .hidden = hidden,
                       .groups = partition,
                       .advantages = advantages,
                       .counterfactuals = counterfactuals,
                       .step = step,
                       .rewards = scores,
                       .seed = 9});
    conductor.update();
    for (const float advantage : advantages) std::printf("%a\n", static_cast<double>(advantage));
  }
}
