// Flights of a parcel drone: a policy whose actions are floats, and three objectives that pull apart.
//
// A flight has three legs, each a speed and a height. It should be quick (speed 1), quiet (speed 0, height 1) and
// frugal (speed 0, height 0). On three of the four routes one of these does not matter: its objective is the same for
// every flight. The Conductor has to find, per route, which objectives are in dispute, and to stress those: each for
// the flights that serve it best.

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "maestro/conductor/learned.hpp"
#include "maestro/policy/gaussian.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/trainer/trainer.hpp"

namespace {

struct Route {
  const char* name;
  std::vector<float> matters;  // quick, quiet, frugal: what the policy reads
};
const std::array<Route, 4> routes{{{"no hurry", {0, 1, 1}},
                                   {"nobody lives there", {1, 0, 1}},
                                   {"full battery", {1, 1, 0}},
                                   {"everything matters", {1, 1, 1}}}};

/// Objective `index`: minus the mean squared distance of the legs from what it wants, where it matters; else 0.
struct Objective {
  std::string name;
  std::size_t index;
  float speed;
  float height;

  float operator()(const maestro::Completion& c) const {
    float distance = 0.0f;
    for (std::size_t leg = 0; leg < c.actions.rows(); ++leg) {
      const float too_fast = c.actions(leg, 0) - speed;
      const float too_high = index == 0 ? 0.0f : c.actions(leg, 1) - height;  // any height is quick
      distance += too_fast * too_fast + too_high * too_high;
    }
    return -c.prompt.features[index] * distance / static_cast<float>(c.actions.rows());
  }
};

}  // namespace

int main() {
  std::vector<maestro::Prompt> prompts(routes.size());
  for (std::size_t r = 0; r < routes.size(); ++r) {
    prompts[r].row = static_cast<std::int64_t>(r);
    prompts[r].features = routes[r].matters;
  }

  constexpr std::size_t legs = 3;
  maestro::RewardSet rewards{Objective{"quick", 0, 1, 0}, Objective{"quiet", 1, 0, 1}, Objective{"frugal", 2, 0, 0}};
  maestro::GaussianPolicy<float> policy(
      {.features = 3, .width = 16, .dimensions = 2, .steps = legs, .std_dev = 0.5, .seed = 1});
  maestro::LinearConductor<3> conductor({.emphasis = maestro::Emphasis::blended_uniform,
                                         .estimator = maestro::Estimator::counterfactual,
                                         .learning_rate = 0.02});
  const maestro::DefaultScalarization scalarization;
  maestro::TrainerOptions options{
      .prompts_per_step = routes.size(), .sampling = {.num_generations = 32}, .learning_rate = 0.01};
  maestro::Trainer trainer{policy, rewards, conductor, scalarization, options};
  for (int step = 0; step < 200; ++step) trainer.step(prompts);

  // What the Conductor now stresses for the flights of each route, and what the policy does there.
  const auto trace = trainer.trace();
  maestro::Matrix<float> weights(trace.rollouts.size(), 3);
  trainer.conductor().weights(trace.rollouts.hidden, weights.view());
  const maestro::Matrix<float> means = trainer.policy().means(prompts);
  std::printf("%-20s %18s %18s %14s\n", "", "matters", "stressed", "mean");
  std::printf("%-20s %6s%6s%7s %5s%6s%7s %7s%7s\n", "route", "quick", "quiet", "frugal", "quick", "quiet", "frugal",
              "speed", "height");
  for (std::size_t r = 0; r < routes.size(); ++r) {
    std::array<float, 3> stress{};
    const maestro::Groups& groups = trace.rollouts.groups;
    for (std::size_t i = groups.begin(r); i < groups.end(r); ++i) {
      for (std::size_t k = 0; k < 3; ++k) stress[k] += weights(i, k) / static_cast<float>(groups.size(r));
    }
    float speed = 0.0f;
    float height = 0.0f;
    for (std::size_t leg = 0; leg < legs; ++leg) {
      speed += means(r, 2 * leg) / legs;
      height += means(r, 2 * leg + 1) / legs;
    }
    std::printf("%-20s %6.0f%6.0f%7.0f %5.2f%6.2f%7.2f %7.2f%7.2f\n", routes[r].name, routes[r].matters[0],
                routes[r].matters[1], routes[r].matters[2], stress[0], stress[1], stress[2], speed, height);
  }
}
