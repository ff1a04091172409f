// Figures of Pareto fronts, by hand and on Deep Sea Treasure, whose front is known.

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "conductor/support.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/core/pareto.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(pareto)

namespace {

Matrix<double> points_of(const std::vector<std::vector<double>>& rows) {
  Matrix<double> points(rows.size(), rows.empty() ? 0 : rows[0].size());
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), points.row(i).begin());
  return points;
}

/// Deep Sea Treasure (Vamplew et al. 2011): dive from column c, whose treasure lies at this depth. The way to column c
/// takes c steps, and each step costs 1.
constexpr std::array<double, 10> treasure{1, 2, 3, 5, 8, 16, 24, 50, 74, 124};
constexpr std::array<double, 10> steps{1, 3, 5, 7, 8, 9, 13, 14, 17, 19};

struct Treasure {
  static constexpr std::string_view name = "treasure";
  float operator()(const Completion& c) const {
    return static_cast<float>(treasure[static_cast<std::size_t>(c.tokens[0])]);
  }
};
struct Time {
  static constexpr std::string_view name = "time";
  float operator()(const Completion& c) const {
    return -static_cast<float>(steps[static_cast<std::size_t>(c.tokens[0])]);
  }
};

Matrix<double> known_front() {
  Matrix<double> front(10, 2);
  for (std::size_t i = 0; i < 10; ++i) {
    front(i, 0) = treasure[i];
    front(i, 1) = -steps[i];
  }
  return front;
}

}  // namespace

BOOST_AUTO_TEST_CASE(figures_are_those_computed_by_hand) {
  const Matrix<double> two = points_of({{1, 3}, {2, 2}, {3, 1}, {1, 1}, {2, 2}});
  BOOST_TEST(pareto_front(two.view()) == (std::vector<std::size_t>{0, 1, 2}));
  const std::array<double, 2> zero{0, 0};
  BOOST_TEST(hypervolume(two.view(), zero) == 6.0);  // 3 + 2 + 1
  const std::array<double, 2> high{0, 1.5};
  BOOST_TEST(hypervolume(two.view(), high) == 2.0);  // 1 x 1.5 and 1 x 0.5; the third does not exceed it
  const Matrix<double> three = points_of({{1, 1, 2}, {2, 1, 1}, {1, 2, 1}});
  const std::array<double, 3> origin{0, 0, 0};
  BOOST_TEST(hypervolume(three.view(), origin) == 4.0);  // a unit cube that all share, and one each
  const Matrix<double> four = points_of({{1, 1, 1, 2}, {2, 1, 1, 1}});
  const std::array<double, 4> corner{0, 0, 0, 0};
  BOOST_TEST(hypervolume(four.view(), corner) == 3.0);
  BOOST_TEST(sparsity(points_of({{1, 3}, {2, 2}, {3, 1}}).view()) == 2.0);  // (1 + 1 + 1 + 1) / 2
  BOOST_TEST(sparsity(points_of({{1, 3}}).view()) == 0.0);
  BOOST_TEST(expected_utility(points_of({{0.5, 0.5}}).view()) == 0.5, boost::test_tools::tolerance(1e-12));
  // max(w, 1 - w) of a uniform w has mean 3/4
  BOOST_TEST(std::abs(expected_utility(points_of({{1, 0}, {0, 1}}).view(), 20000) - 0.75) < 0.004);
  BOOST_TEST(inverted_generational_distance(points_of({{0, 0}}).view(), points_of({{3, 4}, {0, 0}}).view()) == 2.5);
  BOOST_CHECK_THROW(hypervolume(two.view(), origin), BadArgument);
  const double infinite = std::numeric_limits<double>::infinity();
  BOOST_CHECK_THROW(pareto_front(points_of({{infinite, 0}}).view()), BadData);
}

BOOST_AUTO_TEST_CASE(the_exclusive_volume_is_estimated_within_its_error) {
  const RandomStream stream({.seed = 1, .purpose = Purpose::user});
  const std::array<double, 2> origin{0, 0};
  const Matrix<double> others = points_of({{1, 3}, {2, 2}, {3, 1}});
  const Matrix<double> none(0, 2);
  // Exact: the volume of all four less that of the three.
  for (const auto& point : {std::array<double, 2>{2.5, 2.5}, {4, 0.5}, {1, 1}, {3, 3}, {0, 5}}) {
    Matrix<double> all(4, 2);
    for (std::size_t i = 0; i < 3; ++i) std::copy_n(others.row(i).begin(), 2, all.row(i).begin());
    std::copy_n(point.begin(), 2, all.row(3).begin());
    const double exact = hypervolume(all.view(), origin) - hypervolume(others.view(), origin);
    const double found = exclusive_volume(others.view(), point, origin, 20000, stream);
    BOOST_TEST(std::abs(found - exact) <= 4.0 * 0.5 * point[0] * point[1] / std::sqrt(20000.0));
    BOOST_TEST(exclusive_volume(none.view(), point, origin, 1, stream) == point[0] * point[1]);
  }
  BOOST_TEST(exclusive_volume(others.view(), std::array<double, 2>{-1, -1}, origin, 10, stream) == 0.0);
  BOOST_TEST(exclusive_volume(others.view(), std::array<double, 2>{1, 1}, origin, 100, stream) == 0.0);
  BOOST_CHECK_THROW(exclusive_volume(others.view(), origin, origin, 0, stream), BadArgument);
  BOOST_CHECK_THROW(exclusive_volume(others.view(), std::array<double, 3>{1, 1, 1}, origin, 9, stream), BadArgument);
}

BOOST_AUTO_TEST_CASE(the_archive_keeps_what_no_other_point_beats) {
  ParetoArchive archive(2);
  BOOST_TEST(archive.add(std::array<double, 2>{1, 1}, 1));
  BOOST_TEST(archive.add(std::array<double, 2>{0, 2}, 2));
  BOOST_TEST(!archive.add(std::array<double, 2>{0, 1}, 3));
  BOOST_TEST(!archive.add(std::array<double, 2>{1, 1}, 4));
  BOOST_TEST(archive.add(std::array<double, 2>{2, 1}, 5));
  BOOST_TEST(archive.size() == 2u);
  BOOST_TEST(archive.owners()[0] == 2u);
  BOOST_TEST(archive.owners()[1] == 5u);
  BOOST_CHECK_THROW(archive.add(std::array<double, 3>{1, 1, 1}, 6), BadArgument);
  ParetoArchive loaded(2);
  conductor_test::load(loaded, conductor_test::save(archive));
  BOOST_TEST(loaded.points()(1, 0) == 2.0);
}

BOOST_AUTO_TEST_CASE(deep_sea_treasure_has_the_volume_that_is_known) {
  const std::array<double, 2> reference{0.0, -25.0};
  BOOST_TEST(hypervolume(known_front().view(), reference) == 1155.0);  // Vamplew et al. 2011
  BOOST_TEST(pareto_front(known_front().view()).size() == 10u);
}

BOOST_AUTO_TEST_CASE(policies_trained_under_several_weights_span_it) {
  ParetoArchive archive(2);
  const std::array<float, 6> weights{0.0f, 0.1f, 0.2f, 0.3f, 0.5f, 1.0f};
  for (std::size_t run = 0; run < weights.size(); ++run) {
    const float w = weights[run];
    Trainer trainer{TabularPolicy<float>({.contexts = 1, .actions = 10}), RewardSet{Treasure{}, Time{}},
                    FixedWeights<2>({w, 1.0f - w}), GroupRelative{},
                    TrainerOptions{.prompts_per_step = 1, .sampling = {.num_generations = 32}, .learning_rate = 0.1}};
    const std::vector<Prompt> prompts(1);
    for (int step = 0; step < 100; ++step) trainer.step(prompts);
    const auto logits = trainer.policy().logits();
    const auto best = static_cast<std::size_t>(std::ranges::max_element(logits.row(0)) - logits.row(0).begin());
    archive.add(std::array<double, 2>{treasure[best], -steps[best]}, run);
  }
  const std::array<double, 2> reference{0.0, -25.0};
  BOOST_TEST_MESSAGE("Deep Sea Treasure: " << archive.size() << " points, hypervolume "
                                           << hypervolume(archive.points(), reference) << " of 1155");
  BOOST_TEST(archive.size() >= 2u);  // sums of rewards reach the convex part of the front alone
  BOOST_TEST(hypervolume(archive.points(), reference) > 700.0);
  BOOST_TEST(inverted_generational_distance(archive.points(), known_front().view()) < 60.0);
}

BOOST_AUTO_TEST_SUITE_END()
