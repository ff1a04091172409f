#include <boost/test/unit_test.hpp>
#include <vector>

#include "cuda/statistics_support.hpp"
#include "maestro/cuda/core/stream_executor.cuh"
#include "maestro/cuda/statistics/device_policy.cuh"
#include "maestro/cuda/statistics/sorted_ranks.hpp"

using namespace maestro;
using namespace test;

BOOST_AUTO_TEST_SUITE(device_statistics)

BOOST_AUTO_TEST_CASE(small_groups_have_the_bits_of_the_host) {
  gpu::OwnStreamExecutor executor;
  for (const Partition& partition :
       {Partition::uniform(3000, 8), Partition::uniform(100, 64), Partition({5, 0, 1, 64, 9})}) {
    const auto rewards = random_rewards(partition.groups.rows(), 5, 0.2, 3);
    const Statistics want = expected(rewards, partition.groups, 1);
    BOOST_TEST(statistics_on<5>(executor, rewards, partition, 1).same_as(want));
  }
}

BOOST_AUTO_TEST_CASE(large_groups_are_close_and_the_same_on_every_run) {
  gpu::OwnStreamExecutor executor;
  const Partition partition({3000, 2, 100000});
  const auto rewards = random_rewards(partition.groups.rows(), 2, 0.1, 4);
  const Statistics want = expected(rewards, partition.groups, 0, false);
  const Statistics got = statistics_on<2>(executor, rewards, partition, 0, false);
  for (std::size_t q = 0; q < want.mean.size(); ++q) {
    BOOST_TEST(std::abs(got.mean[q] - want.mean[q]) < 1e-6f);
    BOOST_TEST(std::abs(got.std_dev[q] - want.std_dev[q]) < 1e-6f);
  }
  BOOST_TEST(statistics_on<2>(executor, rewards, partition, 0, false).same_as(got));
}

BOOST_AUTO_TEST_CASE(thrust_ranks_large_groups) {
  gpu::OwnStreamExecutor executor;
  const Partition partition({5000, 0, 7});
  const auto rewards = random_rewards(partition.groups.rows(), 2, 0.1, 4);
  const Statistics want = expected(rewards, partition.groups, 1);
  Memory<gpu::OwnStreamExecutor, float> from(executor, {rewards.flat().begin(), rewards.flat().end()});
  Memory<gpu::OwnStreamExecutor, std::int64_t> offsets(executor, partition.offsets);
  Memory<gpu::OwnStreamExecutor, double> ranks(executor, want.ranks);
  gpu::DevicePolicy policy(executor.stream());
  gpu::RankWorkspace<gpu::OwnStreamExecutor> workspace;
  for (int run = 0; run < 2; ++run) {
    gpu::sorted_ranks(policy.get(), from.data(), partition.on(offsets.data()), 2, workspace, ranks.data());
    BOOST_TEST(same_bits(ranks.read(), want.ranks));
  }
}

BOOST_AUTO_TEST_SUITE_END()
