#include <thrust/system/cpp/execution_policy.h>
#if defined(_OPENMP)
#include <thrust/system/omp/execution_policy.h>
#endif

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "cuda/rewards.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/host_executor.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"
#include "maestro/cuda/statistics/group_statistics.hpp"
#include "maestro/cuda/statistics/sorted_ranks.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(sorted_ranks)

namespace {

// ThreadSanitizer knows nothing of what OpenMP's threads wait for: there the test is compiled without.
#if defined(_OPENMP)
const auto& parallel = thrust::omp::par;
#else
const auto& parallel = thrust::cpp::par;
#endif

using Ranks = gpu::RankWorkspace<gpu::HostExecutor>;

std::vector<double> by_definition(const Matrix<float>& rewards, const Groups& groups) {
  std::vector<double> ranks(rewards.flat().size());
  for (std::size_t i = 0; i < rewards.rows(); ++i) {
    const std::size_t g = groups.group_of(i);
    for (std::size_t k = 0; k < rewards.cols(); ++k) {
      const auto get = [&](std::size_t j) { return rewards(groups.begin(g) + j, k); };
      const auto valid = static_cast<double>(moments_of(groups.size(g), get).count);
      const double rank = unit_rank(mid_rank(groups.size(g), i - groups.begin(g), get), valid);
      ranks[i * rewards.cols() + k] = rewards(i, k) == rewards(i, k) ? rank : double(NAN);
    }
  }
  return ranks;
}

template <class Policy>
std::vector<double> by_sorting(const Policy& policy, const Matrix<float>& rewards, const gpu::GroupLayout& layout,
                               Ranks& workspace) {
  std::vector<double> ranks(rewards.flat().size(), -99.0);
  gpu::sorted_ranks(policy, rewards.data(), layout, rewards.cols(), workspace, ranks.data());
  return ranks;
}

void check_ranks(const Matrix<float>& rewards, const gpu::GroupLayout& layout, const Groups& groups) {
  Ranks workspace;
  const auto want = by_definition(rewards, groups);
  BOOST_TEST(test::same_bits(by_sorting(thrust::cpp::par, rewards, layout, workspace), want));
  BOOST_TEST(test::same_bits(by_sorting(parallel, rewards, layout, workspace), want));
}

}  // namespace

BOOST_AUTO_TEST_CASE(even_groups_equal_the_definition) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{8}, std::size_t{300}}) {
      for (const double gaps : {0.0, 0.3, 1.0}) {
        const std::size_t groups = 900 / size;
        check_ranks(test::random_rewards(groups * size, count, gaps, size), gpu::GroupLayout::uniform(groups, size),
                    Groups::uniform(groups, size));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(ragged_groups_equal_the_definition) {
  const test::Partition partition({0, 1, 7, 64, 0, 0, 3, 5000, 1, 1, 2, 0});
  check_ranks(test::random_rewards(partition.groups.rows(), 3, 0.2, 5), partition.ragged(), partition.groups);
  check_ranks(test::random_rewards(partition.groups.rows(), 3, 0.98, 5), partition.ragged(), partition.groups);
}

BOOST_AUTO_TEST_CASE(values_of_every_kind_keep_their_order) {
  using Limits = std::numeric_limits<float>;
  const std::vector<float> values{0.0f,
                                  -0.0f,
                                  1e-30f,
                                  -1e-30f,
                                  Limits::denorm_min(),
                                  -Limits::denorm_min(),
                                  Limits::max(),
                                  3.0f,
                                  -3.0f,
                                  Limits::lowest(),
                                  NAN,
                                  -NAN,
                                  Limits::infinity(),
                                  0.0f,
                                  3.0f,
                                  -Limits::infinity(),
                                  -0.0f};
  Matrix<float> rewards(values.size(), 1);
  std::copy(values.begin(), values.end(), rewards.data());
  check_ranks(rewards, gpu::GroupLayout::uniform(1, values.size()), Groups::uniform(1, values.size()));
}

BOOST_AUTO_TEST_CASE(ranks_are_those_of_group_statistics) {
  const test::Partition partition({3, 65, 0, 200, 4000});
  const auto rewards = test::random_rewards(partition.groups.rows(), 4, 0.2, 9);
  std::vector<double> ranks(rewards.flat().size());
  gpu::HostExecutor executor;
  gpu::FaultRecord<gpu::HostExecutor> record(executor);
  gpu::group_statistics<4>(executor, rewards.data(), partition.ragged(), 1, {.ranks = ranks.data()}, record.data());
  Ranks workspace;
  BOOST_TEST(test::same_bits(by_sorting(parallel, rewards, partition.ragged(), workspace), ranks));
}

BOOST_AUTO_TEST_CASE(a_scalarization_takes_them_for_those_that_it_counts) {
  const test::Partition partition({3, 65, 0, 1, 1500});
  const auto rewards = test::random_rewards(partition.groups.rows(), 3, 0.2, 9);
  const std::vector<float> weights(rewards.flat().size(), 0.5f);
  Ranks workspace;
  const std::vector<double> ranks = by_sorting(parallel, rewards, partition.ragged(), workspace);
  gpu::HostExecutor executor;
  gpu::FaultRecord<gpu::HostExecutor> record(executor);
  gpu::Scalarizer<gpu::HostExecutor, 3> scalarize(executor);
  const auto advantages = [&](const double* given) {
    std::vector<float> result(rewards.rows());
    scalarize(Advantages{DrGrpo{}, {.normalizer = {.kind = NormalizerKind::rank}}},
              {.rewards = rewards.data(), .weights = weights.data(), .groups = partition.ragged(), .ranks = given},
              {.advantages = result.data()}, record.data());
    record.check(executor);
    return result;
  };
  BOOST_TEST(test::same_bits(advantages(ranks.data()), advantages(nullptr)));
  BOOST_TEST(!test::same_bits(advantages(std::vector<double>(ranks.size(), 0.5).data()), advantages(nullptr)));
}

BOOST_AUTO_TEST_CASE(one_group_of_a_hundred_thousand) {
  // A permutation, so that the ranks are known without the O(G^2) definition.
  constexpr std::size_t rows = 100000;
  Matrix<float> rewards(rows, 2);
  for (std::size_t i = 0; i < rows; ++i) {
    rewards(i, 0) = static_cast<float>(i * 7919 % rows);
    rewards(i, 1) = static_cast<float>(i % 2);
  }
  Ranks workspace;
  const auto ranks = by_sorting(parallel, rewards, gpu::GroupLayout::uniform(1, rows), workspace);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < rows; ++i) {
    const double half = rows / 2.0;
    if (ranks[2 * i] != unit_rank(double{rewards(i, 0)}, rows)) ++wrong;
    if (ranks[2 * i + 1] != unit_rank((i % 2 == 0 ? 0.0 : half) + 0.5 * (half - 1.0), rows)) ++wrong;
  }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(a_workspace_is_used_again_for_less_and_for_more) {
  Ranks workspace;
  for (const std::size_t size : {std::size_t{40}, std::size_t{3}, std::size_t{500}, std::size_t{0}}) {
    const auto rewards = test::random_rewards(size, 2, 0.1, 21);
    const auto ranks = by_sorting(thrust::cpp::par, rewards, gpu::GroupLayout::uniform(1, size), workspace);
    BOOST_TEST(test::same_bits(ranks, by_definition(rewards, Groups::uniform(1, size))));
  }
}

BOOST_AUTO_TEST_CASE(what_32_bits_do_not_count_is_refused) {
  Ranks workspace;
  const auto layout = gpu::GroupLayout::uniform(std::size_t{1} << 16, std::size_t{1} << 14);
  BOOST_CHECK_THROW(gpu::sorted_ranks(thrust::cpp::par, nullptr, layout, 4, workspace, nullptr), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
