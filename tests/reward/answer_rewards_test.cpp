#include <boost/test/unit_test.hpp>
#include <cmath>

#include "maestro/core/buffer.hpp"
#include "maestro/reward/answer_match.hpp"
#include "maestro/reward/likeness.hpp"
#include "maestro/reward/reward_set.hpp"
#include "rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(answer_rewards)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

}  // namespace

BOOST_AUTO_TEST_CASE(answers_are_compared_with_the_references) {
  const Rollouts rollouts = make_rollouts({
      {prompt("how many?", 0, "<think>9 * 2</think><answer>18</answer>"), {{"It is 18.0."}, {"17"}, {"many"}}},
      {prompt("which?", 1, "<answer>C</answer>"), {{"The answer is (C)"}, {"A"}}},
      {prompt("what?", 2), {{"7"}}},
  });
  const RewardSet set{NumberMatch{}, LetterMatch{}, Likeness(), Likeness({.metric = LikenessMetric::chrf_plus_plus}),
                      Likeness({.metric = LikenessMetric::bleu})};
  Matrix<float> scores(rollouts.size(), 5);
  set.evaluate(rollouts, scores.view());
  BOOST_TEST(scores(0, 0) == 1.0f);
  BOOST_TEST(scores(1, 0) == 0.0f);
  BOOST_TEST(scores(2, 0) == 0.0f);
  BOOST_TEST(std::isnan(scores(3, 0)));
  BOOST_TEST(std::isnan(scores(0, 1)));
  BOOST_TEST(scores(3, 1) == 1.0f);
  BOOST_TEST(scores(4, 1) == 0.0f);
  BOOST_TEST(scores(1, 2) == static_cast<float>(0.01 * sentence_chrf("17", "18")));
  BOOST_TEST(scores(1, 3) == static_cast<float>(0.01 * sentence_chrf("17", "18", ChrfKind::chrf_plus_plus)));
  BOOST_TEST(scores(3, 4) == static_cast<float>(0.01 * sentence_bleu("The answer is (C)", "C")));
  for (std::size_t k = 0; k < 5; ++k) BOOST_TEST(std::isnan(scores(5, k)));
}

BOOST_AUTO_TEST_SUITE_END()
