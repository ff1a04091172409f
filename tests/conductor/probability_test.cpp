#include "maestro/conductor/probability.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "conductor/support.hpp"
#include "maestro/conductor/emphasis.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/learned.hpp"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(conductor_probability)

namespace {

constexpr double near = 6e-8;  // the golden numbers have seven decimals

template <std::size_t N>
void check_close(const double* got, const std::array<double, N>& expected, double tolerance) {
  for (std::size_t k = 0; k < N; ++k)
    BOOST_TEST(std::abs(got[k] - expected[k]) <= tolerance, "entry " << k << ": " << got[k]);
}

constexpr std::array<double, 5> logits{2.0, 1.0, 0.0, -1.0, -12.0};

}  // namespace

BOOST_AUTO_TEST_CASE(softmax_golden) {
  const std::array<double, 5> even{2.0, 1.0, 0.0, -1.0, -2.0};
  const auto row = action_distribution<5>(even.data(), 1.0, ProbabilityFloor::mix, 0.0);
  check_close<5>(row.p, {0.6364086, 0.2341217, 0.0861285, 0.0316849, 0.0116562}, near);
  check_close<5>(row.q, {0.6364086, 0.2341217, 0.0861285, 0.0316849, 0.0116562}, near);
  const std::array<double, 5> doubled{4.0, 2.0, 0.0, -2.0, -4.0};
  check_close<5>(action_distribution<5>(doubled.data(), 2.0, ProbabilityFloor::mix, 0.0).p,
                 {0.6364086, 0.2341217, 0.0861285, 0.0316849, 0.0116562}, near);
}

BOOST_AUTO_TEST_CASE(floors_golden) {
  const auto mix = action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::mix, 1e-4);
  check_close<5>(mix.p, {0.6439139, 0.2368827, 0.0871443, 0.0320586, 0.0000005}, near);
  check_close<5>(mix.q, {0.6436920, 0.2368642, 0.0872007, 0.0321426, 0.0001005}, near);
  const auto clamp = action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::clamp_renormalize, 1e-4);
  check_close<5>(clamp.q, {0.6438499, 0.2368591, 0.0871356, 0.0320554, 0.0001000}, near);
}

BOOST_AUTO_TEST_CASE(log_probability_gradients_golden) {
  const auto mix = action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::mix, 1e-4);
  const auto clamp = action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::clamp_renormalize, 1e-4);
  double g[5] = {};
  add_log_probability_gradient(mix, 0, 1.0, g);
  check_close<5>(g, {0.3560308, -0.2368459, -0.0871307, -0.0320536, -0.0000005}, near);
  double h[5] = {};
  add_log_probability_gradient(mix, 4, 1.0, h);
  check_close<5>(h, {-3.427660e-03, -1.260965e-03, -4.638833e-04, -1.706531e-04, 5.323161e-03}, 1e-9);
  double i[5] = {};
  add_log_probability_gradient(clamp, 0, 1.0, i);
  check_close<5>(i, {3.560857e-01, -2.368828e-01, -8.714432e-02, -3.205860e-02, -5.353797e-11}, near);
  BOOST_TEST(std::abs(i[4] + 5.353797e-11) < 1e-16);
  double j[5] = {};
  add_log_probability_gradient(clamp, 4, 1.0, j);
  check_close<5>(j, {-3.447384e-07, -1.268222e-07, -4.665527e-08, -1.716351e-08, 5.353794e-07}, 1e-12);
}

// grad H(q) = -sum_k (log q_k + 1) dq_k.
BOOST_AUTO_TEST_CASE(entropy_of_q_golden) {
  const auto mix = action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::mix, 1e-4);
  double c[5];
  for (int k = 0; k < 5; ++k) c[k] = -std::log(mix.q[k]) - 1.0;
  double g[5] = {};
  add_expectation_gradient(mix, c, g);
  check_close<5>(g, {-3.263700e-01, 1.166362e-01, 1.299456e-01, 7.978380e-02, 4.419052e-06}, near);
}

BOOST_AUTO_TEST_CASE(entropy_of_p_by_differences) {
  std::array<double, 5> x{0.3, -1.2, 0.7, 2.0, -0.4};
  double g[5] = {};
  add_entropy_gradient(action_distribution<5>(x.data(), 1.3, ProbabilityFloor::mix, 1e-4), 2.0, g);
  for (std::size_t k = 0; k < 5; ++k) {
    const double h = 1e-6;
    auto up = x, down = x;
    up[k] += h * 1.3;
    down[k] -= h * 1.3;
    const double slope = (action_distribution<5>(up.data(), 1.3, ProbabilityFloor::mix, 1e-4).entropy -
                          action_distribution<5>(down.data(), 1.3, ProbabilityFloor::mix, 1e-4).entropy) /
                         (2 * h);
    BOOST_TEST(std::abs(2.0 * slope - g[k]) < 1e-8);
  }
}

BOOST_AUTO_TEST_CASE(masked_actions_have_no_probability) {
  const bool applicable[5] = {true, false, true, false, true};
  for (const auto floor : {ProbabilityFloor::mix, ProbabilityFloor::clamp_renormalize}) {
    const auto row = action_distribution<5>(logits.data(), 1.0, floor, 1e-4, applicable);
    BOOST_TEST(row.q[1] == 0.0);
    BOOST_TEST(row.q[3] == 0.0);
    BOOST_TEST(std::abs(row.q[0] + row.q[2] + row.q[4] - 1.0) < 1e-15);
    const auto all = action_distribution<5>(logits.data(), 1.0, floor, 1e-4);
    BOOST_TEST(std::abs(row.q[0] / row.q[2] - all.q[0] / all.q[2]) < 1e-12);
  }
  const bool none[5] = {};
  const auto row = action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::mix, 1e-4, none);
  BOOST_TEST(row.q[1] == action_distribution<5>(logits.data(), 1.0, ProbabilityFloor::mix, 1e-4).q[1]);
}

BOOST_AUTO_TEST_CASE(extreme_logits_stay_finite) {
  const std::array<float, 3> huge{1e30f, -1e30f, 0.0f};
  for (const auto floor : {ProbabilityFloor::mix, ProbabilityFloor::clamp_renormalize}) {
    const auto row = action_distribution<3>(huge.data(), 1.0, floor, 1e-4);
    double g[3] = {};
    add_log_probability_gradient(row, 1, 1.0, g);
    add_entropy_gradient(row, 1.0, g);
    BOOST_TEST(std::isfinite(row.entropy));
    for (int k = 0; k < 3; ++k) {
      BOOST_TEST(row.q[k] > 9e-5);
      BOOST_TEST(std::isfinite(g[k]));
    }
  }
  const float one = 3.0f;
  BOOST_TEST((action_distribution<1>(&one, 1.0, ProbabilityFloor::mix, 1e-4).q[0]) == 1.0);
}

BOOST_AUTO_TEST_CASE(emphasis_maps) {
  Decision decision;
  decision.actions = {2, 0};
  decision.probabilities.resize(2, 3);
  const float q[6] = {0.25f, 0.25f, 0.5f, 1.0f, 0.0f, 0.0f};
  std::copy(q, q + 6, decision.probabilities.data());
  const auto check = [&](Emphasis emphasis, double c, const std::array<double, 6>& expected) {
    apply_emphasis(emphasis, c, decision);
    for (std::size_t i = 0; i < 6; ++i) BOOST_TEST(std::abs(double{decision.weights.flat()[i]} - expected[i]) < 1e-6);
    for (std::size_t i = 0; i < 2; ++i) {
      for (std::size_t k = 0; k < 3; ++k) {
        const bool taken = decision.actions[i] == static_cast<int>(k);
        BOOST_TEST(decision.weights(i, k) == decision.base(i, k) + (taken ? decision.emphasis : 0.0f));
      }
    }
  };
  check(Emphasis::one_hot, 0.4, {0, 0, 1, 1, 0, 0});
  check(Emphasis::blended_uniform, 0.4, {0.2, 0.2, 0.6, 0.6, 0.2, 0.2});
  check(Emphasis::blended_policy, 0.4, {0.15, 0.15, 0.7, 1, 0, 0});
  BOOST_TEST(decision.emphasis == 0.4f);
}

BOOST_AUTO_TEST_CASE(kl_to_uniform_of_the_mean) {
  Decision decision;
  const Matrix<float> rewards(4, 2, 0.0f);
  decision.probabilities.assign(4, 2, 0.5f);
  BOOST_TEST(kl_to_uniform(decision, rewards) == 0.0);
  for (std::size_t i = 0; i < 4; ++i) {
    decision.probabilities(i, 0) = i % 2 == 0 ? 1.0f : 0.0f;
    decision.probabilities(i, 1) = i % 2 == 0 ? 0.0f : 1.0f;
  }
  BOOST_TEST(kl_to_uniform(decision, rewards) == 0.0);
  for (std::size_t i = 0; i < 4; ++i) {
    decision.probabilities(i, 0) = 1.0f;
    decision.probabilities(i, 1) = 0.0f;
  }
  BOOST_TEST(std::abs(kl_to_uniform(decision, rewards) - std::log(2.0)) < 1e-12);
  Decision fixed;
  fixed.weights.assign(3, 2, 1.0f);
  const Matrix<float> fewer(3, 2, 0.0f);
  BOOST_TEST(kl_to_uniform(fixed, fewer) == 0.0);
  fixed.weights.assign(3, 2, 0.0f);
  BOOST_TEST(kl_to_uniform(fixed, fewer) == 0.0);
  BOOST_TEST(kl_to_uniform(Decision{}, {}) == 0.0);
  BOOST_CHECK_THROW(kl_to_uniform(decision, fewer), BadArgument);
}

BOOST_AUTO_TEST_CASE(a_masked_action_is_no_preference) {
  LinearConductor<5> unlearned;
  Batch one_left_out({4, 4}, 6, 5);
  for (std::size_t i = 0; i < 8; ++i) one_left_out.rewards(i, 4) = missing;
  const Decision four_of_five = unlearned.decide(one_left_out.view());
  BOOST_TEST(kl_to_uniform(four_of_five, one_left_out.rewards) < 1e-12);
  Batch by_row({4, 4}, 6, 5);
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t k = 0; k < i % 6; ++k) by_row.rewards(i, k) = missing;
  }
  BOOST_TEST(kl_to_uniform(unlearned.decide(by_row.view()), by_row.rewards) < 1e-12);
  EqualWeights<5> equal;
  BOOST_TEST(kl_to_uniform(equal.decide(by_row.view()), by_row.rewards) < 1e-12);

  // Preferring one of two where the third is masked is all that the mask leaves; where it applies it is more.
  Decision certain;
  certain.probabilities.assign(2, 3, 0.0f);
  certain.probabilities(0, 0) = certain.probabilities(1, 0) = 1.0f;
  Matrix<float> rewards(2, 3, 0.0f);
  BOOST_TEST(std::abs(kl_to_uniform(certain, rewards) - std::log(3.0)) < 1e-12);
  rewards(0, 2) = rewards(1, 2) = missing;
  BOOST_TEST(std::abs(kl_to_uniform(certain, rewards) - std::log(2.0)) < 1e-12);
  rewards(1, 2) = 0.0f;
  BOOST_TEST(std::abs(kl_to_uniform(certain, rewards) - std::log(12.0 / 5.0)) < 1e-12);
  FixedWeights<3> two_of_three({0.5f, 0.5f, 0.0f});
  const Batch all({2}, 6, 3);
  BOOST_TEST(std::abs(kl_to_uniform(two_of_three.decide(all.view()), all.rewards) - std::log(1.5)) < 1e-7);
}

BOOST_AUTO_TEST_SUITE_END()
