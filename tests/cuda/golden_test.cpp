// The kernel bodies of the scalarizations, run on the host, beside numbers that are known from elsewhere.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "cuda/scalarization_support.hpp"
#include "cuda/thread_executor.hpp"
#include "maestro/cuda/core/host_executor.hpp"
#include "scalarization/golden_numbers.hpp"

using namespace maestro;
using namespace test;

BOOST_AUTO_TEST_SUITE(device_golden)

BOOST_AUTO_TEST_CASE(estimators) {
  const Matrix<float> rewards = golden_rewards();
  const Decision decision = shared_weights(4, {1, 1});
  ThreadExecutor<3> executor;
  for (const GoldenNumbers& golden : golden_numbers()) {
    const Outputs got =
        on<2>(executor, golden.scalarization, rewards, decision, Partition::uniform(1, 4), {}, golden_lengths());
    for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(std::abs(double(got.advantages[i]) - golden.advantages[i]) < 2e-6);
  }
}

BOOST_AUTO_TEST_CASE(trl_trainer) {
  gpu::HostExecutor executor;
  for (const TrlCase& trl : trl_cases()) {
    const Decision decision = shared_weights(trl.rows.size(), trl.weights);
    const Partition partition = Partition::uniform(trl.rows.size() / trl.group, trl.group);
    const Outputs got = trl.weights.size() == 2
                            ? on<2>(executor, trl.scalarization(), trl.rewards(), decision, partition, {})
                            : on<3>(executor, trl.scalarization(), trl.rewards(), decision, partition, {});
    trl.check(got.advantages);
  }
}

BOOST_AUTO_TEST_SUITE_END()
