#include <boost/test/unit_test.hpp>
#include <vector>

#include "cuda/conductor_support.hpp"
#include "maestro/cuda/conductor/device.cuh"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(device_conductor)

BOOST_AUTO_TEST_CASE(runs_as_the_host_does) {
  for (const LearnedConductorOptions& options : option_grid()) {
    check_equal_runs(LinearConductor<3>(options), gpu::make_conductor<LinearNetwork<3>>(options), 7, 2e-5);
    check_equal_runs(LinearConductor<3>(options), gpu::make_conductor<LinearNetwork<3>>(options), 1024, 2e-4);
  }
}

BOOST_AUTO_TEST_CASE(draws_the_actions_of_the_host_over_many_steps) {
  const LearnedConductorOptions options{.estimator = Estimator::sampled, .period = 2, .learning_rate = 0.01};
  check_equal_actions(LinearConductor<3>(options), gpu::make_conductor<LinearNetwork<3>>(options), 64, 200, 1e-4);
  check_equal_actions(MlpConductor<3, 64, 32>(options), gpu::make_conductor<MlpNetwork<3, 64, 32>>(options), 64, 100,
                      1e-3);
}

// Wide enough for cuBLASLt in all three products.
BOOST_AUTO_TEST_CASE(wide_layers) {
  const std::vector<std::size_t> sizes{16, 8, 0, 24, 16};
  for (const LearnedConductorOptions& options : option_grid()) {
    check_equal_runs(MlpConductor<3, 64, 32>(options), gpu::make_conductor<MlpNetwork<3, 64, 32>>(options), 128, 5e-4,
                     sizes);
    check_equal_runs(MlpConductor<3, 64, 32>(options), gpu::make_conductor<MlpNetwork<3, 64, 32>>(options), 7, 5e-4);
  }
}

BOOST_AUTO_TEST_CASE(bfloat16_follows_float) {
  const LearnedConductorOptions options{.period = 1, .learning_rate = 0.02};
  MlpConductor<3, 64, 32> host(options);
  auto device = gpu::make_conductor<MlpNetwork<3, 64, 32>, Bfloat16>(options);
  const std::vector<std::size_t> sizes{16, 8, 0, 24, 16};
  for (std::uint32_t step = 0; step < 6; ++step) {
    const Batch batch = batch_of(step, 64, 3, sizes);
    const Decision decision = host.decide(batch.view());
    BOOST_TEST(distance(device.decide(batch.view()).probabilities.flat(), decision.probabilities.flat()) < 0.02);
    teach(host, batch, decision);
    BOOST_TEST(teach(device, batch, decision)->gradient_norm > 0.0);
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_every_run) {
  const auto run = [] {
    auto device = gpu::make_conductor<MlpNetwork<3, 64, 32>>({.period = 1, .learning_rate = 0.05});
    std::vector<float> seen;
    for (std::uint32_t step = 0; step < 5; ++step) {
      const Batch batch = batch_of(step, 64, 3, {16, 8, 0, 24, 16});
      const Decision decision = device.decide(batch.view());
      seen.insert(seen.end(), decision.probabilities.flat().begin(), decision.probabilities.flat().end());
      teach(device, batch, decision);
    }
    return seen;
  };
  const std::vector<float> first = run();
  BOOST_TEST(run() == first, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
