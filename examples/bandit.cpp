// A contextual bandit with three objectives: MAESTRO without a language model.
//
// Each context has six actions. Action 2k serves objective k best, and each context rewards one objective more than the
// others; the last one rewards two of them alike. The Conductor has to find, per context, which objective to stress.
// What tells it is how high the objectives are, so this is the paper's reading: the library's default compares
// responses within each objective, in whatever units, and would settle for a compromise between the three.

#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "maestro/conductor/learned.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"

namespace {

constexpr std::size_t contexts = 4;
constexpr std::array<std::array<double, 3>, contexts> scale{
    {{1.0, 0.3, 0.3}, {0.3, 1.0, 0.3}, {0.3, 0.3, 1.0}, {0.8, 0.8, 0.1}}};

/// Objective `index` of the bandit: largest at action 2 * index, less the further away an action is.
struct Objective {
  std::string name;
  std::size_t index;

  float operator()(const maestro::Completion& c) const {
    const double distance = static_cast<double>(c.tokens[0]) - 2.0 * static_cast<double>(index);
    return static_cast<float>(scale[static_cast<std::size_t>(c.prompt.row)][index] *
                              std::exp(-distance * distance / 4));
  }
};

}  // namespace

int main() {
  std::vector<maestro::Prompt> prompts(contexts);
  for (std::size_t c = 0; c < contexts; ++c) prompts[c].row = static_cast<std::int64_t>(c);

  maestro::RewardSet rewards{Objective{"quality", 0}, Objective{"speed", 1}, Objective{"price", 2}};
  maestro::TabularPolicy<float> policy({.contexts = contexts, .actions = 6});
  maestro::LinearConductor<3> conductor({.emphasis = maestro::Emphasis::one_hot,
                                         .estimator = maestro::Estimator::sampled,
                                         .entropy_bonus = 0.01,
                                         .learning_rate = 0.02});
  maestro::TrainerOptions options{
      .prompts_per_step = contexts, .sampling = {.num_generations = 32}, .learning_rate = 0.02};
  maestro::Trainer trainer{policy, rewards, conductor, maestro::GroupRelative{}, options};
  for (int step = 0; step < 400; ++step) trainer.step(prompts);

  // What the Conductor now stresses for the responses of each context, and what the policy does there.
  const auto trace = trainer.trace();
  maestro::Matrix<float> weights(trace.rollouts.size(), 3);
  trainer.conductor().weights(trace.rollouts.hidden, weights.view());
  std::printf("context   scale of quality speed price   learned weights    mean action\n");
  for (std::size_t c = 0; c < contexts; ++c) {
    std::array<double, 3> weight{};
    double action = 0.0;
    const auto& groups = trace.rollouts.groups;
    for (std::size_t i = groups.begin(c); i < groups.end(c); ++i) {
      const double share = 1.0 / static_cast<double>(groups.size(c));
      for (std::size_t k = 0; k < 3; ++k) weight[k] += share * static_cast<double>(weights(i, k));
      action += share * trace.rollouts.tokens.row(i)[0];
    }
    std::printf("%7zu %18.1f %5.1f %5.1f %9.2f %5.2f %5.2f %10.1f\n", c, scale[c][0], scale[c][1], scale[c][2],
                weight[0], weight[1], weight[2], action);
  }
}
