// The kernel bodies of the scalarizations, run on the host, against the library's own loops.

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "cuda/thread_executor.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"
#include "scalarization/support.hpp"

namespace {

using namespace maestro;
using test::Want;

constexpr std::array normaliser_kinds{Normalisation::none, Normalisation::z_score, Normalisation::rank};

struct Outputs {
  std::vector<float> advantages;
  std::vector<float> scalars;
  std::vector<float> counterfactuals;
};

std::vector<std::int64_t> offsets_of(const Groups& groups) {
  return {groups.offsets().begin(), groups.offsets().end()};
}
std::size_t largest_of(const Groups& groups) {
  std::size_t largest = 0;
  for (std::size_t g = 0; g < groups.count(); ++g) largest = std::max(largest, groups.size(g));
  return largest;
}

template <std::size_t K, class E, class S>
Outputs on(E& executor, const S& scalarization, const Matrix<float>& rewards, const Decision& decision,
           const gpu::GroupLayout& layout, const std::vector<float>& penalty) {
  const std::size_t rows = rewards.rows();
  Outputs result{std::vector<float>(rows, -99.0f), std::vector<float>(rows, -99.0f),
                 std::vector<float>(rows * K, -99.0f)};
  gpu::Scalarizer<E, K> scalarize(executor);
  gpu::FaultRecord record(executor);
  scalarize(scalarization,
            {.rewards = rewards.data(),
             .weights = decision.weights.data(),
             .groups = layout,
             .penalty = penalty.empty() ? nullptr : penalty.data(),
             .base = decision.base.data(),
             .emphasis = decision.emphasis,
             .actions = decision.actions.empty() ? nullptr : decision.actions.data()},
            {result.advantages.data(), result.scalars.data(), result.counterfactuals.data()}, record.data());
  record.check(executor);
  return result;
}

/// Ragged layouts get the offsets, which must outlive them.
gpu::GroupLayout layout_of(const Groups& groups, const std::vector<std::int64_t>& offsets) {
  return gpu::GroupLayout::ragged(offsets.data(), groups.count(), groups.rows(), largest_of(groups));
}

void check_close(const float* got, std::span<const float> expected, double tolerance, const std::string& what) {
  double worst = 0.0;
  std::size_t at = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i]) && std::isnan(got[i])) continue;
    double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(expected[i])) /
                   (1.0 + std::abs(static_cast<double>(expected[i])));
    if (std::isnan(error)) error = HUGE_VAL;
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  BOOST_TEST(worst <= tolerance, what << ": entry " << at << " is " << got[at] << ", expected " << expected[at]);
}

void check_equal(const Outputs& got, const test::Result& expected, double tolerance, const std::string& what) {
  check_close(got.advantages.data(), expected.advantages, tolerance, what + ", advantages");
  check_close(got.scalars.data(), expected.scalars, tolerance, what + ", scalar rewards");
  check_close(got.counterfactuals.data(), expected.counterfactuals.flat(), tolerance, what + ", counterfactuals");
}

/// Every named scalarization with every normaliser, on a serial team and on one of five threads.
template <std::size_t K>
void check_all(const Matrix<float>& rewards, const Decision& decision, const Groups& groups,
               const gpu::GroupLayout& layout, const std::vector<float>& penalty, double tolerance,
               const std::string& what) {
  gpu::HostExecutor serial;
  test::ThreadExecutor<5> threads;
  for (const std::string_view name : scalarization_names) {
    for (const Normalisation kind : normaliser_kinds) {
      const AnyScalarization scalarization(name, {.kind = kind});
      const auto expected = test::run(scalarization, rewards, decision, groups, Want::counterfactuals, penalty);
      const std::string title = what + ", " + std::string(name) + ", normaliser " +
                                std::string(normalisation_names[static_cast<std::size_t>(kind)]);
      check_equal(on<K>(serial, scalarization, rewards, decision, layout, penalty), expected, tolerance, title);
      check_equal(on<K>(threads, scalarization, rewards, decision, layout, penalty), expected, tolerance,
                  title + ", threads");
    }
  }
}

/// Random rewards (some missing), actions and bases over the given groups.
struct Batch {
  Batch(const Groups& partition, std::size_t count, std::uint64_t seed, double missing_share) : groups(partition) {
    const RandomStream stream({.seed = seed});
    std::uint32_t at = 0;
    rewards.resize(groups.rows(), count);
    Matrix<float> base(groups.rows(), count);
    std::vector<std::size_t> actions;
    for (std::size_t i = 0; i < groups.rows(); ++i) {
      for (std::size_t k = 0; k < count; ++k) {
        rewards(i, k) = static_cast<float>(stream.normal(at++));
        if (stream.uniform(at++) < missing_share) rewards(i, k) = test::missing;
        base(i, k) = static_cast<float>(0.2 * stream.uniform(at++));
      }
      actions.push_back(static_cast<std::size_t>(stream.below(count, at++)));
    }
    decision = test::acted(actions, std::move(base), 0.7f);
    offsets = offsets_of(groups);
  }
  Groups groups;
  std::vector<std::int64_t> offsets;
  Matrix<float> rewards;
  Decision decision;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(device_scalarization)

BOOST_AUTO_TEST_CASE(ragged_scene_with_gaps_and_penalties) {
  const auto check = [](auto constant) {
    constexpr std::size_t K = decltype(constant)::value;
    const test::Scene scene(K);
    const auto offsets = offsets_of(scene.groups);
    const auto layout = layout_of(scene.groups, offsets);
    check_all<K>(scene.rewards, scene.decision, scene.groups, layout, scene.penalty, 2e-7, "K " + std::to_string(K));
    check_all<K>(scene.rewards, scene.decision, scene.groups, layout, {}, 2e-7, "without penalty");
  };
  check(std::integral_constant<std::size_t, 1>{});
  check(std::integral_constant<std::size_t, 2>{});
  check(std::integral_constant<std::size_t, 5>{});
  check(std::integral_constant<std::size_t, 16>{});
}

BOOST_AUTO_TEST_CASE(even_groups_of_every_size) {
  for (const std::size_t size : {1u, 2u, 4u, 8u, 64u, 65u, 300u, 1024u, 1030u}) {
    const std::size_t count = size > 300 ? 2 : 600 / size + 1;
    const Batch batch(Groups::even(count, size), 3, size, 0.1);
    check_all<3>(batch.rewards, batch.decision, batch.groups, gpu::GroupLayout::even(count, size), {}, 5e-7,
                 "groups of " + std::to_string(size));
  }
}

BOOST_AUTO_TEST_CASE(small_groups_have_the_bits_of_the_host) {
  const Batch batch(Groups::even(100, 8), 5, 3, 0.2);
  test::ThreadExecutor<5> threads;
  for (const std::string_view name : {"group", "none", "rloo", "own_weight"}) {
    const AnyScalarization scalarization(name, {.kind = Normalisation::z_score});
    const auto expected =
        test::run(scalarization, batch.rewards, batch.decision, batch.groups, Want::counterfactuals, {});
    const auto got = on<5>(threads, scalarization, batch.rewards, batch.decision, gpu::GroupLayout::even(100, 8), {});
    BOOST_TEST(got.advantages == expected.advantages, boost::test_tools::per_element());
    for (std::size_t i = 0; i < got.counterfactuals.size(); ++i) {
      BOOST_REQUIRE_EQUAL(got.counterfactuals[i], expected.counterfactuals.flat()[i]);
    }
  }
}

BOOST_AUTO_TEST_CASE(empty_groups_one_huge_group_and_no_rows_at_all) {
  const std::vector<std::size_t> sizes{0, 3, 0, 0, 3000, 1, 0, 7, 0};
  const Batch batch(Groups::from_sizes(sizes), 2, 9, 0.3);
  check_all<2>(batch.rewards, batch.decision, batch.groups, layout_of(batch.groups, batch.offsets), {}, 5e-7,
               "empty and large");

  const std::vector<std::size_t> nothing{0, 0};
  const Batch none(Groups::from_sizes(nothing), 2, 9, 0.3);
  gpu::HostExecutor serial;
  on<2>(serial, GroupRelative{}, none.rewards, none.decision, layout_of(none.groups, none.offsets), {});
  on<2>(serial, Gdpo{}, none.rewards, none.decision, gpu::GroupLayout::even(0, 8), {});
}

BOOST_AUTO_TEST_CASE(a_group_of_a_hundred_thousand) {
  const Batch batch(Groups::even(1, 100000), 2, 4, 0.05);
  gpu::HostExecutor serial;
  test::ThreadExecutor<4> threads;
  for (const std::string_view name : {"group", "gdpo", "own_weight"}) {
    const AnyScalarization scalarization(name, {.kind = Normalisation::z_score});
    test::Result expected;
    expected = test::run(scalarization, batch.rewards, batch.decision, batch.groups, Want::advantages, {});
    Outputs got = on<2>(serial, scalarization, batch.rewards, batch.decision, gpu::GroupLayout::even(1, 100000), {});
    check_close(got.advantages.data(), expected.advantages, 1e-6, std::string(name));
    got = on<2>(threads, scalarization, batch.rewards, batch.decision, gpu::GroupLayout::even(1, 100000), {});
    check_close(got.advantages.data(), expected.advantages, 1e-6, std::string(name) + ", threads");
  }
}

BOOST_AUTO_TEST_CASE(equal_rewards_give_exactly_zero) {
  for (const std::size_t size : {4u, 100u, 2000u}) {
    Batch batch(Groups::even(3, size), 3, 1, 0.0);
    for (float& reward : batch.rewards.flat()) reward = 0.1f;
    batch.decision = test::shared_weights(batch.rewards.rows(), {0.3f, 0.3f, 0.4f});
    test::ThreadExecutor<5> threads;
    for (const std::string_view name : {"group", "batch", "gdpo", "own_weight"}) {
      const auto got =
          on<3>(threads, AnyScalarization(name), batch.rewards, batch.decision, gpu::GroupLayout::even(3, size), {});
      for (const float advantage : got.advantages) BOOST_REQUIRE_EQUAL(advantage, 0.0f);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_every_run) {
  const Batch batch(Groups::even(5, 700), 4, 2, 0.1);
  test::ThreadExecutor<5> threads;
  const auto layout = gpu::GroupLayout::even(5, 700);
  const Outputs first = on<4>(threads, Gdpo{}, batch.rewards, batch.decision, layout, {});
  for (int run = 0; run < 3; ++run) {
    const Outputs again = on<4>(threads, Gdpo{}, batch.rewards, batch.decision, layout, {});
    BOOST_TEST((again.advantages == first.advantages && again.counterfactuals == first.counterfactuals));
  }
}

BOOST_AUTO_TEST_CASE(sorted_ranks_may_be_given) {
  const Batch batch(Groups::even(3, 40), 2, 6, 0.2);
  Matrix<double> ranks(batch.rewards.rows(), 2);
  normalise(Normaliser{.kind = Normalisation::rank}, batch.rewards.view(), batch.groups, ranks.view());
  gpu::HostExecutor serial;
  gpu::Scalarizer<gpu::HostExecutor, 2> scalarize(serial);
  gpu::FaultRecord record(serial);
  std::vector<float> counted(120), given(120);
  const GroupRelative scalarization({.normaliser = {.kind = Normalisation::rank}});
  gpu::RewardBatch<2> in{.rewards = batch.rewards.data(),
                         .weights = batch.decision.weights.data(),
                         .groups = gpu::GroupLayout::even(3, 40)};
  scalarize(scalarization, in, {counted.data()}, record.data());
  in.ranks = ranks.data();
  scalarize(scalarization, in, {given.data()}, record.data());
  BOOST_TEST(counted == given, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(bad_data_has_the_words_of_the_host) {
  const float infinity = std::numeric_limits<float>::infinity();
  const auto check = [&](auto&& spoil) {
    Batch batch(Groups::even(4, 8), 3, 5, 0.1);
    std::vector<float> penalty(32, 0.1f);
    spoil(batch, penalty);
    const auto message = [](auto&& run) -> std::string {
      try {
        run();
      } catch (const BadData& error) {
        return error.what();
      }
      return "nothing was thrown";
    };
    const std::string expected = message(
        [&] { test::run(Gdpo{}, batch.rewards, batch.decision, batch.groups, Want::counterfactuals, penalty); });
    test::ThreadExecutor<3> threads;
    const auto layout = gpu::GroupLayout::even(4, 8);
    BOOST_TEST(message([&] { on<3>(threads, Gdpo{}, batch.rewards, batch.decision, layout, penalty); }) == expected);
    BOOST_TEST(message([&] { on<3>(threads, OwnWeightBaseline{}, batch.rewards, batch.decision, layout, penalty); }) ==
               expected);
    BOOST_TEST(expected.find("scalarization: ") == 0u);
  };
  check([&](Batch& b, auto&) { b.rewards(17, 1) = infinity; });
  check([&](Batch& b, auto&) { b.rewards(30, 2) = -infinity, b.rewards(29, 0) = infinity; });
  check([&](Batch& b, auto&) { b.decision.weights(9, 2) = test::missing; });
  check([&](Batch& b, auto&) { b.decision.base(3, 0) = infinity; });
  check([&](Batch&, auto& penalty) { penalty[21] = test::missing; });
  check([&](Batch& b, auto& penalty) { penalty[2] = infinity, b.rewards(0, 0) = infinity; });
  check([&](Batch& b, auto&) { b.decision.emphasis = infinity; });
}

BOOST_AUTO_TEST_CASE(a_group_above_the_layouts_bound_is_refused) {
  const std::vector<std::size_t> sizes{2, 2000, 3};
  const Batch batch(Groups::from_sizes(sizes), 2, 8, 0.0);
  gpu::HostExecutor serial;
  const auto layout = gpu::GroupLayout::ragged(batch.offsets.data(), 3, batch.groups.rows(), 500);
  BOOST_CHECK_EXCEPTION(on<2>(serial, GroupRelative{}, batch.rewards, batch.decision, layout, {}), BadArgument,
                        [](const BadArgument& e) { return std::string(e.what()).find("group 1 ") == 0; });
}

BOOST_AUTO_TEST_CASE(what_is_missing_is_named) {
  gpu::HostExecutor serial;
  gpu::Scalarizer<gpu::HostExecutor, 2> scalarize(serial);
  std::vector<float> some(16, 0.5f);
  gpu::RewardBatch<2> in{.rewards = some.data(), .weights = some.data(), .groups = gpu::GroupLayout::even(2, 4)};
  BOOST_CHECK_THROW(scalarize(GroupRelative{}, in, {}, nullptr), BadArgument);
  BOOST_CHECK_THROW(scalarize(GroupRelative{}, in, {some.data(), nullptr, some.data()}, nullptr), BadArgument);
  in.rewards = nullptr;
  BOOST_CHECK_THROW(scalarize(OwnWeightBaseline{}, in, {some.data()}, nullptr), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
