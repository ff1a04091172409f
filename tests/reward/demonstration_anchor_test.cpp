// Responses from outside the policy, as an anchor: their form, their figures, and the scores that they get.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "maestro/reward/anchored_rewards.hpp"
#include "maestro/reward/demonstration_anchor.hpp"
#include "maestro/reward/entropy.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "reward/rollouts_fixture.hpp"

using namespace maestro;
using maestro::test::make_rollouts;
using maestro::test::prompt;
using maestro::test::tagged;

BOOST_AUTO_TEST_SUITE(demonstration_anchor)

namespace {

/// As much of a policy as the anchor needs: every token has log-prob -2 and entropy 0.25.
struct Reader {
  ByteTokenizer bytes{};
  std::size_t passes = 0;

  const ByteTokenizer& tokenizer() const { return bytes; }
  void forward(const Rollouts&, GroupRange, std::span<float> log_probs, std::span<float> entropies) {
    ++passes;
    for (float& value : log_probs) value = -2.0f;
    for (float& value : entropies) value = 0.25f;
  }
};

/// Two groups of two; the second prompt has no response from outside.
Rollouts two_groups(const std::string& reference) {
  return make_rollouts(
      {{prompt("one", 4, reference), {{tagged("a", "b")}, {"b"}}}, {prompt("two", 5), {{"c"}, {"d"}}}});
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_runs_own_rewards_score_the_outside_response) {
  const Rollouts rollouts = two_groups(tagged("good", "answer"));
  AnchoredRewards rewards{RewardSet{Format{}, Entropy{}}, DemonstrationAnchor{}};
  Matrix<float> scores(rollouts.size(), 2);
  rewards.evaluate(rollouts, scores.view());
  Reader policy;
  const AnchorSignal signal = rewards.consult(policy, {.rollouts = rollouts, .rewards = scores.view()});
  BOOST_TEST(!signal.silent());
  BOOST_TEST(signal.judged.empty());
  BOOST_TEST(signal.calls == 0u);
  BOOST_TEST(policy.passes == 1u);
  BOOST_REQUIRE(signal.demonstrated.rows() == 2u);
  BOOST_TEST(signal.demonstrated(0, 0) == 1.0f);
  BOOST_TEST(std::isnan(signal.demonstrated(1, 0)));
  BOOST_TEST(std::isnan(signal.demonstrated(1, 1)));
  // The entropy reward read the policy's entropies of the outside response, 0.25, where the group's are 0.5.
  BOOST_TEST(signal.demonstrated(0, 1) > scores(1, 1));

  std::vector<std::size_t> groups;
  const Rollouts outside = DemonstrationAnchor{}.demonstrate(policy, rollouts, groups);
  BOOST_TEST(groups == std::vector<std::size_t>{0});
  BOOST_TEST(outside.texts[0] == tagged("good", "answer"));
  BOOST_TEST(outside.tokens.row(0).back() == policy.bytes.end_token());
  BOOST_TEST(outside.tokens.length(0) == outside.texts[0].size() + 1);
  BOOST_TEST(outside.log_probs.back() == -2.0f);
}

BOOST_AUTO_TEST_CASE(a_bare_answer_is_refused_and_told_why) {
  const Rollouts rollouts = two_groups("42");
  const Sampling sampling;
  const auto names_form = [](const BadArgument& error) {
    const std::string text = error.what();
    return text.find("data row 4") != std::string::npos && text.find("form") != std::string::npos;
  };
  BOOST_CHECK_EXCEPTION(DemonstrationAnchor{}.check_prompts(rollouts.prompts, sampling), BadArgument, names_form);
  DemonstrationAnchor({.form = std::nullopt}).check_prompts(rollouts.prompts, sampling);
  const auto of = [](const Prompt& p) { return p.reference.empty() ? "" : tagged("so", p.reference); };
  DemonstrationAnchor({.of = of}).check_prompts(rollouts.prompts, sampling);
  BOOST_TEST(DemonstrationAnchor({.of = of}).any_among(rollouts.prompts));
  const Rollouts none = two_groups("");
  BOOST_TEST(!DemonstrationAnchor{}.any_among(none.prompts));
  DemonstrationAnchor{}.check_prompts({}, sampling);
  BOOST_CHECK_THROW(DemonstrationAnchor({.micro_batch_tokens = 0}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
