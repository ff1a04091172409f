// What the built-in rewards make of responses whose actions are floats.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "maestro/reward/entropy.hpp"
#include "maestro/reward/exact_match.hpp"
#include "maestro/reward/length.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/repetition.hpp"
#include "maestro/reward/tag_format.hpp"
#include "reward/rollouts_fixture.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(float_actions)

namespace {

/// Two responses of two steps, three floats each, as a policy of float actions gives them.
Rollouts float_rollouts() {
  Rollouts rollouts =
      test::make_rollouts({{test::prompt("", 0, "reference"), {{"", {0.5f, -1.0f}}, {"", {1.0f, 2.0f}}}}});
  rollouts.tokens.clear();
  const std::vector<std::int32_t> none(2, no_token);
  for (int i = 0; i < 2; ++i) rollouts.tokens.push_row(none);
  rollouts.actions.assign(4, 3, 0.25f);
  return rollouts;
}

struct Models {
  void mean_nll(const Rollouts&, std::span<const LikelihoodQuery>, std::span<float>) const {}
  void score(const Rollouts&, std::span<float>) const {}
};

bool names_the_remedy(const BadArgument& e) {
  return std::string(e.what()).find("a reward that reads the actions") != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(rewards_that_judge_texts_refuse) {
  const Rollouts rollouts = float_rollouts();
  const Completion completion = rollouts.completion(1);
  std::vector<float> scores(2);
  BOOST_CHECK_EXCEPTION(Format{}(completion), BadArgument, names_the_remedy);
  BOOST_CHECK_EXCEPTION(ExactMatch{}(completion), BadArgument, names_the_remedy);
  BOOST_CHECK_EXCEPTION(Repetition{}(completion), BadArgument, names_the_remedy);
  BOOST_CHECK_EXCEPTION(Length({.unit = LengthUnit::words})(completion), BadArgument, names_the_remedy);
  BOOST_CHECK_EXCEPTION(Length({.unit = LengthUnit::characters, .part = LengthPart::answer})(completion), BadArgument,
                        names_the_remedy);
  BOOST_CHECK_EXCEPTION(Perplexity{Models{}}(rollouts, scores), BadArgument, names_the_remedy);
  BOOST_CHECK_EXCEPTION(Preference{Models{}}(rollouts, scores), BadArgument, names_the_remedy);
}

BOOST_AUTO_TEST_CASE(steps_and_entropies_are_judged) {
  const Rollouts rollouts = float_rollouts();
  const Length length({.shape = LengthShape::target, .target = 4});
  BOOST_TEST(*length(rollouts.completion(0)) == -0.5f);
  std::vector<float> scores(2);
  Entropy{{.scale = RewardScale::raw}}(rollouts, scores);
  BOOST_TEST(scores[0] == 0.25f);
  BOOST_TEST(scores[1] == -1.5f);
}

BOOST_AUTO_TEST_SUITE_END()
