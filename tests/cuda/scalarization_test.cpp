// The kernel bodies of the scalarizations, run on the host.

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "cuda/scalarization_support.hpp"
#include "cuda/thread_executor.hpp"
#include "maestro/cuda/core/host_executor.hpp"

using namespace maestro;
using namespace test;

BOOST_AUTO_TEST_SUITE(device_scalarization)

namespace {

/// The checks run on a serial team and on one of five threads.
template <class Check>
void on_both(const Check& check) {
  gpu::HostExecutor serial;
  check(serial);
  ThreadExecutor<5> threads;
  check(threads);
}

}  // namespace

BOOST_AUTO_TEST_CASE(ragged_scene_with_gaps_and_penalties) {
  on_both([](auto& executor) {
    check_scene<1, SomeScalarizations>(executor);
    check_scene<3, EveryScalarization>(executor);
    check_scene<5, SomeScalarizations>(executor);
    check_scene<16, SomeScalarizations>(executor);
  });
}
BOOST_AUTO_TEST_CASE(even_groups_of_every_size) {
  on_both([](auto& executor) { check_even_groups<EveryScalarization>(executor); });
}
BOOST_AUTO_TEST_CASE(empty_groups_one_huge_group_and_no_rows_at_all) {
  on_both([](auto& executor) { check_empty_and_large_groups<EveryScalarization>(executor); });
}
BOOST_AUTO_TEST_CASE(a_group_of_a_hundred_thousand) {
  on_both([](auto& executor) { check_a_hundred_thousand<EveryScalarization>(executor); });
}
BOOST_AUTO_TEST_CASE(equal_rewards_give_exactly_zero) {
  on_both([](auto& executor) { check_equal_rewards_give_zero<EveryScalarization>(executor); });
}
BOOST_AUTO_TEST_CASE(the_same_bits_on_every_run) {
  on_both([](auto& executor) { check_same_bits(executor); });
}
BOOST_AUTO_TEST_CASE(bad_data_has_the_words_of_the_host) {
  on_both([](auto& executor) { check_bad_data(executor); });
}

BOOST_AUTO_TEST_CASE(small_groups_have_the_bits_of_the_host) {
  const RewardedBatch batch(Partition::uniform(100, 8), 3, 3, 0.2);
  ThreadExecutor<5> threads;
  for (const std::string_view name : scalarization_names) {
    if (!laws_of(name).own_group_only) continue;
    const AnyScalarization scalarization(name, {.normalizer = {.kind = NormalizerKind::z_score}});
    const auto expected =
        run(scalarization, batch.rewards, batch.decision, batch.partition.groups, Want::counterfactuals);
    const auto got = on<3>(threads, scalarization, batch.rewards, batch.decision, batch.partition, {});
    BOOST_TEST(got.advantages == expected.advantages, boost::test_tools::per_element());
    for (std::size_t i = 0; i < got.counterfactuals.size(); ++i) {
      BOOST_REQUIRE_EQUAL(got.counterfactuals[i], expected.counterfactuals.flat()[i]);
    }
  }
}

// The default on an executor, by its own name and by that of any scalarization, is the host's default.
BOOST_AUTO_TEST_CASE(one_default_everywhere) {
  const RewardedBatch batch(Partition::uniform(40, 8), 3, 3, 0.2);
  const auto expected =
      run(DefaultScalarization{}, batch.rewards, batch.decision, batch.partition.groups, Want::counterfactuals);
  gpu::HostExecutor serial;
  const auto check = [&](const auto& scalarization) {
    const auto host = run(scalarization, batch.rewards, batch.decision, batch.partition.groups, Want::counterfactuals);
    BOOST_TEST(host.advantages == expected.advantages, boost::test_tools::per_element());
    BOOST_TEST((host.counterfactuals == expected.counterfactuals));
    const auto got = on<3>(serial, scalarization, batch.rewards, batch.decision, batch.partition, {});
    BOOST_TEST(got.advantages == expected.advantages, boost::test_tools::per_element());
  };
  check(DefaultScalarization{});
  check(AnyScalarization{});
  check(AnyScalarization("own_weight", {.normalizer = {.kind = NormalizerKind::z_score}}));
}

// The figures of many small groups of many rewards are what fills the scratch.
BOOST_AUTO_TEST_CASE(many_groups_of_one_and_many_rewards) {
  const RewardedBatch batch(Partition::uniform(700, 1), 16, 5, 0.1);
  gpu::HostExecutor serial;
  check_all<16, SomeScalarizations>(serial, batch.rewards, batch.decision, batch.partition, {}, 2e-7, "groups of one");
  const RewardedBatch large(Partition::uniform(2, 1024), 16, 5, 0.1);
  const Advantages<OwnWeightBaseline> scalarization;
  const Result expected = run(scalarization, large.rewards, large.decision, large.partition.groups);
  const Outputs got = on<16>(serial, scalarization, large.rewards, large.decision, large.partition, {});
  check_close(got.advantages.data(), expected.advantages, 1e-6, "groups of 1024");
}

BOOST_AUTO_TEST_CASE(sorted_ranks_may_be_given) {
  const RewardedBatch batch(Partition::uniform(3, 40), 2, 6, 0.2);
  Matrix<double> ranks(batch.rewards.rows(), 2);
  for (std::size_t i = 0; i < ranks.rows(); ++i) {
    for (std::size_t k = 0; k < 2; ++k) {
      const std::size_t first = i / 40 * 40;
      ranks(i, k) = rank_in_group(40, i - first, [&](std::size_t j) { return batch.rewards(first + j, k); });
    }
  }
  gpu::HostExecutor serial;
  gpu::Scalarizer<gpu::HostExecutor, 2> scalarize(serial);
  gpu::FaultRecord record(serial);
  std::vector<float> counted(120), given(120);
  const Advantages scalarization{GroupRelative{}, {.normalizer = {.kind = NormalizerKind::rank}}};
  gpu::RewardBatch<2> in{.rewards = batch.rewards.data(),
                         .weights = batch.decision.weights.data(),
                         .groups = gpu::GroupLayout::uniform(3, 40)};
  scalarize(scalarization, in, {counted.data()}, record.data());
  in.ranks = ranks.data();
  scalarize(scalarization, in, {given.data()}, record.data());
  BOOST_TEST(counted == given, boost::test_tools::per_element());
  for (double& rank : ranks.flat()) rank = 0.5;
  scalarize(scalarization, in, {given.data()}, record.data());
  BOOST_TEST(counted != given);
}

BOOST_AUTO_TEST_CASE(a_group_above_the_layouts_bound_is_refused) {
  RewardedBatch batch(Partition({2, 2000, 3}), 3, 8, 0.0);
  batch.partition.largest = 500;
  on_both([&](auto& executor) {
    BOOST_TEST(message_of([&] {
                 on<3>(executor, Advantages{GroupRelative{}}, batch.rewards, batch.decision, batch.partition, {});
               }).find("group 1 ") == 0u);
  });
}

BOOST_AUTO_TEST_CASE(what_is_missing_is_named) {
  gpu::HostExecutor serial;
  gpu::Scalarizer<gpu::HostExecutor, 2> scalarize(serial);
  std::vector<float> some(16, 0.5f);
  gpu::RewardBatch<2> in{.rewards = some.data(), .weights = some.data(), .groups = gpu::GroupLayout::uniform(2, 4)};
  BOOST_CHECK_THROW(scalarize(GroupRelative{}, in, {}, nullptr), BadArgument);
  BOOST_CHECK_THROW(scalarize(GroupRelative{}, in, {some.data(), nullptr, some.data()}, nullptr), BadArgument);
  in.rewards = nullptr;
  BOOST_CHECK_THROW(scalarize(OwnWeightBaseline{}, in, {some.data()}, nullptr), BadArgument);
}

namespace {

/// An estimator that the library does not know: R minus the largest R of the group, scaled by an option.
struct Regret {
  static constexpr std::string_view name = "regret";
  double factor = 1.0;
  template <class G>
  MAESTRO_HD double statistics(const G& group) const {
    return group.largest(TotalOf{});
  }
  template <class R>
  MAESTRO_HD double advantage(double best, const R& row) const {
    return factor * (row.total() - best);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_estimator_of_your_own) {
  const RewardedBatch batch(Partition({5, 1, 0, 300, 8}), 3, 8, 0.1);
  on_both([&](auto& executor) {
    check_one<3>(
        executor, [](const AdvantagesOptions& o) { return Advantages(Regret{.factor = 2.0}, o); }, batch.rewards,
        batch.decision, batch.partition, {}, 2e-7, "regret");
  });
}

BOOST_AUTO_TEST_CASE(scalarizers) {
  RewardedBatch batch(Partition({5, 1, 0, 70, 8}), 3, 8, 0.1);
  for (float& reward : batch.rewards.flat()) reward = std::abs(reward) + 0.01f;
  on_both([&](auto& executor) {
    for (std::size_t kind = 0; kind < scalarizer_names.size(); ++kind) {
      const Advantages scalarization{DrGrpo{}, {.scalarizer = {.kind = static_cast<ScalarizerKind>(kind)}}};
      const auto expected =
          run(scalarization, batch.rewards, batch.decision, batch.partition.groups, Want::counterfactuals);
      check_equal(on<3>(executor, scalarization, batch.rewards, batch.decision, batch.partition, {}), expected, 5e-7,
                  std::string(scalarizer_names[kind]));
    }
    batch.rewards(13, 1) = -1.0f;
    const Advantages geometric{DrGrpo{}, {.scalarizer = {.kind = ScalarizerKind::geometric}}};
    BOOST_TEST(message_of([&] { on<3>(executor, geometric, batch.rewards, batch.decision, batch.partition, {}); }) ==
               message_of([&] { run(geometric, batch.rewards, batch.decision, batch.partition.groups); }));
    batch.rewards(13, 1) = 1.0f;
  });
}

BOOST_AUTO_TEST_SUITE_END()
