#pragma once

// A Conductor on an executor beside the host's.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "conductor/support.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/core/random.hpp"

namespace conductor_test {

using namespace maestro;

/// One option of each kind away from one-hot and sampled, some together, and the defaults.
inline std::vector<LearnedConductorOptions> option_grid() {
  const LearnedConductorOptions quick{
      .emphasis = Emphasis::one_hot, .estimator = Estimator::sampled, .period = 2, .learning_rate = 0.05};
  std::vector<LearnedConductorOptions> grid(13, quick);
  grid[12] = {.period = 2, .learning_rate = 0.05};
  grid[1].emphasis = Emphasis::blended_uniform;
  grid[2].emphasis = Emphasis::blended_policy;
  grid[2].floor = ProbabilityFloor::clamp_renormalize;
  grid[2].epsilon = 0.1;
  grid[3].estimator = Estimator::counterfactual;
  grid[4].emphasis = Emphasis::blended_policy;
  grid[4].estimator = Estimator::counterfactual;
  grid[5].temperature_mode = TemperatureMode::fixed;
  grid[5].temperature = 0.5;
  grid[6].hidden_scaling = HiddenScaling::unit_rms;
  grid[6].baseline = MetaBaseline::centered;
  grid[7].sharing = ActionSharing::per_group;
  grid[8].after_update = AfterUpdate::keep;
  grid[8].capacity = 20;
  grid[8].max_age = 3;
  grid[8].estimator = Estimator::counterfactual;
  grid[9].gradient_clip = 1e-3;
  grid[9].adamw.weight_decay = 0.1;
  grid[9].init.head = Initialization::normal;
  grid[10].capacity = 4;
  grid[10].entropy_bonus = 0.5;
  grid[11].init = {.head = Initialization::normal, .std_dev = 0.3, .seed = 8};
  grid[11].estimator = Estimator::counterfactual;
  return grid;
}

/// Groups of these sizes, the last but one of which belongs to the data row of the first; some rewards are missing.
inline Batch batch_of(std::uint32_t step, std::size_t d, std::size_t k,
                      const std::vector<std::size_t>& sizes = {4, 1, 0, 6, 3}) {
  Batch batch(sizes, d, k, step);
  batch.step = step;
  batch.rows[3] = batch.rows[0];
  batch.rewards(2, 0) = batch.rewards(7, k - 1) = missing;
  for (std::size_t a = 0; a < k; ++a) batch.rewards(5, a) = missing;
  return batch;
}

inline double distance(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return HUGE_VAL;
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    worst = std::isnan(difference) ? HUGE_VAL : std::max(worst, difference);
  }
  return worst;
}

/// Both decide, observe and update for some steps; every figure must agree.
template <class Network, class Device>
void check_equal_runs(LearnedConductor<Network> host, Device device, std::size_t d, double tolerance,
                      const std::vector<std::size_t>& sizes = {4, 1, 0, 6, 3}) {
  constexpr std::size_t K = Network::actions;
  int updates = 0;
  for (std::uint32_t step = 0; step < 9; ++step) {
    const Batch batch = batch_of(step, d, K, sizes);
    const Decision expected = host.decide(batch.view());
    const Decision got = device.decide(batch.view());
    BOOST_TEST(got.actions == expected.actions, boost::test_tools::per_element());
    BOOST_TEST(got.emphasis == expected.emphasis);
    BOOST_TEST(distance(got.probabilities.flat(), expected.probabilities.flat()) < tolerance);
    BOOST_TEST(distance(got.weights.flat(), expected.weights.flat()) < tolerance);
    BOOST_TEST(distance(got.base.flat(), expected.base.flat()) < tolerance);
    const auto of_host = teach(host, batch, expected);
    const auto of_device = teach(device, batch, expected);
    BOOST_REQUIRE(of_host.has_value() == of_device.has_value());
    if (!of_host) continue;
    ++updates;
    BOOST_TEST(of_device->samples == of_host->samples);
    BOOST_TEST(of_device->dropped == of_host->dropped);
    BOOST_TEST(std::abs(of_device->loss - of_host->loss) < tolerance);
    BOOST_TEST(std::abs(of_device->surrogate - of_host->surrogate) < tolerance);
    BOOST_TEST(std::abs(of_device->entropy - of_host->entropy) < tolerance);
    BOOST_TEST(std::abs(of_device->temperature - of_host->temperature) < tolerance);
    BOOST_TEST(std::abs(of_device->gradient_norm - of_host->gradient_norm) < tolerance);
  }
  BOOST_TEST(updates == 4);
  const Batch last = batch_of(99, d, K, sizes);
  Matrix<float> expected(last.groups.rows(), K);
  Matrix<float> got(last.groups.rows(), K);
  host.weights(last.hidden.view(), expected);
  std::as_const(device).weights(last.hidden.view(), got);
  BOOST_TEST(distance(got.flat(), expected.flat()) < tolerance);
}

/// How far the draw `u` lies from where the next action begins, among these propensities.
inline double distance_to_border(std::span<const float> q, double u) {
  double total = 0.0;
  for (const float value : q) total += static_cast<double>(value);
  double nearest = HUGE_VAL;
  double running = 0.0;
  for (const float value : q) {
    running += static_cast<double>(value);
    nearest = std::min(nearest, std::abs(u * total - running));
  }
  return nearest;
}

/// Both decide and learn for many steps. Every action is what the host's sampler draws from the device's own
/// probabilities, to the bit; and it is the host's action too, but where rounding moved a border across the draw.
template <class Network, class Device>
void check_equal_actions(LearnedConductor<Network> host, Device device, std::size_t d, std::uint32_t steps,
                         double tolerance) {
  constexpr std::size_t K = Network::actions;
  const std::vector<std::size_t> sizes(64, 8);
  std::size_t drawn = 0, wrong = 0, moved = 0, unexplained = 0;
  for (std::uint32_t step = 0; step < steps; ++step) {
    const Batch batch = batch_of(step, d, K, sizes);
    const StepView view = batch.view();
    const Decision expected = host.decide(view);
    const Decision got = device.decide(view);
    for (std::size_t g = 0; g < sizes.size(); ++g) {
      for (std::size_t i = batch.groups.begin(g); i < batch.groups.end(g); ++i) {
        const double u = draw_stream(view, Purpose::conductor_action, g, i - batch.groups.begin(g)).uniform(0);
        const auto action = static_cast<std::int32_t>(sample_index(got.probabilities.row(i).data(), K, u));
        ++drawn;
        wrong += got.actions[i] != action ? 1u : 0u;
        if (got.actions[i] == expected.actions[i]) continue;
        ++moved;
        unexplained += distance_to_border(expected.probabilities.row(i), u) > tolerance ? 1u : 0u;
      }
    }
    const auto advantages = centered_advantages(batch, expected);
    const Feedback feedback{.decision = expected,
                            .hidden = batch.hidden.view(),
                            .groups = batch.groups,
                            .advantages = advantages,
                            .counterfactuals = {},
                            .step = step};
    host.observe(feedback);
    device.observe(feedback);
    BOOST_REQUIRE(host.update().has_value() == device.update().has_value());
  }
  BOOST_TEST_MESSAGE(drawn << " actions drawn, " << moved << " of them not the host's, by rounding");
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(unexplained == 0u);
  BOOST_TEST(moved <= drawn / 1000);
}

}  // namespace conductor_test
