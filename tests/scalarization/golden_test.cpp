#include <boost/test/unit_test.hpp>
#include <string>

#include "scalarization/golden_numbers.hpp"
#include "scalarization/support.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(golden)

namespace {

const Matrix<float> rewards = test::golden_rewards();
const Groups one_group = Groups::uniform(1, 4);

void check_close(const std::vector<float>& got, const std::vector<double>& expected, double tolerance = 2e-6) {
  BOOST_REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) BOOST_TEST(std::abs(double(got[i]) - expected[i]) < tolerance);
}

const std::vector<std::int32_t> lengths = test::golden_lengths();

template <class E>
std::vector<float> advantages(const E& estimator, const Matrix<float>& r = rewards) {
  return test::run(Advantages{estimator}, r, test::shared_weights(4, {1, 1}), one_group, lengths).advantages;
}

}  // namespace

BOOST_AUTO_TEST_CASE(estimators) {
  for (const test::GoldenNumbers& golden : test::golden_numbers()) {
    check_close(
        test::run(golden.scalarization, rewards, test::shared_weights(4, {1, 1}), one_group, lengths).advantages,
        golden.advantages);
  }
  check_close(test::run(Advantages{GroupRelative{}}, rewards, test::shared_weights(4, {1, 1}), one_group).scalars,
              {1.2, 0.8, 1.5, 0.1});
}

BOOST_AUTO_TEST_CASE(a_lone_response) {
  const Matrix<float> one = test::matrix({{1, 0.2f}});
  const auto alone = [&](std::string_view name) {
    return test::run(AnyScalarization(name), one, test::shared_weights(1, {1, 1}), Groups::uniform(1, 1)).advantages[0];
  };
  BOOST_TEST(alone("group") == 0.0f);
  BOOST_TEST(alone("verl") == 1.2f);
}

// With the first response's rewards all missing: left out, or a reward of 0 (ms-swift).
BOOST_AUTO_TEST_CASE(a_response_without_rewards) {
  Matrix<float> r = rewards;
  r(0, 0) = r(0, 1) = test::missing;
  const auto by_name = [&](std::string_view name) {
    return test::run(AnyScalarization(name), r, test::shared_weights(4, {1, 1}), one_group).advantages;
  };
  check_close(by_name("trl"), {0, 0, 0.9998572, -0.9998572});
  // R = 0, 0.8, 1.5, 0.1: mean 0.6, deviation (ddof 1) 0.6976150.
  check_close(by_name("ms_swift"), {-0.8599500, 0.2866500, 1.2899250, -0.7166250});
}

BOOST_AUTO_TEST_CASE(dara_raises_rewards_that_seldom_vary) {
  // Reward 0 varies in 4 groups of 4, reward 1 in one: factor sqrt(4) = 2; reward 2 nowhere.
  Matrix<float> r(16, 3, 0.0f);
  for (std::size_t i = 0; i < 16; ++i) r(i, 0) = i % 2 == 0 ? 1.0f : -1.0f;
  for (std::size_t i = 0; i < 4; ++i) r(i, 1) = i < 2 ? 1.0f : -1.0f;
  const auto a = [&](const Dara& dara) {
    return test::run(Advantages{dara}, r, test::shared_weights(16, {1, 1, 1}), Groups::uniform(4, 4)).advantages;
  };
  const double z = 1.0 / std::sqrt(4.0 / 3.0);  // each of +1, -1, +1, -1 with ddof 1
  const auto got = a(Dara{.scores = {.epsilon = 0.0}});
  check_close({got[0], got[1], got[2], got[3], got[4], got[5]}, {3 * z, z, -z, -3 * z, z, -z});
  const auto capped = a(Dara{.max_factor = 1.5, .scores = {.epsilon = 0.0}});
  check_close({capped[0], capped[1]}, {2.5 * z, 0.5 * z});
}

BOOST_AUTO_TEST_CASE(gd2po_drops_contradictions) {
  // Responses 0 and 1 are contradictory (z of equal size and other sign), 2 and 3 agree.
  const auto r = test::matrix({{1, -1}, {-1, 1}, {1, 1}, {-1, -1}});
  const double z = 1.0 / std::sqrt(4.0 / 3.0);
  check_close(advantages(Gd2po{.scores = {.epsilon = 0.0}}, r), {0, 0, 2 * z * 0.5, -2 * z * 0.5});
  check_close(advantages(Gd2po{.threshold = 0.0, .scores = {.epsilon = 0.0}}, r), {0, 0, 2 * z, -2 * z});
}

BOOST_AUTO_TEST_CASE(own_weight_baseline) {
  const Decision decision = test::acted({0, 1, 0, 1}, Matrix<float>(4, 2, 0.0f), 1.0f);
  const std::vector<double> raw{0.8660254, 1.2649111, 0.8660254, -0.9486833};
  check_close(test::run(Advantages{OwnWeight{.epsilon = 0.0}}, rewards, decision, one_group).advantages, raw);
  const double mean = (raw[0] + raw[1] + raw[2] + raw[3]) / 4;
  check_close(test::run(Advantages{OwnWeightBaseline{}}, rewards, decision, one_group).advantages,
              {raw[0] - mean, raw[1] - mean, raw[2] - mean, raw[3] - mean});
}

BOOST_AUTO_TEST_CASE(missing_reward) {
  Matrix<float> r = rewards;
  r(0, 1) = test::missing;
  check_close(advantages(GroupRelative{}, r), {0.2584737, -0.0861579, 1.1200527, -1.2923685});
  check_close(advantages(Gdpo{}, r), {0.6497761, 0.0622947, 0.7209831, -1.4330539});
}

BOOST_AUTO_TEST_CASE(scalarizers) {
  const Decision decision = test::shared_weights(4, {0.25f, 0.75f});
  const auto scalars = [&](const Scalarizer& scalarizer, const Matrix<float>& r = rewards) {
    return test::run(Advantages{DrGrpo{}, {.scalarizer = scalarizer}}, r, decision, one_group).scalars;
  };
  check_close(scalars({.kind = ScalarizerKind::sum}), {0.4, 0.6, 0.625, 0.075});
  check_close(scalars({.kind = ScalarizerKind::tchebycheff}), {-0.6, -0.25, -0.375, -0.675});
  check_close(scalars({.kind = ScalarizerKind::augmented_tchebycheff}), {-0.63, -0.27, -0.39375, -0.72125});
  check_close(scalars({.kind = ScalarizerKind::smooth_tchebycheff}), {-0.6002476, -0.2813262, -0.3773245, -0.6764163});
  check_close(scalars({.kind = ScalarizerKind::tchebycheff, .ideal = {1.0, 0.5}}), {-0.225, -0.25, 0.0, -0.3});
  // softmin with equal weights is the golden -tau log mean exp(-r/tau).
  check_close(test::run(Advantages{DrGrpo{}, {.scalarizer = {.kind = ScalarizerKind::softmin}}}, rewards,
                        test::shared_weights(4, {0.5f, 0.5f}), one_group)
                  .scalars,
              {0.2692812, 0.0692812, 0.5686432, 0.0379885});
  const auto positive = test::matrix({{1, 0.2f}, {2, 0.8f}, {4, 0.5f}, {0.5f, 0.1f}});
  check_close(scalars({.kind = ScalarizerKind::geometric}, positive),
              {std::pow(0.2, 0.75), std::pow(2, 0.25) * std::pow(0.8, 0.75), std::pow(4, 0.25) * std::pow(0.5, 0.75),
               std::pow(0.5, 0.25) * std::pow(0.1, 0.75)});
  check_close(scalars({.kind = ScalarizerKind::gated, .gate = 0, .threshold = 0.5}), {0.4, 0.0, 0.625, 0.0});
  check_close(scalars({.kind = ScalarizerKind::gated, .gate = 1, .threshold = 0.5}), {0.15, 0.6, 0.625, 0.075});
}

namespace {

bool one_of_the_sums(std::string_view name) {
  for (const std::string_view other :
       {"gdpo", "trl_gdpo", "ms_swift_gdpo", "mo_grpo", "sa_mrpo", "dara", "gd2po", "dvao", "corr_grpo"}) {
    if (name == other) return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_CASE(penalty_is_subtracted) {
  const std::vector<float> penalty{0.5f, 0, 0, 0.25f};
  for (const auto name : scalarization_names) {
    // A penalty is one more reward of weight -1, except to GDPO, which would standardize that reward.
    // The others take rewards and weights one by one.
    if (!one_of_the_sums(name)) continue;
    const AnyScalarization scalarization(name);
    const auto with =
        test::run(scalarization, rewards, test::shared_weights(4, {1, 1}), one_group, test::Want::advantages, penalty);
    Matrix<float> extended(4, 3);
    for (std::size_t i = 0; i < 4; ++i) {
      extended(i, 0) = rewards(i, 0);
      extended(i, 1) = rewards(i, 1);
      extended(i, 2) = penalty[i];
    }
    const auto as_reward =
        test::run(scalarization, extended, test::shared_weights(4, {1, 1, -1}), one_group, test::lengths_of(rewards));
    check_close(with.advantages, {as_reward.advantages.begin(), as_reward.advantages.end()}, 1e-6);
    BOOST_TEST(with.scalars[0] == 0.7f);
  }
}

BOOST_AUTO_TEST_CASE(trl_trainer) {
  for (const test::TrlCase& trl : test::trl_cases()) {
    const auto decision = test::shared_weights(trl.rows.size(), trl.weights);
    trl.check(
        test::run(trl.scalarization(), trl.rewards(), decision, Groups::uniform(trl.rows.size() / trl.group, trl.group))
            .advantages);
  }
}

BOOST_AUTO_TEST_SUITE_END()
