#include <boost/test/unit_test.hpp>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "../../examples/judge/judge.hpp"
#include "../../examples/tasks/contexts.hpp"
#include "common/cheap_rewards.hpp"
#include "common/paid_judge.hpp"

using namespace maestro;
using maestro::examples::Split;
using maestro::examples::contexts::Manner;
using maestro::examples::contexts::Tone;
using maestro::judge::judge_response;
namespace contexts = maestro::examples::contexts;

BOOST_AUTO_TEST_SUITE(task_contexts)

namespace {

template <class Reward>
double scored(const Reward& reward, const Prompt& prompt, const std::string& text) {
  const Completion completion{.prompt = prompt, .text = text, .tokens = {}, .log_probs = {}, .entropies = {}};
  return static_cast<double>(reward(completion));
}

/// The manner that a family wants, with one of five sides turned to the wrong one.
Manner with_one_wrong(const contexts::Wanted& wanted, int side) {
  Manner manner = contexts::manner_as_wanted(wanted);
  if (side == 0) manner.tags = !manner.tags;
  if (side == 1) manner.steps = !manner.steps;
  if (side == 2) manner.tone = wanted.sure ? Tone::hedged : Tone::sure;
  if (side == 3) manner.warm = !manner.warm;
  if (side == 4) manner.wanted = false;
  return manner;
}

}  // namespace

BOOST_AUTO_TEST_CASE(prompts_are_the_same_every_time_and_splits_share_no_content) {
  const auto pairs = contexts::make_pairs(Split::train, 210, 3);
  const auto again = contexts::make_pairs(Split::train, 210, 3);
  std::map<std::string, Split> owner;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    BOOST_TEST(pairs[i].prompt.text == again[i].prompt.text);
    BOOST_TEST(pairs[i].response == again[i].response);
    BOOST_TEST(pairs[i].prompt.task == contexts::names[i % contexts::family_count]);
    BOOST_TEST(pairs[i].prompt.text.back() == '\n');
    BOOST_TEST(pairs[i].prompt.text.size() <= 90u);
    BOOST_TEST(pairs[i].response.size() <= 127u);
    BOOST_TEST(pairs[i].prompt.row == static_cast<std::int64_t>(i));
  }
  for (const Split split : {Split::train, Split::dev, Split::held_out}) {
    for (const Prompt& prompt : contexts::make_prompts(split, 350, 5)) {
      const auto [entry, fresh] = owner.emplace(prompt.text, split);
      BOOST_TEST((fresh || entry->second == split), prompt.text);
    }
  }
  for (const auto& pair : contexts::make_corpus(1400, 5)) {
    const auto entry = owner.find(pair.prompt.text);
    BOOST_TEST((entry == owner.end() || entry->second == Split::train), pair.prompt.text);
  }
}

BOOST_AUTO_TEST_CASE(demonstrations_keep_every_rule_and_each_wrong_side_breaks_its_own) {
  for (std::uint32_t row = 0; row < 140; ++row) {
    const auto exercise = contexts::exercise_of_row(Split::train, 2, contexts::Use::demonstrations, row);
    const Prompt prompt = contexts::prompt_of(exercise, row);
    examples::Draws draws(2, 99, row);
    const std::string good = contexts::demonstration_of(exercise, draws);
    const auto verdict = judge_response(prompt, good);
    BOOST_TEST(verdict.score() == 1.0, prompt.text << good << " " << verdict.breakdown());
    for (int side = 0; side < 5; ++side) {
      const std::string bad = contexts::respond(exercise, with_one_wrong(contexts::wanted_of(exercise), side), draws);
      const auto found = judge_response(prompt, bad);
      BOOST_TEST(found.rules.size() == 5u);
      for (int rule = 0; rule < 5; ++rule) {
        BOOST_TEST(found.rules[static_cast<std::size_t>(rule)].kept == (rule != side),
                   prompt.text << bad << " " << found.breakdown());
      }
    }
    BOOST_TEST(judge_response(prompt, "").score() <= 0.4);
  }
}

BOOST_AUTO_TEST_CASE(the_corpus_is_wrong_on_most_sides_but_not_always) {
  std::map<std::string, double> kept;
  const std::size_t count = 2800;
  for (const auto& pair : contexts::make_corpus(count, 8)) {
    for (const auto& rule : judge_response(pair.prompt, pair.response).rules) {
      kept[pair.prompt.task + " " + std::string(rule.name)] += rule.kept ? 7.0 / static_cast<double>(count) : 0.0;
    }
  }
  BOOST_TEST(kept.size() == 35u);
  for (const auto& [rule, share] : kept) {
    BOOST_TEST(share > 0.18, rule);
    BOOST_TEST(share < 0.46, rule);
  }
}

BOOST_AUTO_TEST_CASE(no_sign_of_a_reward_suits_every_family) {
  const examples::Confidence confidence;
  const examples::Liking liking;
  std::map<bool, int> sure;
  std::map<bool, int> warm;
  for (std::uint32_t row = 0; row < contexts::family_count; ++row) {
    const auto exercise = contexts::exercise_of_row(Split::train, 2, contexts::Use::demonstrations, row);
    const Prompt prompt = contexts::prompt_of(exercise, row);
    examples::Draws draws(2, 99, row);
    const auto& wanted = contexts::wanted_of(exercise);
    const std::string good = contexts::demonstration_of(exercise, draws);
    const auto turned = [&](int side) { return contexts::respond(exercise, with_one_wrong(wanted, side), draws); };
    ++sure[scored(confidence, prompt, good) > scored(confidence, prompt, turned(2))];
    ++warm[scored(liking, prompt, good) > scored(liking, prompt, turned(3))];
  }
  for (const auto* counts : {&sure, &warm}) {
    BOOST_TEST(counts->size() == 2u);
    for (const auto& [better, families] : *counts) BOOST_TEST(families >= 3);
  }
}

BOOST_AUTO_TEST_CASE(the_paid_judge_is_noisy_biased_repeatable_and_counts) {
  const auto pairs = contexts::make_pairs(Split::dev, 210, 4);
  const examples::PaidJudge judge({.seed = 1});
  const examples::PaidJudge exact({.seed = 1, .noise = 0.0, .length_bias = 0.0});
  double square = 0.0;
  for (const auto& pair : pairs) {
    const float score = judge.score(pair.prompt, pair.response);
    BOOST_TEST(score == judge.score(pair.prompt, pair.response));
    const float plain = exact.score(pair.prompt, pair.response);
    BOOST_TEST(plain > 0.95f, pair.prompt.text << pair.response);
    const double length = static_cast<double>(pair.response.size());
    const double error = static_cast<double>(score - plain) - 0.1 * std::tanh((length - 60.0) / 30.0);
    square += error * error / static_cast<double>(pairs.size());
  }
  BOOST_TEST(judge.calls() == 420u);
  BOOST_TEST(std::abs(std::sqrt(square) - 0.15) < 0.03);
  Prompt other;
  other.task = "chess";
  BOOST_CHECK_THROW(judge.score(other, "e4"), BadArgument);
  BOOST_CHECK_THROW(judge.check_prompts(std::vector<Prompt>{other}, {}), BadArgument);
  BOOST_CHECK_THROW(examples::PaidJudge({.noise = -1.0}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
