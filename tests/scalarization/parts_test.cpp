#include <boost/test/unit_test.hpp>
#include <limits>
#include <string>
#include <vector>

#include "maestro/distributed/thread.hpp"
#include "scalarization/support.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(parts)

namespace {

template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing thrown";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Matrix<float> rows_of(const Matrix<float>& m, std::size_t begin, std::size_t end) {
  Matrix<float> part(end - begin, m.cols());
  for (std::size_t i = begin; i < end; ++i) {
    for (std::size_t k = 0; k < m.cols(); ++k) part(i - begin, k) = m(i, k);
  }
  return part;
}

}  // namespace

BOOST_AUTO_TEST_CASE(ranks_share_the_batch_figures) {
  const test::Scene scene(3);
  // Rank 1 has the groups 3 to 5, rank 2 none at all.
  const std::size_t cut = scene.groups.begin(3);
  const std::vector<std::size_t> first_sizes{5, 1, 0}, second_sizes{7, 2, 8};
  for (const auto name : {"batch", "gdpo", "group", "batch_centered", "sa_mrpo", "dara"}) {
    const AnyScalarization scalarization(name);
    const auto whole =
        test::run(scalarization, scene.rewards, scene.decision, scene.groups, test::Want::counterfactuals);
    std::vector<test::Result> results(3);
    maestro::run_on_threads(3, [&](maestro::ThreadCommunicator& comm) {
      const std::size_t rank = comm.rank();
      const std::size_t begin = rank == 0 ? 0 : rank == 1 ? cut : scene.rewards.rows();
      const std::size_t end = rank == 0 ? cut : scene.rewards.rows();
      Decision decision;
      decision.weights = rows_of(scene.decision.weights, begin, end);
      decision.base = rows_of(scene.decision.base, begin, end);
      decision.emphasis = scene.decision.emphasis;
      const auto& actions = scene.decision.actions;
      decision.actions.assign(actions.begin() + std::ptrdiff_t(begin), actions.begin() + std::ptrdiff_t(end));
      const Groups groups = rank == 0   ? Groups::from_sizes(first_sizes)
                            : rank == 1 ? Groups::from_sizes(second_sizes)
                                        : Groups();
      results[rank] = test::run(scalarization, rows_of(scene.rewards, begin, end), decision, groups, comm,
                                test::Want::counterfactuals);
    });
    for (std::size_t i = 0; i < scene.rewards.rows(); ++i) {
      const auto& part = results[i < cut ? 0 : 1];
      const std::size_t j = i < cut ? i : i - cut;
      BOOST_TEST(std::abs(part.advantages[j] - whole.advantages[i]) < 1e-6f);
      for (std::size_t k = 0; k < 3; ++k) {
        BOOST_TEST(std::abs(part.counterfactuals(j, k) - whole.counterfactuals(i, k)) < 1e-6f);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(replacing_a_value_updates_the_moments) {
  const std::vector<double> before{0.3, 1.1, -0.4, 0.3, 1e6};
  for (std::size_t which = 0; which < before.size(); ++which) {
    std::vector<double> after = before;
    after[which] = 0.7;
    const Moments exact = moments_of(after.data(), after.size());
    const Moments updated = replace_one(moments_of(before.data(), before.size()), before[which], 0.7);
    const Moments same = replace_one(moments_of(before.data(), before.size()), 0.7, 0.7);
    BOOST_TEST(std::abs(updated.mean - exact.mean) < 1e-9);
    // A few ulp of the larger sum of squares, here 1e12 before and 1 after the change of the last value.
    BOOST_TEST(std::abs(updated.squares - exact.squares) < 2e-3);
    BOOST_TEST(same.squares == moments_of(before.data(), before.size()).squares);
  }
}

BOOST_AUTO_TEST_CASE(replacing_in_a_group_that_becomes_equal_is_exact) {
  // A missing digit would stand where nothing is left: 0.1 + 0.2 is not 0.3.
  const auto rewards = test::matrix({{0.1f, 0.7f}, {0.1f, 0.1f}, {0.1f, 0.1f}});
  const Decision decision = test::acted({1, 0, 0}, Matrix<float>(3, 2, 0.0f), 1.0f);
  const auto result = test::run(Advantages{GroupRelative{.epsilon = 0.0}}, rewards, decision, Groups::uniform(1, 3),
                                test::Want::counterfactuals);
  BOOST_TEST(result.advantages[0] > 1.0f);
  BOOST_TEST(result.counterfactuals(0, 0) == 0.0f);
}

// A reward of weight 1 is its own scalar reward: what the normalizer made of it.
BOOST_AUTO_TEST_CASE(normalizers) {
  const auto rewards = test::matrix({{1, 5}, {3, 5}, {3, test::missing}, {test::missing, 5}, {2, 5}, {9, 7}});
  const std::vector<std::size_t> sizes{5, 0, 1};
  const auto normalized = [&](const Normalizer& normalizer, std::size_t k) {
    Matrix<float> one(6, 1);
    for (std::size_t i = 0; i < 6; ++i) one(i, 0) = rewards(i, k);
    return test::run(Advantages{DrGrpo{}, {.normalizer = normalizer}}, one, test::shared_weights(6, {1}),
                     Groups::from_sizes(sizes))
        .scalars;
  };
  auto out = normalized({.kind = NormalizerKind::rank}, 0);
  BOOST_TEST(out[0] == 0.0f);
  BOOST_TEST(out[4] == 1.0f / 3);
  BOOST_TEST(out[1] == 2.5f / 3);
  BOOST_TEST(out[2] == 2.5f / 3);
  BOOST_TEST(std::isnan(out[3]));
  BOOST_TEST(out[5] == 0.5f);
  out = normalized({.kind = NormalizerKind::rank}, 1);
  BOOST_TEST(std::isnan(out[2]));
  BOOST_TEST(out[0] == 0.5f);
  out = normalized({.kind = NormalizerKind::z_score, .ddof = 0, .epsilon = 0.0}, 0);
  BOOST_TEST(std::abs(double(out[0]) + 1.25 / std::sqrt(0.6875)) < 1e-7);
  BOOST_TEST(std::isnan(out[3]));
  BOOST_TEST(out[5] == 0.0f);
  out = normalized({.kind = NormalizerKind::z_score, .ddof = 0, .epsilon = 0.0}, 1);
  BOOST_TEST(out[0] == 0.0f);
  BOOST_TEST(std::isnan(out[2]));
  out = normalized({.kind = NormalizerKind::none}, 1);
  BOOST_TEST(out[5] == 7.0f);
}

BOOST_AUTO_TEST_CASE(bad_values_name_their_place) {
  auto rewards = test::matrix({{1, 2}, {3, 4}, {5, 6}});
  Decision decision = test::shared_weights(3, {1, 1});
  const Groups groups = Groups::uniform(1, 3);
  for (const auto name : scalarization_names) {
    const AnyScalarization scalarization(name);
    rewards(2, 1) = std::numeric_limits<float>::infinity();
    const auto infinite = message_of<BadData>([&] { test::run(scalarization, rewards, decision, groups); });
    BOOST_TEST(contains(infinite, "row 2, reward 1"), infinite);
    rewards(2, 1) = 6;
    decision.weights(1, 0) = test::missing;
    const auto weight = message_of<BadData>([&] { test::run(scalarization, rewards, decision, groups); });
    BOOST_TEST(contains(weight, "row 1, the weight of reward 0"), weight);
    decision.weights(1, 0) = -2;  // any finite weight is fine
    test::run(scalarization, rewards, decision, groups);
    const auto penalty = message_of<BadData>([&] {
      test::run(scalarization, rewards, decision, groups, test::Want::advantages, {0, test::missing, 0});
    });
    BOOST_TEST(contains(penalty, "row 1, the penalty"), penalty);
  }
}

BOOST_AUTO_TEST_CASE(shapes_are_checked) {
  const auto rewards = test::matrix({{1, 2}, {3, 4}, {5, 6}});
  const Advantages<GroupRelative> scalarization;
  const Groups groups = Groups::uniform(1, 3);
  BOOST_CHECK_THROW(test::run(scalarization, rewards, test::shared_weights(3, {1}), groups), BadArgument);
  BOOST_CHECK_THROW(test::run(scalarization, rewards, test::shared_weights(3, {1, 1}), Groups::uniform(1, 2)),
                    BadArgument);
  Decision no_base = test::shared_weights(3, {1, 1});
  no_base.base.resize(0, 0);
  test::run(scalarization, rewards, no_base, groups);
  const auto message =
      message_of<BadArgument>([&] { test::run(scalarization, rewards, no_base, groups, test::Want::counterfactuals); });
  BOOST_TEST(contains(message, "decision.base"), message);
}

BOOST_AUTO_TEST_CASE(options_out_of_domain_are_refused) {
  const auto refuses = [](const auto& estimator) { BOOST_CHECK_THROW(Advantages{estimator}, BadArgument); };
  refuses(GroupRelative{.epsilon = -1.0});
  refuses(GroupRelative{.epsilon = std::nan("")});
  refuses(GroupRelative{.ddof = 2});
  refuses(BatchScaled{.ddof = -1});
  refuses(LeaveOneOut{.epsilon = -1.0});
  refuses(Gdpo{{.epsilon = -1.0}});
  refuses(Gdpo{{.inner = {.epsilon = -1.0}}});
  refuses(OwnWeightBaseline{{.inner = {.ddof = -1}}});
  refuses(Dvao{.epsilon = -1.0});
  refuses(CorrGrpo{.floor = 0.0});
  refuses(SaMrpo{{.inner = {.low = 1.0, .high = 1.0}}});
  refuses(Dara{.max_factor = 0.5});
  refuses(Gd2po{.threshold = 1.5});
  BOOST_CHECK_THROW(Advantages(Rloo{}, {.normalizer = {.epsilon = -1.0}}), BadArgument);
  BOOST_CHECK_THROW(Advantages(Rloo{}, {.scalarizer = {.tau = 0.0}}), BadArgument);
  const auto message = message_of<BadArgument>([] { AnyScalarization("grpoo"); });
  BOOST_TEST(contains(message, "'grpoo'"), message);
  for (const std::string_view name : scalarization_names) BOOST_TEST(contains(message, std::string(name)));
}

BOOST_AUTO_TEST_CASE(a_scalarizer_without_effect_is_refused) {
  for (const std::string_view name : {"own_weight", "gdpo", "mo_grpo", "sa_mrpo", "dara", "gd2po"}) {
    const auto message =
        message_of<BadArgument>([&] { AnyScalarization(name, {.scalarizer = {.kind = ScalarizerKind::tchebycheff}}); });
    BOOST_TEST(contains(message, "'tchebycheff' would have no effect"), message);
  }
}

BOOST_AUTO_TEST_CASE(rows_that_a_scalarizer_has_no_value_for_are_named) {
  const Groups groups = Groups::uniform(1, 3);
  const auto rewards = test::matrix({{1, 2}, {3, -4}, {5, 6}});
  const auto refusal = [&](ScalarizerKind kind, const Decision& decision) {
    return message_of<BadData>([&] {
      test::run(Advantages{GroupRelative{}, {.scalarizer = {.kind = kind}}}, rewards, decision, groups);
    });
  };
  const auto geometric = refusal(ScalarizerKind::geometric, test::shared_weights(3, {1, 1}));
  BOOST_TEST(contains(geometric, "row 1, the scalarizer geometric"), geometric);
  const auto softmin = refusal(ScalarizerKind::softmin, test::shared_weights(3, {1, -1}));
  BOOST_TEST(contains(softmin, "row 0, the scalarizer softmin"), softmin);
  const auto gate = message_of<BadArgument>([&] {
    test::run(Advantages{GroupRelative{}, {.scalarizer = {.kind = ScalarizerKind::gated, .gate = 2}}}, rewards,
              test::shared_weights(3, {1, 1}), groups);
  });
  BOOST_TEST(contains(gate, "gate 2 is none of the 2 rewards"), gate);
  const auto lengths = message_of<BadArgument>([&] {
    test::run(Advantages{Opo{}}, rewards, test::shared_weights(3, {1, 1}), groups, std::vector<std::int32_t>{});
  });
  BOOST_TEST(contains(lengths, "opo: needs ScalarizationInput::lengths"), lengths);
  const auto many = message_of<BadArgument>([&] {
    test::run(Advantages{Rloo{}}, Matrix<float>(3, 65), test::shared_weights(3, std::vector<float>(65, 1)), groups);
  });
  BOOST_TEST(contains(many, "rloo: takes up to 64 rewards, got 65"), many);
}

BOOST_AUTO_TEST_SUITE_END()
