// A reward that fails during a run: what is saved, what is learned, what is counted.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/reward/fallible.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/metrics.hpp"
#include "tiny.hpp"

BOOST_AUTO_TEST_SUITE(failing_reward)

namespace {

using namespace maestro;

/// Fails for one data row from a step on.
struct Fragile {
  static constexpr std::string_view name = "fragile";
  std::uint32_t from = 0;
  std::uint32_t now = 0;

  void before_step(tiny::Policy&, std::uint32_t step) { now = step; }
  float operator()(const Completion& c) const {
    if (now >= from && c.prompt.row == 5) throw std::runtime_error("the judge is asleep");
    return static_cast<float>(c.tokens[0]);
  }
};

struct Watch {
  std::vector<std::string> reasons;
  std::vector<double> failed;
  std::vector<std::size_t> applied;
  double lost_advantage = 0.0;
  void on_step(const StepReport& report, const StepTrace& trace) {
    reasons.push_back(report.reward_failure);
    applied.push_back(report.rewards[0].count);
    for_each_metric(report, [&](const std::string& name, double value) {
      if (name == "rewards/fragile/failed") failed.push_back(value);
    });
    for (std::size_t i = 0; i < trace.rollouts.size(); ++i) {
      if (trace.rollouts.completion(i).prompt.row == 5) {
        lost_advantage += std::abs(static_cast<double>(trace.advantages[i]));
      }
    }
  }
};

template <class Failing>
auto trainer_with(Failing reward) {
  return Trainer(tiny::Policy({.contexts = 3, .actions = 5, .length = 2}), RewardSet{tiny::Match{}, std::move(reward)},
                 tiny::Conductor(), GroupRelative{}, tiny::options());
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_run_that_stops_for_it_has_saved_what_it_trained) {
  auto trainer = trainer_with(Fallible(Fragile{.from = 4}, {.on_error = OnError::stop, .retries = 0}));
  const auto prompts = tiny::prompts();
  std::vector<std::uint32_t> saved;
  const LoopOptions options{.steps = 20, .save = [&] { saved.push_back(trainer.steps_done()); }};
  BOOST_CHECK_EXCEPTION(run_loop(trainer, prompts, options), RewardFailed, [](const RewardFailed& error) {
    return std::string(error.what()).find("the judge is asleep") != std::string::npos;
  });
  BOOST_TEST(trainer.whole());
  BOOST_TEST_REQUIRE(saved.size() == 1u);
  BOOST_TEST(saved[0] >= 4u);
  BOOST_TEST(saved[0] == trainer.steps_done());

  auto plain = trainer_with(Fragile{.from = 4});  // not wrapped: as it stops
  std::uint32_t plain_saved = 0;
  BOOST_CHECK_THROW(run_loop(plain, prompts, {.steps = 20, .save = [&] { plain_saved = plain.steps_done(); }}),
                    BadData);
  BOOST_TEST(plain_saved == saved[0]);
}

BOOST_AUTO_TEST_CASE(a_save_that_fails_too_does_not_hide_the_reason) {
  auto trainer = trainer_with(Fragile{.from = 3});
  BOOST_CHECK_THROW(
      run_loop(trainer, tiny::prompts(), {.steps = 20, .save = [] { throw IoError("the disk is full"); }}), BadData);
}

BOOST_AUTO_TEST_CASE(a_skipped_group_teaches_nothing_and_a_missing_reward_leaves_the_others) {
  const auto prompts = tiny::prompts();  // 12, six a step
  for (const OnError on_error : {OnError::skip_group, OnError::missing}) {
    auto trainer = trainer_with(Fallible(Fragile{}, {.on_error = on_error, .retries = 0}));
    Watch watch;
    run_loop(trainer, std::span<const Prompt>(prompts), {.steps = 2}, watch);  // one pass: row 5 comes once
    BOOST_TEST((watch.failed == std::vector<double>{8.0, 0.0} || watch.failed == std::vector<double>{0.0, 8.0}));
    const std::size_t step = watch.failed[0] > 0.0 ? 0 : 1;
    BOOST_TEST(watch.reasons[step].find("data row 5") != std::string::npos);
    BOOST_TEST(watch.reasons[1 - step].empty());
    BOOST_TEST(watch.applied[step] == (on_error == OnError::skip_group ? 40u : 48u));
    BOOST_TEST((watch.lost_advantage == 0.0) == (on_error == OnError::skip_group));
  }
}

BOOST_AUTO_TEST_SUITE_END()
