// What the extension for PyTorch does with tensors on a device, on the host's executor: numbers, state and errors are
// those of the host's parts.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "../../examples/torch/src/maestro_torch/device_side_on.hpp"
#include "cuda/message_of.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/cuda/core/host_executor.hpp"
#include "maestro/io/state.hpp"

BOOST_AUTO_TEST_SUITE(torch_device_side)

namespace {

constexpr std::size_t count = 3;
constexpr std::size_t width = 6;

struct OnHost {
  using Executor = maestro::gpu::HostExecutor;
  static Executor make(const maestro_torch::DevicePlace&) { return {}; }
};

std::unique_ptr<maestro_torch::DeviceSide> side_of(const maestro::AnyScalarization& scalarization) {
  return maestro_torch::device_side_of<OnHost, count>("linear", {.period = 2, .learning_rate = 0.05}, scalarization);
}

/// Steps of a batch each, on the device side and on the host's parts.
struct Scene {
  explicit Scene(std::vector<std::size_t> sizes) : groups(maestro::Groups::from_sizes(sizes)) {
    for (std::size_t g = 0; g < groups.count(); ++g) keys.push_back(static_cast<std::int64_t>(g));
    draw();
  }
  void draw() {
    std::normal_distribution<float> normal;
    hidden.resize(groups.rows(), width);
    rewards.resize(groups.rows(), count);
    for (float& value : hidden.flat()) value = normal(random);
    for (float& value : rewards.flat()) value = normal(random);
    rewards(1, 0) = NAN;
  }
  maestro_torch::StepFigures run(maestro_torch::DeviceSide& side, int device = 0) {
    advantages.resize(groups.rows());
    scalar_rewards.resize(groups.rows());
    weights.resize(groups.rows(), count);
    maestro_torch::StepFigures figures;
    side.step({.device = device},
              {.hidden = hidden.data(),
               .hidden_size = width,
               .rewards = rewards.data(),
               .groups = groups,
               .prompts = keys,
               .lengths = {},
               .seed = 9,
               .step = number},
              {.advantages = advantages.data(), .scalar_rewards = scalar_rewards.data(), .weights = weights.data()},
              figures);
    return figures;
  }
  std::vector<float> run(maestro::LinearConductor<count>& conductor, const maestro::AnyScalarization& scalarize) {
    const maestro::Decision decision = conductor.decide(
        {.hidden = hidden, .rewards = rewards, .groups = groups, .rows = keys, .seed = 9, .step = number});
    std::vector<float> of_host(groups.rows());
    std::vector<float> scalars(groups.rows());
    maestro::Matrix<float> counterfactuals(groups.rows(), count);
    maestro::SingleProcess alone;
    scalarize({rewards, decision, groups}, {of_host, scalars, counterfactuals}, alone);
    conductor.observe({.decision = decision,
                       .hidden = hidden,
                       .groups = groups,
                       .advantages = of_host,
                       .counterfactuals = counterfactuals,
                       .step = number,
                       .rewards = rewards,
                       .seed = 9});
    conductor.update();
    return of_host;
  }

  maestro::Groups groups;
  std::vector<std::int64_t> keys;
  std::mt19937 random{7};
  std::uint32_t number = 0;
  maestro::Matrix<float> hidden;
  maestro::Matrix<float> rewards;
  std::vector<float> advantages;
  std::vector<float> scalar_rewards;
  maestro::Matrix<float> weights;
};

std::vector<float> weights_of(maestro_torch::DeviceSide& side, const maestro::Matrix<float>& hidden) {
  std::vector<float> out(hidden.rows() * count);
  side.weights({}, hidden.data(), hidden.rows(), width, out.data());
  return out;
}

void move_state(maestro_torch::DeviceSide& from, auto& to) {
  const std::string path = (std::filesystem::temp_directory_path() / "maestro_torch_device_side").string();
  maestro::StateWriter writer;
  from.visit(writer);
  writer.write(path);
  maestro::StateReader reader(path);
  if constexpr (std::is_same_v<decltype(to), maestro_torch::DeviceSide&>) {
    to.visit(reader);
  } else {
    reader("conductor", to);
  }
  reader.finish();
  std::filesystem::remove(path);
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_as_the_host) {
  const auto all = {maestro::AnyScalarization(), maestro::AnyScalarization("trl"),
                    maestro::AnyScalarization("leave_one_out")};  // the last is not compiled for a device
  for (const maestro::AnyScalarization& scalarization : all) {
    Scene scene({4, 3, 5});
    const auto side = side_of(scalarization);
    maestro::LinearConductor<count> conductor({.period = 2, .learning_rate = 0.05});
    int updates = 0;
    for (; scene.number < 7; ++scene.number) {
      scene.draw();
      const auto figures = scene.run(*side, scene.number < 4 ? 0 : 1);  // it moves once
      const std::vector<float> expected = scene.run(conductor, scalarization);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        BOOST_TEST(std::abs(scene.advantages[i] - expected[i]) < 1e-5f * std::max(1.0f, std::abs(expected[i])));
      }
      BOOST_TEST(std::ranges::equal(figures.advantages, scene.advantages));
      BOOST_TEST(std::ranges::equal(figures.decision.weights.flat(), scene.weights.flat()));
      updates += figures.update ? 1 : 0;
    }
    BOOST_TEST(updates == 3);
    maestro::Matrix<float> soft(scene.groups.rows(), count);
    conductor.weights(scene.hidden, soft.view());
    const std::vector<float> ours = weights_of(*side, scene.hidden);
    for (std::size_t i = 0; i < ours.size(); ++i) BOOST_TEST(std::abs(ours[i] - soft.flat()[i]) < 1e-5f);
  }
}

BOOST_AUTO_TEST_CASE(its_state_is_the_hosts_too) {
  Scene scene({4, 4, 4});
  const auto side = side_of({});
  for (; scene.number < 5; ++scene.number) scene.draw(), scene.run(*side);
  maestro::LinearConductor<count> conductor({.period = 2, .learning_rate = 0.05});
  move_state(*side, conductor);
  const auto other = side_of({});
  move_state(*side, *other);
  for (; scene.number < 8; ++scene.number) {
    scene.draw();
    scene.run(*side);
    const std::vector<float> undisturbed = scene.advantages;
    scene.run(*other);
    BOOST_TEST(scene.advantages == undisturbed, boost::test_tools::per_element());
    const std::vector<float> expected = scene.run(conductor, {});
    for (std::size_t i = 0; i < expected.size(); ++i) BOOST_TEST(std::abs(undisturbed[i] - expected[i]) < 1e-5f);
  }
}

BOOST_AUTO_TEST_CASE(bad_data_teaches_nothing) {
  Scene scene({4, 4, 4});
  const auto side = side_of({});
  for (; scene.number < 3; ++scene.number) scene.draw(), scene.run(*side);
  const maestro::Matrix<float> good = scene.hidden;
  const std::vector<float> before = weights_of(*side, good);
  scene.hidden(2, 1) = NAN;
  BOOST_TEST(test::message_of([&] { scene.run(*side); }).find("hidden state of row 2 is not finite") !=
             std::string::npos);
  scene.hidden = good;
  scene.rewards(5, 1) = INFINITY;
  BOOST_TEST(test::message_of([&] { scene.run(*side); }).find("row 5, reward 1 is infinite") != std::string::npos);
  BOOST_TEST(weights_of(*side, good) == before, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(statistics_and_given_weights) {
  Scene scene({4, 3, 5});
  maestro::gpu::HostExecutor executor;
  std::vector<float> mean(scene.groups.count() * count);
  std::vector<float> deviation(mean.size());
  maestro_torch::statistics_on<count>(executor, scene.rewards.data(), scene.groups, mean.data(), deviation.data());
  double sum = 0.0;
  for (std::size_t i = scene.groups.begin(1); i < scene.groups.end(1); ++i)
    sum += static_cast<double>(scene.rewards(i, 2));
  BOOST_TEST(std::abs(static_cast<double>(mean[count + 2]) - sum / 3) < 1e-6);
  BOOST_TEST(deviation[count + 2] > 0.0f);

  maestro::Decision decision;
  decision.weights.assign(scene.groups.rows(), count, 0.25f);
  decision.base = decision.weights;
  std::vector<float> expected(scene.groups.rows());
  std::vector<float> scalars(expected.size());
  std::vector<float> ours(expected.size());
  maestro::SingleProcess alone;
  const maestro::AnyScalarization scalarize("group");
  scalarize({scene.rewards, decision, scene.groups}, {expected, scalars, {}}, alone);
  BOOST_TEST(maestro_torch::advantages_on<count>(executor, scalarize, scene.rewards.data(), decision.weights.data(),
                                                 scene.groups, ours.data()));
  for (std::size_t i = 0; i < ours.size(); ++i) BOOST_TEST(std::abs(ours[i] - expected[i]) < 1e-6f);
  BOOST_TEST(!maestro_torch::advantages_on<count>(executor, maestro::AnyScalarization("leave_one_out"),
                                                  scene.rewards.data(), decision.weights.data(), scene.groups,
                                                  ours.data()));
}

BOOST_AUTO_TEST_CASE(what_has_no_form_there) {
  BOOST_TEST(!(maestro_torch::device_side_of<OnHost, count>("anchored", {}, {})));
  BOOST_TEST(test::message_of([] {
               maestro_torch::device_side_of<OnHost, count>("linear", {.epsilon = 2.0}, {});
             }).find("epsilon") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
