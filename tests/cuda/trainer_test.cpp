// The Trainer with a Conductor whose work is done elsewhere: its code does not change.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "cuda/thread_executor.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/cuda/conductor/device_conductor.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"

namespace {

using namespace maestro;

constexpr std::size_t contexts = 3;

/// Largest at action 2 * index, and worth more in the context of the same number.
struct Objective {
  std::string name;
  std::size_t index;

  float operator()(const Completion& c) const {
    const double distance = static_cast<double>(c.tokens[0]) - 2.0 * static_cast<double>(index);
    const double scale = static_cast<std::size_t>(c.prompt.row) == index ? 1.0 : 0.3;
    return static_cast<float>(scale * std::exp(-distance * distance / 4));
  }
};

template <class C>
auto trainer_with(C conductor) {
  TabularPolicy<float> policy({.contexts = contexts, .actions = 5});
  RewardSet rewards{Objective{"first", 0}, Objective{"second", 1}, Objective{"third", 2}};
  return Trainer{
      policy, rewards, std::move(conductor), GroupRelative{},
      TrainerOptions{.prompts_per_step = contexts, .sampling = {.num_generations = 16}, .learning_rate = 0.02}};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_trainer_runs_with_the_devices_conductor) {
  std::vector<Prompt> prompts(contexts);
  for (std::size_t c = 0; c < contexts; ++c) prompts[c].row = static_cast<std::int64_t>(c);
  for (const Estimator estimator : {Estimator::sampled, Estimator::counterfactual}) {
    const LearnedConductorOptions options{.estimator = estimator, .period = 2, .learning_rate = 0.02};
    auto host = trainer_with(LinearConductor<3>(options));
    using Device = gpu::ConductorOn<test::ThreadExecutor<3>, LinearNetwork<3>>;
    auto device = trainer_with(gpu::DeviceConductor<LinearNetwork<3>>(std::make_unique<Device>(options)));
    std::size_t updates = 0;
    for (int step = 0; step < 20; ++step) {
      host.step(prompts);
      device.step(prompts);
      const auto& of_host = host.report().conductor;
      const auto& of_device = device.report().conductor;
      BOOST_REQUIRE(of_host.has_value() == of_device.has_value());
      if (!of_host) continue;
      ++updates;
      BOOST_TEST(std::abs(of_device->loss - of_host->loss) < 1e-4);
      BOOST_TEST(std::abs(of_device->gradient_norm - of_host->gradient_norm) < 1e-4);
    }
    BOOST_TEST(updates == 10u);
  }
}
