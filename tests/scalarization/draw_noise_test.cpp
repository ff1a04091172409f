#include "maestro/scalarization/draw_noise.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <optional>
#include <vector>

#include "maestro/core/random.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/default.hpp"
#include "scalarization/support.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(draw_noise)

namespace {

constexpr std::size_t actions = 3;

/// A decision that draws from `probabilities`, each row its own action.
class Draws {
 public:
  Draws(Matrix<float> probabilities, float base, float emphasis) {
    decision_.probabilities = std::move(probabilities);
    decision_.base.assign(decision_.probabilities.rows(), actions, base);
    decision_.weights = decision_.base;
    decision_.actions.resize(decision_.probabilities.rows());
    decision_.emphasis = emphasis;
  }
  const Decision& next() {
    for (std::size_t i = 0; i < decision_.actions.size(); ++i) {
      const float* q = decision_.probabilities.row(i).data();
      test::take(decision_, i, sample_index(q, actions, stream_.uniform(at_++)));
    }
    return decision_;
  }
  Decision& decision() { return decision_; }

 private:
  Decision decision_;
  RandomStream stream_{{.seed = 8}};
  std::uint32_t at_ = 0;
};

Matrix<float> even(std::size_t rows) {
  Matrix<float> q;
  q.assign(rows, actions, 1.0f / 3.0f);
  return q;
}

/// Every reward k is (k + 1) / 10, whatever the response.
Matrix<float> constant_rewards(std::size_t rows) {
  Matrix<float> rewards(rows, actions);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < actions; ++k) rewards(i, k) = 0.1f * static_cast<float>(k + 1);
  }
  return rewards;
}

template <class S>
std::optional<double> share(const S& scalarization, const Matrix<float>& rewards, const Decision& decision,
                            const Groups& groups) {
  SingleProcess comm;
  DrawNoise noise;
  const auto advantages = test::run(scalarization, rewards, decision, groups).advantages;
  return noise.share(scalarization, {rewards, decision, groups}, advantages, comm);
}

}  // namespace

BOOST_AUTO_TEST_CASE(share_that_a_multiple_leaves_over) {
  const std::vector<float> none{0.0f, 0.0f}, both{1.0f, 1.0f}, one{1.0f, 0.0f}, other{0.0f, -2.0f};
  BOOST_TEST(unexplained_share(both, both) == 0.0);
  BOOST_TEST(unexplained_share(std::vector<float>{-3.0f, -3.0f}, both) == 0.0);
  BOOST_TEST(unexplained_share(one, other) == 1.0);
  BOOST_TEST(unexplained_share(both, one) == 0.5);
  BOOST_TEST(unexplained_share(one, none) == 1.0);
  BOOST_TEST(unexplained_share(none, one) == 0.0);
  BOOST_TEST(unexplained_share(none, none) == 0.0);
  BOOST_TEST(unexplained_share({}, {}) == 0.0);
}

BOOST_AUTO_TEST_CASE(expected_weights_are_those_of_the_draw) {
  Matrix<float> q(1, 3);
  q(0, 0) = 0.5f;
  q(0, 1) = 0.25f;
  q(0, 2) = 0.25f;
  Draws draws(q, 0.25f, 0.5f);
  Decision expected;
  BOOST_REQUIRE(expect_weights(draws.next(), expected));
  BOOST_TEST(expected.weights(0, 0) == 0.5f);
  BOOST_TEST(expected.weights(0, 2) == 0.375f);
  BOOST_TEST((expected.base == expected.weights));
  BOOST_TEST(expected.actions.empty());
  draws.decision().mean_weights.assign(1, 3, 7.0f);
  BOOST_REQUIRE(expect_weights(draws.decision(), expected));
  BOOST_TEST(expected.weights(0, 1) == 7.0f);
}

BOOST_AUTO_TEST_CASE(absent_where_no_weights_are_drawn) {
  const Matrix<float> rewards = constant_rewards(8);
  const Groups groups = Groups::uniform(2, 4);
  BOOST_TEST(
      !share(Advantages{GroupRelative{}}, rewards, test::shared_weights(8, {0.2f, 0.3f, 0.5f}), groups).has_value());
  Draws soft(even(8), 0.25f, 0.0f);  // an action is drawn, and moves nothing
  BOOST_TEST(!share(Advantages{GroupRelative{}}, rewards, soft.next(), groups).has_value());
  Draws unknown(even(8), 0.0f, 1.0f);
  unknown.next();
  unknown.decision().base.resize(0, 0);
  BOOST_TEST(!share(Advantages{GroupRelative{}}, rewards, unknown.decision(), groups).has_value());
}

BOOST_AUTO_TEST_CASE(constant_rewards_are_all_noise_for_the_paper_and_none_by_default) {
  const Matrix<float> rewards = constant_rewards(32);
  const Groups groups = Groups::uniform(4, 8);
  for (const float emphasis : {1.0f, 0.5f}) {
    Draws draws(even(32), (1.0f - emphasis) / 3.0f, emphasis);
    const Decision& decision = draws.next();
    for (const auto* name : {"group", "batch", "none"}) {
      BOOST_TEST(share(AnyScalarization(name), rewards, decision, groups).value() == 1.0);
    }
    const auto by_default = test::run(DefaultScalarization{}, rewards, decision, groups).advantages;
    for (const float advantage : by_default) BOOST_TEST(advantage == 0.0f);
    BOOST_TEST(share(DefaultScalarization{}, rewards, decision, groups).value() == 0.0);
  }
}

// Equal rewards of every kind: whatever is drawn, the sums are the same.
BOOST_AUTO_TEST_CASE(no_noise_where_the_draw_changes_nothing) {
  Matrix<float> rewards(16, actions);
  const RandomStream stream({.seed = 4});
  for (std::uint32_t i = 0; i < 16; ++i) {
    const auto value = static_cast<float>(stream.normal(i));
    for (std::size_t k = 0; k < actions; ++k) rewards(i, k) = value;
  }
  Draws draws(even(16), 0.0f, 1.0f);
  BOOST_TEST(share(Advantages{GroupRelative{}}, rewards, draws.next(), Groups::uniform(2, 8)).value() < 1e-6);
}

namespace {

/// What an estimate of one draw and the variance over many draws say.
struct Shares {
  double estimated = 0.0;
  double true_share = 0.0;
};

template <class S>
Shares over_many_draws(const S& scalarization, const Matrix<float>& rewards, const Groups& groups, Draws& draws) {
  constexpr std::size_t count = 400;
  const std::size_t rows = rewards.rows();
  std::vector<double> mean(rows), square(rows);
  Shares result;
  for (std::size_t t = 0; t < count; ++t) {
    const Decision& decision = draws.next();
    const auto advantages = test::run(scalarization, rewards, decision, groups).advantages;
    for (std::size_t i = 0; i < rows; ++i) {
      mean[i] += double{advantages[i]} / count;
      square[i] += double{advantages[i]} * double{advantages[i]} / count;
    }
    result.estimated += share(scalarization, rewards, decision, groups).value() / count;
  }
  double all = 0.0;
  double between = 0.0;
  for (std::size_t i = 0; i < rows; ++i) {
    all += square[i];
    between += mean[i] * mean[i];
  }
  result.true_share = 1.0 - between / all;
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(follows_the_variance_over_all_draws) {
  const Groups groups = Groups::uniform(32, 8);
  Matrix<float> rewards(256, actions);
  Matrix<float> q = even(256);
  const RandomStream stream({.seed = 5});
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    const float tilt = 0.2f * static_cast<float>(stream.uniform(at++));
    q(i, 0) += tilt;
    q(i, 1) -= tilt;
    for (std::size_t k = 0; k < actions; ++k) {
      rewards(i, k) = static_cast<float>(stream.normal(at++)) + static_cast<float>(k);
    }
  }
  const auto check = [&](const auto& scalarization, float emphasis, double low, double high) {
    Draws draws(q, (1.0f - emphasis) / 3.0f, emphasis);
    const Shares shares = over_many_draws(scalarization, rewards, groups, draws);
    BOOST_TEST(std::abs(shares.estimated - shares.true_share) < 0.05,
               "estimated " << shares.estimated << ", true " << shares.true_share);
    BOOST_TEST(shares.true_share > low);
    BOOST_TEST(shares.true_share < high);
  };
  check(Advantages{GroupRelative{}}, 1.0f, 0.6, 0.9);
  check(Advantages{GroupRelative{}}, 0.5f, 0.4, 0.7);
  check(Advantages{Gdpo{}}, 1.0f, 0.5, 0.8);
  check(DefaultScalarization{}, 0.5f, 0.2, 0.45);
}

BOOST_AUTO_TEST_SUITE_END()
