#include "maestro/cuda/statistics/group_statistics.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "cuda/rewards.hpp"
#include "cuda/statistics_support.hpp"
#include "cuda/thread_executor.hpp"

using namespace maestro;

using test::expected;
using test::Statistics;

BOOST_AUTO_TEST_SUITE(group_statistics)

namespace {

template <std::size_t K, class E>
void compute(E& executor, const Matrix<float>& rewards, const gpu::GroupLayout& layout, int ddof,
             const gpu::GroupStatistics& out) {
  gpu::FaultRecord<E> record(executor);
  gpu::group_statistics<K>(executor, rewards.data(), layout, ddof, out, record.data());
  record.check(executor);
}

/// Floats of two double sums that differ by rounding: at most one unit in the last place apart, and so, for doubles
/// 1e-12 apart, seldom; sums that cancel are compared to `scale`.
void check_close(const std::vector<float>& a, const std::vector<float>& b, double scale) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != a[i] && b[i] != b[i]) continue;
    if (a[i] == b[i] || std::nextafter(a[i], b[i]) == b[i]) continue;
    BOOST_TEST(std::abs(double{a[i]} - double{b[i]}) <= 1e-12 * scale);
  }
}

template <std::size_t K>
void check_bits(const Matrix<float>& rewards, const gpu::GroupLayout& layout, const Groups& groups, int ddof) {
  const Statistics want = expected(rewards, groups, ddof);
  Statistics serial(groups.count(), rewards.rows(), K);
  gpu::HostExecutor one;
  compute<K>(one, rewards, layout, ddof, serial.all());
  BOOST_TEST(serial.same_as(want));
  Statistics threaded(groups.count(), rewards.rows(), K);
  test::ThreadExecutor<5> five;
  compute<K>(five, rewards, layout, ddof, threaded.all());
  BOOST_TEST(threaded.same_as(want));
}

/// Groups above the size at which a team does one reward after another.
template <std::size_t K, class E>
void check_large(E executor, const Matrix<float>& rewards, const test::Partition& partition, bool ranks) {
  const Statistics want = expected(rewards, partition.groups, 1, ranks);
  Statistics got(partition.groups.count(), rewards.rows(), K);
  compute<K>(executor, rewards, partition.ragged(), 1, ranks ? got.all() : got.all_but_ranks());
  BOOST_TEST(got.count == want.count);
  check_close(got.mean, want.mean, 10.0);
  check_close(got.std_dev, want.std_dev, 10.0);
  BOOST_TEST(test::same_bits(got.least, want.least));
  BOOST_TEST(test::same_bits(got.largest, want.largest));
  check_close(got.covariance, want.covariance, 10.0);
  if (ranks) BOOST_TEST(test::same_bits(got.ranks, want.ranks));
  Statistics again(partition.groups.count(), rewards.rows(), K);
  compute<K>(executor, rewards, partition.ragged(), 1, ranks ? again.all() : again.all_but_ranks());
  BOOST_TEST(again.same_as(got));
}

template <std::size_t... K>
void for_every_count(std::index_sequence<K...>, const auto& f) {
  (f.template operator()<K + 1>(), ...);
}

using Sizes = std::vector<std::size_t>;

const Sizes ragged_sizes{0, 1, 7, 64, 0, 0, 3, 33, 1, 1, 2, 64, 64, 64, 64, 64, 64, 64, 64, 5, 0};

}  // namespace

BOOST_AUTO_TEST_CASE(even_groups_have_the_bits_of_the_cpu) {
  for_every_count(std::make_index_sequence<16>{}, []<std::size_t K>() {
    for (const std::size_t size : Sizes{4, 8, 31, 64}) {
      BOOST_TEST_CONTEXT("K " << K << ", groups of " << size) {
        const std::size_t count = 1100 / size + 1;  // more than one team, the last one not full
        const Groups groups = Groups::uniform(count, size);
        const auto layout = gpu::GroupLayout::uniform(count, size);
        check_bits<K>(test::random_rewards(count * size, K, K % 2 == 0 ? 0.2 : 0.0, size), layout, groups,
                      int(size % 2));
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(ragged_groups_have_the_bits_of_the_cpu) {
  const test::Partition partition(ragged_sizes);
  for (const double gaps : {0.0, 0.3, 0.95, 1.0}) {
    for (const int ddof : {0, 1}) {
      BOOST_TEST_CONTEXT("gaps " << gaps << ", ddof " << ddof) {
        check_bits<3>(test::random_rewards(partition.groups.rows(), 3, gaps, 7), partition.ragged(), partition.groups,
                      ddof);
        check_bits<12>(test::random_rewards(partition.groups.rows(), 12, gaps, 7), partition.ragged(), partition.groups,
                       ddof);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_loose_bound_changes_nothing) {
  const test::Partition partition(ragged_sizes);
  auto layout = partition.ragged();
  layout.largest = 4000;
  check_bits<2>(test::random_rewards(partition.groups.rows(), 2, 0.1, 3), layout, partition.groups, 1);
}

BOOST_AUTO_TEST_CASE(thousands_of_groups_of_one_and_of_none) {
  Sizes sizes(2000, 1);
  for (std::size_t g = 300; g < 1500; ++g) sizes[g] = 0;
  const test::Partition partition(sizes);
  check_bits<5>(test::random_rewards(partition.groups.rows(), 5, 0.1, 5), partition.ragged(), partition.groups, 1);
  const Groups empty = Groups::uniform(9, 0);
  check_bits<5>(Matrix<float>(0, 5), gpu::GroupLayout::uniform(9, 0), empty, 1);
  check_bits<5>(Matrix<float>(0, 5), gpu::GroupLayout::uniform(0, 8), Groups{}, 1);
}

BOOST_AUTO_TEST_CASE(larger_groups_are_those_of_the_cpu_but_for_rounding) {
  const test::Partition partition({3, 65, 0, 200, 64, 1, 512, 513, 2000, 2});
  for (const double gaps : {0.0, 0.4}) {
    const auto few = test::random_rewards(partition.groups.rows(), 2, gaps, 11);
    check_large<2>(gpu::HostExecutor{}, few, partition, true);
    check_large<2>(test::ThreadExecutor<5>{}, few, partition, true);
    const auto many = test::random_rewards(partition.groups.rows(), 11, gaps, 12);
    check_large<11>(gpu::HostExecutor{}, many, partition, true);
    check_large<11>(test::ThreadExecutor<5>{}, many, partition, true);
  }
}

BOOST_AUTO_TEST_CASE(one_group_of_a_hundred_thousand) {
  const test::Partition partition({100000});
  const auto rewards = test::random_rewards(100000, 3, 0.01, 13);
  check_large<3>(gpu::HostExecutor{}, rewards, partition, false);
  check_large<3>(test::ThreadExecutor<5>{}, rewards, partition, false);
}

BOOST_AUTO_TEST_CASE(equal_rewards_have_exactly_no_std_dev) {
  for (const std::size_t size : Sizes{2, 64, 100, 1000}) {
    const Matrix<float> rewards(size, 2, 0.1f);
    for (const auto& layout : {gpu::GroupLayout::uniform(1, size)}) {
      Statistics got(1, size, 2);
      test::ThreadExecutor<5> executor;
      compute<2>(executor, rewards, layout, 1, got.all());
      for (std::size_t k = 0; k < 2; ++k) {
        BOOST_TEST(got.mean[k] == 0.1f);
        BOOST_TEST(got.std_dev[k] == 0.0f);
        BOOST_TEST(got.least[k] == 0.1f);
        BOOST_TEST(got.largest[k] == 0.1f);
      }
      for (const float covariance : got.covariance) BOOST_TEST(covariance == 0.0f);
      for (const double rank : got.ranks) BOOST_TEST(rank == 0.5);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_reward_missing_from_a_group_is_nan_there_and_nowhere_else) {
  Matrix<float> rewards = test::random_rewards(12, 2, 0.0, 17);
  for (std::size_t i = 4; i < 8; ++i) rewards(i, 1) = NAN;
  Statistics got(3, 12, 2);
  gpu::HostExecutor executor;
  compute<2>(executor, rewards, gpu::GroupLayout::uniform(3, 4), 1, got.all());
  for (std::size_t q = 0; q < 6; ++q) {
    const bool missing = q == 3;
    BOOST_TEST(got.count[q] == (missing ? 0 : 4));
    BOOST_TEST(std::isnan(got.mean[q]) == missing);
    BOOST_TEST(std::isnan(got.least[q]) == missing);
    BOOST_TEST(std::isnan(got.largest[q]) == missing);
    BOOST_TEST((got.std_dev[q] == 0.0f) == missing);
  }
  for (std::size_t i = 0; i < 12; ++i) BOOST_TEST(std::isnan(got.ranks[2 * i + 1]) == (i >= 4 && i < 8));
}

BOOST_AUTO_TEST_CASE(what_is_not_wanted_is_not_written_and_does_not_matter) {
  const test::Partition partition({3, 65, 0, 600, 8, 64, 64, 64, 64, 64, 64});
  const auto rewards = test::random_rewards(partition.groups.rows(), 4, 0.2, 19);
  test::ThreadExecutor<5> executor;
  const std::size_t count = partition.groups.count();
  Statistics all(count, rewards.rows(), 4);
  compute<4>(executor, rewards, partition.ragged(), 1, all.all());
  Statistics alone(count, rewards.rows(), 4);
  const auto run = [&](gpu::GroupStatistics out) { compute<4>(executor, rewards, partition.ragged(), 1, out); };
  run({});
  run({.count = alone.count.data()});
  run({.mean = alone.mean.data()});
  run({.std_dev = alone.std_dev.data()});
  run({.least = alone.least.data()});
  run({.largest = alone.largest.data()});
  run({.covariance = alone.covariance.data()});
  run({.ranks = alone.ranks.data()});
  BOOST_TEST(alone.same_as(all));
}

BOOST_AUTO_TEST_CASE(an_infinite_reward_is_named) {
  const auto names = [](std::size_t row, std::size_t column) {
    return [=](const BadData& error) {
      const std::string place = "row " + std::to_string(row) + ", reward " + std::to_string(column) + " is infinite";
      return std::string(error.what()).find(place) != std::string::npos;
    };
  };
  for (const std::size_t size : Sizes{8, 100, 2000}) {
    Matrix<float> rewards = test::random_rewards(4000, 3, 0.1, 23);
    rewards(3001, 2) = INFINITY;
    rewards(2999, 1) = -INFINITY;
    rewards(2999, 2) = INFINITY;
    Statistics got(4000 / size, 4000, 3);
    test::ThreadExecutor<5> executor;
    const auto layout = gpu::GroupLayout::uniform(4000 / size, size);
    BOOST_CHECK_EXCEPTION(compute<3>(executor, rewards, layout, 1, got.all_but_ranks()), BadData, names(2999, 1));
  }
}

BOOST_AUTO_TEST_CASE(a_group_above_the_bound_is_refused) {
  for (const std::size_t size : Sizes{12, 100, 3000}) {
    const test::Partition partition({8, size, 8});
    auto layout = partition.ragged();
    layout.largest = 8;
    const auto rewards = test::random_rewards(size + 16, 2, 0.0, 29);
    Statistics got(3, size + 16, 2);
    test::ThreadExecutor<5> executor;
    BOOST_CHECK_EXCEPTION(compute<2>(executor, rewards, layout, 1, got.all()), BadArgument, [](const auto& error) {
      return std::string(error.what()).find("group 1 has more rows") != std::string::npos;
    });
    BOOST_TEST(got.count[0] == 8);
    BOOST_TEST(got.count[2] == -99);
    BOOST_TEST(got.count[4] == 8);
  }
}

BOOST_AUTO_TEST_CASE(options_out_of_domain_are_refused) {
  gpu::HostExecutor executor;
  const Matrix<float> rewards(4097, 1, 0.0f);
  Statistics got(1, 4097, 1);
  const auto layout = gpu::GroupLayout::uniform(1, 4097);
  BOOST_CHECK_THROW(compute<1>(executor, rewards, layout, 2, got.all_but_ranks()), BadArgument);
  BOOST_CHECK_THROW(compute<1>(executor, rewards, layout, 1, got.all()), BadArgument);
  compute<1>(executor, rewards, layout, 1, got.all_but_ranks());
}

BOOST_AUTO_TEST_CASE(runs_hold_whole_groups_and_every_group_once) {
  const test::Partition partition({0, 0, 5, 3, 9, 0, 40, 1, 1, 1, 1, 1, 1, 0});
  const auto layout = partition.ragged();
  for (const std::size_t rows : Sizes{1, 8, 10, 100}) {
    for (const std::size_t groups : Sizes{1, 4, 100}) {
      std::size_t next = 1;
      gpu::for_each_run(layout, 1, layout.groups, rows, groups, [&](const gpu::GroupRun& run) {
        BOOST_TEST(run.first == next);
        next = run.last;
        BOOST_TEST(run.begin == layout.begin(run.first));
        BOOST_TEST(run.end == layout.begin(run.last));
        BOOST_TEST((run.groups() >= 1 && run.groups() <= groups));
        BOOST_TEST((run.rows() <= rows || run.groups() == 1));
        const bool full = run.groups() == groups || run.last == layout.groups;
        BOOST_TEST((full || layout.end(run.last) - run.begin > rows));
        for (std::size_t row = run.begin; row < run.end; ++row) {
          BOOST_TEST(run.first + group_in_run(layout, run, row - run.begin) == partition.groups.group_of(row));
        }
      });
      BOOST_TEST(next == layout.groups);
    }
  }
  BOOST_TEST(gpu::groups_per_team(gpu::GroupLayout::uniform(1000, 8), 512, 128) == 64u);
  BOOST_TEST(gpu::groups_per_team(gpu::GroupLayout::uniform(1000, 600), 512, 128) == 1u);
  BOOST_TEST(gpu::groups_per_team(gpu::GroupLayout::uniform(1000, 0), 512, 128) == 128u);
  BOOST_TEST(gpu::teams_for(gpu::GroupLayout::uniform(1000, 8), 64) == 16u);
}

BOOST_AUTO_TEST_SUITE_END()
