#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/reward/entropy.hpp"
#include "maestro/reward/exact_match.hpp"
#include "maestro/reward/length.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/repetition.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/reward/tag_format.hpp"
#include "rollouts_fixture.hpp"

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;
using test::tagged;

/// The scores of one reward.
template <class R>
std::vector<float> score(const R& reward, const Rollouts& rollouts) {
  Matrix<float> out(rollouts.size(), 1);
  RewardSet<R>{reward}.evaluate(rollouts, out);
  return {out.flat().begin(), out.flat().end()};
}
template <class R>
float score_text(const R& reward, const std::string& text, const std::string& reference = "") {
  return score(reward, make_rollouts({{prompt("p", 0, reference), {{text}}}}))[0];
}

/// Mean NLLs given by hand, in the order of the queries.
struct Given {
  std::vector<float> nll;
  std::vector<LikelihoodQuery>* seen = nullptr;
  void mean_nll(const Rollouts&, std::span<const LikelihoodQuery> queries, std::span<float> out) const {
    if (seen) seen->assign(queries.begin(), queries.end());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = nll.at(i);
  }
};
struct TextLength {
  int synchronized = 0;
  void score(const Rollouts& rollouts, std::span<float> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(rollouts.texts[i].size());
  }
  void before_step(const int&, std::uint32_t) { ++synchronized; }
};
/// Counts every byte as a token.
struct GivenWithTokens : Given {
  std::size_t count_tokens(std::string_view text) const { return text.size(); }
};

static_assert(LikelihoodScorer<Given> && PreferenceScorer<TextLength>);
static_assert(BatchReward<Perplexity<Given>> && BatchReward<Preference<TextLength>> && BatchReward<Entropy>);
static_assert(!Stateful<Perplexity<Given>>);

void check_close(const std::vector<float>& a, const std::vector<double>& b) {
  BOOST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    BOOST_TEST_CONTEXT("response " << i << ": " << a[i] << " against " << b[i]) {
      if (std::isnan(b[i])) {
        BOOST_TEST(std::isnan(a[i]));
      } else {
        BOOST_TEST(std::abs(a[i] - b[i]) < 1e-6);
      }
    }
  }
}

const double nan_value = std::numeric_limits<double>::quiet_NaN();

BOOST_AUTO_TEST_SUITE(tag_format)

BOOST_AUTO_TEST_CASE(a_valid_response_is_split_into_its_parts) {
  const TagStructure tags;
  const std::string text = " \n<think>so a < b </think>\n<answer> 42\n</answer>  ";
  const TagParse parse = tags.parse(text);
  BOOST_TEST(parse.valid);
  BOOST_TEST(parse.reasoning == "so a < b ");
  BOOST_TEST(parse.answer == " 42\n");
  BOOST_TEST(parse.through_opening == " \n<think>so a < b </think>\n<answer>");
  BOOST_TEST(parse.rules_kept == 6u);
  BOOST_TEST(parse.rules == 6u);
  BOOST_TEST(tags.parse(tagged("", "")).valid);
}

BOOST_AUTO_TEST_CASE(every_broken_rule_is_seen) {
  struct Case {
    std::string text;
    std::size_t kept;
  };
  const std::vector<Case> cases{
      {"", 0},
      {"no tags", 0},
      {"<answer>1</answer>", 2},
      {"<think>a</think>1", 2},
      {"<think>a<answer>1</answer>", 3},
      {"<think>a</think><think>b</think><answer>1</answer>", 2},
      {"<think><think>a</think><answer>1</answer>", 3},
      {"<think>a<answer>1</answer></think>", 4},
      {"<answer>1</answer><think>a</think>", 4},
      {"</think>a<think><answer>1</answer>", 4},
      {tagged("a", "1") + tagged("a", "1"), 0},
      {"well " + tagged("a", "1"), 5},
      {tagged("a", "1") + ".", 5},
      {"<think>a</think>so<answer>1</answer>", 5},
      {"<Think>a</Think><answer>1</answer>", 2},
  };
  const TagStructure tags;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.text) {
      const TagParse parse = tags.parse(c.text);
      BOOST_TEST(!parse.valid);
      BOOST_TEST(parse.rules_kept == c.kept);
      BOOST_TEST(parse.answer.empty());
      BOOST_TEST(score_text(Format{}, c.text) == 0.0f);
      BOOST_TEST(score_text(Format{{.grade = FormatGrade::graded}}, c.text) == static_cast<float>(c.kept) / 6.0f);
    }
  }
  BOOST_TEST(score_text(Format{}, tagged("a", "b")) == 1.0f);
  BOOST_TEST(score_text(Format{{.grade = FormatGrade::graded}}, tagged("a", "b")) == 1.0f);
}

BOOST_AUTO_TEST_CASE(a_box_may_hold_the_answer) {
  const Format strict{{.answer = AnswerPlace::boxed}};
  const Format graded{{.answer = AnswerPlace::boxed, .grade = FormatGrade::graded}};
  const auto kept = [&](const std::string& text, int rules) {
    BOOST_TEST_CONTEXT(text) {
      BOOST_TEST(score_text(graded, text) == static_cast<float>(rules) / 3.0f);
      BOOST_TEST(score_text(strict, text) == (rules == 3 ? 1.0f : 0.0f));
    }
  };
  kept("so it is \\boxed{\\frac{1}{2}}.", 3);
  kept("\\boxed{1} or \\boxed{2}", 2);
  kept("\\boxed{1", 2);
  kept("\\boxed{ }", 2);
  kept("\\boxed{1} or \\boxed{2", 1);
  kept("1", 0);
  BOOST_CHECK_THROW((Format{{.answer = AnswerPlace::whole}}), BadArgument);

  const ExactMatch boxed{{.answer = AnswerPlace::boxed}};
  BOOST_TEST(score_text(boxed, "\\boxed{1} no, \\boxed{ 2 }", "2") == 1.0f);
  BOOST_TEST(score_text(boxed, "\\boxed{1}", "2") == 0.0f);
  BOOST_TEST(score_text(boxed, "2", "2") == 0.0f);
  const ExactMatch whole{{.answer = AnswerPlace::whole}};
  BOOST_TEST(score_text(whole, " Rome\n", "Rome") == 1.0f);
  BOOST_TEST(score_text(whole, "<think>a</think>\nRome", "Rome") == 1.0f);
  BOOST_TEST(score_text(whole, "In Rome", "Rome") == 0.0f);
}

BOOST_AUTO_TEST_CASE(the_tags_are_options) {
  const TagStructure answer_only{{.reasoning = "", .answer = "a"}};
  const TagParse parse = answer_only.parse("<a>yes</a>\n");
  BOOST_TEST(parse.valid);
  BOOST_TEST(parse.answer == "yes");
  BOOST_TEST(parse.through_opening == "<a>");
  BOOST_TEST(parse.rules == 4u);
  BOOST_TEST(!answer_only.parse("so <a>yes</a>").valid);
  BOOST_TEST(score_text(Format{{.tags = {.reasoning = "plan", .answer = "story"}}}, "<plan>p</plan><story>s</story>") ==
             1.0f);
  BOOST_CHECK_THROW((TagStructure{{.answer = ""}}), BadArgument);
  BOOST_CHECK_THROW((TagStructure{{.reasoning = "answer"}}), BadArgument);
  BOOST_CHECK_THROW((TagStructure{{.reasoning = "<think>"}}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(perplexity)

BOOST_AUTO_TEST_CASE(nover_perplexity_golden) {
  check_close({static_cast<float>(nover_perplexity(3, 10)), static_cast<float>(nover_perplexity(3, 100))},
              {4.4816891, 2.7182818});
  BOOST_TEST(nover_perplexity(3, 0) == 20.0855369, boost::test_tools::tolerance(1e-8));
  BOOST_TEST(nover_perplexity(3, 1) == 20.0855369, boost::test_tools::tolerance(1e-8));
}

BOOST_AUTO_TEST_CASE(ranks_golden_with_an_invalid_response) {
  const auto log = [](double x) { return static_cast<float>(std::log(x)); };
  std::vector<LikelihoodQuery> seen;
  // Reasoning of no tokens leaves the perplexity as it is.
  const Perplexity reward{Given{{log(3), log(1), log(2)}, &seen}};
  const Rollouts rollouts =
      make_rollouts({{prompt("q", 0, "ref"), {{tagged("", "x")}, {tagged("", "y")}, {tagged("", "z")}, {"no tags"}}}});
  check_close(score(reward, rollouts), {0.3333333, 1.0, 0.6666667, 0.0});
  BOOST_REQUIRE(seen.size() == 3u);
  BOOST_TEST(seen[1].prefix == "<think></think><answer>");
  BOOST_TEST(seen[1].continuation == "ref");
}

BOOST_AUTO_TEST_CASE(the_reference_may_follow_a_box_or_the_whole_response) {
  const Rollouts rollouts = make_rollouts({{prompt("q", 0, "ref"), {{"so \\boxed{1} \\boxed{x"}, {"plain"}, {""}}}});
  std::vector<LikelihoodQuery> seen;
  const PerplexityOptions boxed{.answer = AnswerPlace::boxed, .scale = PerplexityScale::negative_log};
  check_close(score(Perplexity{Given{{2}, &seen}, boxed}, rollouts), {-2.0 / (1.0 + std::log10(13.0)), -10.0, -10.0});
  BOOST_TEST(seen.at(0).prefix == "so \\boxed{1} \\boxed{");
  const PerplexityOptions whole{.answer = AnswerPlace::whole, .scale = PerplexityScale::negative_log};
  seen.clear();
  const auto values = score(Perplexity{Given{{2, 3, 4}, &seen}, whole}, rollouts);
  check_close({values[1], values[2]}, {-3.0 / (1.0 + std::log10(5.0)), -4.0});
  BOOST_TEST(seen.at(1).prefix == "plain\n");
  BOOST_TEST(seen.at(2).prefix == "\n");
}

BOOST_AUTO_TEST_CASE(groups_are_ranked_apart_and_prompts_without_reference_left_out) {
  const Rollouts rollouts = make_rollouts({{prompt("a", 0, "r"), {{tagged("", "1")}, {tagged("", "2")}}},
                                           {prompt("b", 1), {{tagged("", "1")}, {"none"}}},
                                           {prompt("c", 2, "r"), {{tagged("", "1")}}},
                                           {prompt("d", 3, "r"), {{""}, {"x"}}}});
  std::vector<LikelihoodQuery> seen;
  check_close(score(Perplexity{Given{{2, 2, 5}, &seen}}, rollouts), {0.75, 0.75, nan_value, nan_value, 1.0, 0.0, 0.0});
  BOOST_TEST(seen[2].group == 2u);
  check_close(score(Perplexity{Given{{2, 1, 5}},
                               PerplexityOptions{.scale = PerplexityScale::negative_log, .invalid_value = -9}},
                    rollouts),
              {-2, -1, nan_value, nan_value, -5, -9, -9});
}

BOOST_AUTO_TEST_CASE(the_length_of_the_reasoning_is_counted_in_tokens) {
  const Rollouts rollouts = make_rollouts(
      {{prompt("a", 0, "r"), {{tagged(std::string(10, 'x'), "1")}, {tagged(std::string(100, 'x'), "1")}}}});
  const PerplexityOptions raw{.scale = PerplexityScale::negative_log};
  check_close(score(Perplexity{GivenWithTokens{{{3, 3}}}, raw}, rollouts), {-1.5, -1.0});
  check_close(score(Perplexity{Given{{3, 3}}, raw}, rollouts), {-1.5, -1.0});  // one token per byte here
}

BOOST_AUTO_TEST_CASE(a_scorer_that_gives_nan_is_refused) {
  const Rollouts rollouts = make_rollouts({{prompt("a", 0, "r"), {{tagged("", "1")}}}});
  Matrix<float> out(1, 1);
  BOOST_CHECK_THROW((RewardSet{Perplexity{Given{{std::nanf("")}}}}.evaluate(rollouts, out)), BadData);
  BOOST_CHECK_THROW((Perplexity{Given{}, {.invalid_value = -INFINITY}}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(other_rewards)

BOOST_AUTO_TEST_CASE(entropy_is_a_rank_in_the_group) {
  const Rollouts rollouts =
      make_rollouts({{prompt("a", 0), {{"x", {0.5f, 1.5f}}, {"y", {2.0f}}, {"", {}}, {"z", {0.5f}}}},
                     {prompt("b", 1), {{"w", {3.0f}}}}});
  check_close(score(Entropy{}, rollouts), {2.0 / 3, 1.0 / 3, nan_value, 1.0, 1.0});
  check_close(score(Entropy{{.sign = EntropySign::varied}}, rollouts), {2.0 / 3, 1.0, nan_value, 1.0 / 3, 1.0});
  check_close(score(Entropy{{.scale = RewardScale::raw}}, rollouts), {-1.0, -2.0, nan_value, -0.5, -3.0});
}

BOOST_AUTO_TEST_CASE(soft_overlong_golden) {
  BOOST_TEST(soft_overlong(6, 10, 4) == 0.0);
  BOOST_TEST(soft_overlong(7, 10, 4) == -0.25);
  BOOST_TEST(soft_overlong(9, 10, 4) == -0.75);
  BOOST_TEST(soft_overlong(10, 10, 4) == -1.0);
  BOOST_TEST(soft_overlong(1000, 10, 4) == -1.0);
  BOOST_TEST(soft_overlong(10, 10, 0) == 0.0);
  BOOST_TEST(soft_overlong(11, 10, 0) == -1.0);
  BOOST_TEST(score_text(Length{{.max_length = 10, .cache = 4}}, "1234567") == -0.25f);
  BOOST_TEST(score_text(Length{{.max_length = 10, .cache = 4}}, "") == 0.0f);
}

BOOST_AUTO_TEST_CASE(target_length_in_every_unit) {
  BOOST_TEST(target_length(5, 10) == -0.5);
  BOOST_TEST(target_length(15, 10) == -0.5);
  BOOST_TEST(target_length(100, 10) == -1.0);
  LengthOptions options{.shape = LengthShape::target, .unit = LengthUnit::words, .target = 4};
  BOOST_TEST(score_text(Length{options}, "  one two\nthree ") == -0.25f);
  options.unit = LengthUnit::characters;
  BOOST_TEST(score_text(Length{options}, "h\xC3\xA9llo") == -0.25f);
  options.part = LengthPart::answer;
  BOOST_TEST(score_text(Length{options}, tagged("long reasoning", "four")) == 0.0f);
  BOOST_TEST(score_text(Length{options}, "four") == -1.0f);
  options.target_of = [](const Prompt& p) {
    return p.reference.empty() ? std::nullopt : std::optional<double>(p.reference.size());
  };
  BOOST_TEST(score_text(Length{options}, tagged("", "12"), "12345678") == -0.75f);
  BOOST_TEST(std::isnan(score_text(Length{options}, tagged("", "12"))));
  options.target_of = [](const Prompt&) { return std::optional<double>(0.0); };
  BOOST_CHECK_THROW(score_text(Length{options}, tagged("", "12")), BadData);
}

BOOST_AUTO_TEST_CASE(length_options_outside_their_domain_are_refused) {
  BOOST_CHECK_THROW((Length{{.max_length = 0}}), BadArgument);
  BOOST_CHECK_THROW((Length{{.max_length = 10, .cache = 11}}), BadArgument);
  BOOST_CHECK_THROW((Length{{.cache = -1}}), BadArgument);
  BOOST_CHECK_THROW((Length{{.shape = LengthShape::target, .target = 0}}), BadArgument);
  BOOST_CHECK_THROW((Length{{.part = LengthPart::answer}}), BadArgument);
}

BOOST_AUTO_TEST_CASE(exact_match_ignores_space_at_the_ends_only) {
  BOOST_TEST(score_text(ExactMatch{}, tagged("r", " 42 \n"), "42") == 1.0f);
  BOOST_TEST(score_text(ExactMatch{}, tagged("r", "4 2"), "42") == 0.0f);
  BOOST_TEST(score_text(ExactMatch{}, "42", "42") == 0.0f);
  BOOST_TEST(score_text(ExactMatch{{.tags = {.reasoning = ""}}}, "<answer>42</answer>", "42") == 1.0f);
  BOOST_TEST(std::isnan(score_text(ExactMatch{}, tagged("r", "42"))));
}

BOOST_AUTO_TEST_CASE(repetition_is_the_share_of_distinct_word_runs) {
  BOOST_TEST(score_text(Repetition{{.n = 1}}, "a b a c") == 0.75f);
  BOOST_TEST(score_text(Repetition{{.n = 2}}, "a b a b a") == 0.5f);
  BOOST_TEST(score_text(Repetition{}, "a b c") == 1.0f);
  BOOST_TEST(std::isnan(score_text(Repetition{}, "a b")));
  BOOST_TEST(std::isnan(score_text(Repetition{}, "")));
  BOOST_CHECK_THROW((Repetition{{.n = 0}}), BadArgument);
}

BOOST_AUTO_TEST_CASE(preference_passes_score_and_hook_through) {
  const Rollouts rollouts = make_rollouts({{prompt("a", 0), {{"x"}, {"yy"}, {""}}}});
  RewardSet rewards{Preference{TextLength{}}};
  int policy = 1;
  rewards.before_step(policy, 0u);
  BOOST_TEST(rewards.get<0>().scorer().synchronized == 1);
  check_close(score(rewards.get<0>(), rollouts), {1, 2, 0});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
