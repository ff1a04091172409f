// Anchors in a step: who is asked, what it changes, what is counted, and what a checkpoint holds of it.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/conductor/anchored.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/reward/anchored_rewards.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/reward/fallible.hpp"
#include "maestro/trainer/anchor_step.hpp"
#include "maestro/trainer/checkpoints.hpp"
#include "maestro/trainer/metrics.hpp"
#include "tiny.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(anchor)

namespace {

constexpr float none = std::numeric_limits<float>::quiet_NaN();

/// Likes actions that are far from the context's own: what Match says, turned around.
struct Contrary {
  static constexpr std::string_view name = "contrary";
  float operator()(const Completion& c) const { return -tiny::Match{}(c); }
};

/// Cannot be reached for the first response of a group.
struct Unreachable {
  static constexpr std::string_view name = "unreachable";
  float operator()(const Completion& c) const {
    if (c.member == 0) throw BadData("no connection");
    return static_cast<float>(c.tokens[0]);
  }
};

/// An anchor of its own, which remembers what it was asked.
struct Recorder {
  std::vector<std::vector<std::size_t>>* asked;
  float first = 0.0f;

  void score(const Rollouts& rollouts, std::span<const std::size_t> groups, std::span<float> scores) const {
    asked->emplace_back(groups.begin(), groups.end());
    for (const std::size_t g : groups) {
      for (std::size_t i = rollouts.groups.begin(g); i < rollouts.groups.end(g); ++i) {
        scores[i] = i == rollouts.groups.begin(g) ? first : static_cast<float>(rollouts.tokens.row(i)[0]);
      }
    }
  }
};
static_assert(Anchor<Recorder>);
static_assert(Anchor<RewardAnchor<Contrary>>);
static_assert(Anchor<RewardAnchor<AnyRewardSet<tiny::Policy>>>);

tiny::Policy policy() { return tiny::Policy({.contexts = 3, .actions = 5, .length = 2}); }

template <class A, class C = AnchoredConductor>
auto anchored(A anchor, const AnchorOptions& anchor_options, C conductor = C(),
              TrainerOptions options = tiny::options()) {
  return Trainer(policy(),
                 AnchoredRewards(tiny::Rewards{tiny::Match{}, tiny::Small{}}, std::move(anchor), anchor_options),
                 std::move(conductor), std::move(options));
}

/// The trainer with the contrary judge that most cases need.
auto contrary(const AnchorOptions& options) { return anchored(RewardAnchor{Contrary{}}, options); }

AnchorSignal signal_of(const std::vector<float>& judged, std::vector<std::size_t> groups, double blend) {
  AnchorSignal signal;
  signal.judged = judged;
  signal.groups = std::move(groups);
  signal.blend = blend;
  return signal;
}

}  // namespace

BOOST_AUTO_TEST_CASE(rank_correlation_is_spearmans) {
  const std::vector<float> a{1, 2, 3, 4, 5};
  BOOST_TEST(rank_correlation(a, std::vector<float>{2, 4, 6, 8, 100}) == 1.0);
  BOOST_TEST(rank_correlation(a, std::vector<float>{5, 4, 3, 2, 1}) == -1.0);
  // scipy.stats.spearmanr([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]) = 0.8207826816681233
  BOOST_TEST(rank_correlation(a, std::vector<float>{5, 6, 7, 8, 7}) == 0.8207826816681233,
             boost::test_tools::tolerance(1e-12));
  BOOST_TEST(rank_correlation(a, std::vector<float>{5, none, 7, 8, none}) == 1.0);
  BOOST_TEST(std::isnan(rank_correlation(a, std::vector<float>{1, 1, 1, 1, 1})));
  BOOST_TEST(std::isnan(rank_correlation(a, std::vector<float>{1, none, none, none, none})));
}

BOOST_AUTO_TEST_CASE(judged_advantages_move_by_the_blend_and_no_others_do) {
  const Groups groups = Groups::from_sizes(std::array<std::size_t, 3>{4, 4, 2});
  // TRL's advantages of 1.2, 0.8, 1.5, 0.1, from the table of golden numbers.
  const std::array<double, 4> golden{0.4953519, -0.1651173, 0.9907038, -1.3209384};
  const std::vector<float> judged{1.2f, 0.8f, 1.5f, 0.1f, none, none, none, none, 3.0f, none};
  for (const double blend : {0.5, 1.0, 10.0}) {
    std::vector<float> advantages(10, 0.25f);
    blend_advantages(signal_of(judged, {0, 2}, blend), groups, advantages);
    for (std::size_t i = 0; i < 4; ++i) {
      BOOST_TEST(double{advantages[i]} == 0.25 + blend * (golden[i] - 0.25), boost::test_tools::tolerance(1e-5));
    }
    for (std::size_t i = 4; i < 10; ++i) BOOST_TEST(advantages[i] == 0.25f);  // not asked, or one score alone
  }
}

BOOST_AUTO_TEST_CASE(the_share_of_groups_adds_up_and_the_budget_is_spread) {
  std::vector<std::vector<std::size_t>> asked;
  auto trainer = anchored(Recorder{&asked}, {.share = 0.25});
  for (int step = 0; step < 20; ++step) trainer.step(tiny::prompts(6));
  std::size_t groups = 0;
  std::set<std::size_t> seen;
  for (const auto& step : asked) {
    BOOST_TEST(step.size() <= 2u);
    groups += step.size();
    seen.insert(step.begin(), step.end());
  }
  BOOST_TEST(groups == 30u);
  BOOST_TEST(seen.size() == 6u);  // every group has its turn
  BOOST_TEST(trainer.rewards().calls() == 240u);
  BOOST_TEST(trainer.report().anchor->calls_total == 240u);

  AnchorOptions spread{.share = 1.0, .max_calls = 80, .spread_steps = 10};
  BOOST_TEST(detail::anchor_allowance(spread, 0) == 8u);
  BOOST_TEST(detail::anchor_allowance(spread, 4) == 40u);
  BOOST_TEST(detail::anchor_allowance(spread, 50) == 80u);
  spread.kept = 0.5;
  BOOST_TEST(detail::anchor_allowance(spread, 0) == 44u);
  spread.kept = 1.0;
  asked.clear();
  auto limited = anchored(Recorder{&asked}, spread);
  for (int step = 0; step < 12; ++step) limited.step(tiny::prompts(6));
  for (const auto& step : asked) BOOST_TEST(step.size() == 1u);
  BOOST_TEST(asked.size() == 10u);
  BOOST_TEST(limited.rewards().calls() == 80u);
  BOOST_TEST(limited.report().anchor->groups == 0u);
  BOOST_TEST(std::isnan(limited.report().anchor->rank_correlation));
}

BOOST_AUTO_TEST_CASE(chosen_by_uncertainty_the_unknown_task_comes_first) {
  std::vector<std::vector<std::size_t>> asked;
  AnchorOptions options{.share = 1.0 / 3.0, .choice = AnchorChoice::uncertain};
  auto trainer = anchored(Recorder{&asked}, options, AnchoredConductor({.context = GroupContextKind::task}));
  std::vector<Prompt> prompts = tiny::prompts(3);
  for (std::size_t i = 0; i < 3; ++i) prompts[i].task = std::string(1, static_cast<char>('a' + i));
  for (int step = 0; step < 3; ++step) trainer.step(prompts);
  std::set<std::size_t> seen;
  for (const auto& step : asked) seen.insert(step.begin(), step.end());
  BOOST_TEST(seen.size() == 3u);  // each task once, since a judged one is better known than the others

  options.choice = AnchorChoice::disputed;
  auto disputed = anchored(Recorder{&asked}, options);
  disputed.step(prompts);
  auto fixed = anchored(Recorder{&asked}, options, EqualWeights<2>());
  BOOST_CHECK_THROW(fixed.step(prompts), BadArgument);
}

BOOST_AUTO_TEST_CASE(rewards_that_disagree_are_told_from_those_that_do_not) {
  Matrix<float> same(3, 2);
  Matrix<float> against(3, 2);
  for (std::size_t i = 0; i < 3; ++i) {
    same(i, 0) = same(i, 1) = static_cast<float>(i * i);
    against(i, 0) = static_cast<float>(i);
    against(i, 1) = -static_cast<float>(i);
  }
  BOOST_TEST(std::abs(detail::disagreement(same.view())) < 1e-12);
  BOOST_TEST(detail::disagreement(against.view()) == 1.0, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(detail::disagreement(against.view().middle_cols(0, 1)) == 0.0);
}

BOOST_AUTO_TEST_CASE(a_reward_judges_only_the_chosen_groups_with_its_own_numbers) {
  auto trainer = contrary({.share = 0.5});
  trainer.step(tiny::prompts(6));
  const Rollouts& rollouts = trainer.trace().rollouts;
  const std::vector<std::size_t> groups{1, 4};
  std::vector<float> scores(rollouts.size(), none);
  RewardAnchor{Contrary{}}.score(rollouts, groups, scores);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const std::size_t g = rollouts.groups.group_of(i);
    if (g == 1 || g == 4) {
      BOOST_TEST(scores[i] == Contrary{}(rollouts.completion(i)));
    } else {
      BOOST_TEST(std::isnan(scores[i]));
    }
  }
  const Rollouts part = select_groups(rollouts, groups);
  for (std::size_t i = 0; i < part.size(); ++i) {
    const auto own = part.completion(i);
    const auto from = rollouts.completion(rollouts.groups.begin(groups[own.group]) + own.member);
    BOOST_TEST(own.text == from.text);
    BOOST_TEST(own.prompt.row == from.prompt.row);
    BOOST_TEST(std::vector(own.log_probs.begin(), own.log_probs.end()) ==
               std::vector(from.log_probs.begin(), from.log_probs.end()));
    BOOST_TEST(std::vector(own.entropies.begin(), own.entropies.end()) ==
               std::vector(from.entropies.begin(), from.entropies.end()));
    BOOST_TEST(part.hidden(i, 0) == rollouts.hidden(from.row, 0));
  }
}

BOOST_AUTO_TEST_CASE(the_conductor_learns_the_judges_taste_and_the_alarm_is_written) {
  auto trainer = contrary({.share = 0.5});
  for (int step = 0; step < 30; ++step) trainer.step(tiny::prompts(6));
  BOOST_TEST(trainer.report().rewards[0].weight < -0.5);  // it turns Match around
  BOOST_TEST(trainer.conductor().rows_learned() == 30u * 3u * 8u);
  std::set<std::string> names;
  for_each_metric(trainer.report(), [&](const std::string& name, double) { names.insert(name); });
  for (const char* name : {"conductor/anchor_rank_correlation", "judge/groups", "judge/calls", "judge/calls_total"}) {
    BOOST_TEST(names.contains(name), name);
  }
  // Watched from beside a Conductor that cannot follow, mixture and judge pull apart.
  auto watched = anchored(RewardAnchor{Contrary{}}, {.share = 1.0}, FixedWeights<2>({1.0f, 0.0f}));
  watched.step(tiny::prompts(6));
  BOOST_TEST(watched.report().anchor->rank_correlation == -1.0, boost::test_tools::tolerance(1e-9));
}

BOOST_AUTO_TEST_CASE(judged_groups_train_on_what_is_asked_for) {
  const auto prompts = tiny::prompts(6);
  auto mixture = contrary({.share = 0.5});
  auto judge = contrary({.share = 0.5, .training = AnchorTraining::judge});
  auto control = contrary({.share = 0.5, .training = AnchorTraining::control, .control = 0.5});
  mixture.step(prompts);
  judge.step(prompts);
  control.step(prompts);  // c / share = 1: as the judge's
  const auto mixed = mixture.trace().advantages;
  const auto judged = judge.trace().advantages;
  const auto controlled = control.trace().advantages;
  std::size_t moved = 0;
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    moved += mixed[i] != judged[i] ? 1u : 0u;
    BOOST_TEST(judged[i] == controlled[i]);
  }
  BOOST_TEST(moved > 0u);
  BOOST_TEST(moved <= 24u);  // of three groups of eight
}

BOOST_AUTO_TEST_CASE(a_run_that_is_cut_goes_on_to_the_same_bits) {
  const AnchorOptions options{.share = 0.4, .max_calls = 100, .spread_steps = 8, .training = AnchorTraining::judge};
  const AnchoredConductor conductor({.forgetting = 0.95});
  auto whole = anchored(RewardAnchor{Contrary{}}, options, conductor);
  auto first = anchored(RewardAnchor{Contrary{}}, options, conductor);
  auto second = anchored(RewardAnchor{Contrary{}}, options, conductor);
  const auto prompts = tiny::prompts(6);
  for (int step = 0; step < 6; ++step) whole.step(prompts);
  for (int step = 0; step < 3; ++step) first.step(prompts);
  const maestro_test::Scratch folder;
  Checkpoints checkpoints({.folder = folder.path("checkpoints")});
  checkpoints.save(first);
  BOOST_TEST(checkpoints.resume(second));
  BOOST_TEST(second.rewards().calls() == first.rewards().calls());
  for (int step = 0; step < 3; ++step) second.step(prompts);
  BOOST_TEST((tiny::state_of(whole) == tiny::state_of(second)));
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused_and_failures_name_their_place) {
  const auto check_of = [](const AnchorOptions& options) { check(options); };
  BOOST_CHECK_THROW(check_of({.share = 0.0}), BadArgument);
  BOOST_CHECK_THROW(check_of({.share = 1.5}), BadArgument);
  BOOST_CHECK_THROW(check_of({.kept = 2.0}), BadArgument);
  BOOST_CHECK_THROW(check_of({.control = 0.0}), BadArgument);
  BOOST_CHECK_THROW(check_of({.choice = AnchorChoice::uncertain, .training = AnchorTraining::control}), BadArgument);
  BOOST_CHECK_THROW(check_of({.max_calls = 8, .training = AnchorTraining::control}), BadArgument);
  BOOST_CHECK_THROW(RewardAnchor{(tiny::Rewards{tiny::Match{}, tiny::Small{}})}, BadArgument);

  std::vector<std::vector<std::size_t>> asked;
  auto infinite = anchored(Recorder{&asked, std::numeric_limits<float>::infinity()}, {.share = 1.0});
  BOOST_CHECK_EXCEPTION(infinite.step(tiny::prompts(6)), BadData, [](const BadData& error) {
    return std::string(error.what()).find("data row 0") != std::string::npos;
  });
  // A judge that gives nothing for some responses teaches from the others.
  auto partial = anchored(Recorder{&asked, none}, {.share = 1.0, .training = AnchorTraining::judge});
  partial.step(tiny::prompts(6));
  BOOST_TEST(partial.conductor().rows_learned() == 42u);

  // A judge that may fail says why, and how often.
  auto failing = anchored(RewardAnchor{Fallible(Unreachable{}, {.retries = 0})}, {.share = 1.0});
  failing.step(tiny::prompts(6));
  BOOST_TEST(failing.report().reward_failure.find("no connection") != std::string::npos);
  BOOST_TEST(failing.conductor().rows_learned() == 42u);
  double failed = 0.0;
  for_each_metric(failing.report(), [&](const std::string& name, double value) {
    if (name == "judge/failed") failed = value;
  });
  BOOST_TEST(failed == 6.0);

  // Without an anchor, the set is itself.
  using Plain = AnchoredRewards<tiny::Rewards, RewardAnchor<Contrary>>;
  Trainer plain(policy(), Plain(tiny::Rewards{tiny::Match{}, tiny::Small{}}, std::nullopt), EqualWeights<2>(),
                tiny::options());
  plain.step(tiny::prompts(6));
  BOOST_TEST(!plain.report().anchor.has_value());
}

BOOST_AUTO_TEST_SUITE_END()
