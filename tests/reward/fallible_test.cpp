#include "maestro/reward/fallible.hpp"

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/reward/reward_set.hpp"
#include "rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(fallible)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;

/// Two groups: the second response of the first one is "bad".
Rollouts two_groups() {
  return make_rollouts({{prompt("first?", 3), {{"one"}, {"bad"}}}, {prompt("second?", 4), {{"three"}, {"four"}}}});
}

/// Throws for "bad", as often as `failures` says for each response.
struct Fragile {
  static constexpr std::string_view name = "fragile";
  int failures = 1000;
  std::shared_ptr<std::atomic<int>> thrown = std::make_shared<std::atomic<int>>(0);

  std::optional<float> operator()(const Completion& c) const {
    if (c.text == "four") return std::nullopt;
    if (c.text == "bad" && thrown->load() < failures) {
      ++*thrown;
      throw std::runtime_error("the line is down");
    }
    return static_cast<float>(c.text.size());
  }
};
struct Endless {
  static constexpr std::string_view name = "endless";
  float operator()(const Completion& c) const { return c.text == "bad" ? HUGE_VALF : 1.0f; }
};
struct Bytes {
  static constexpr std::string_view name = "bytes";
  float operator()(const Completion& c) const { return static_cast<float>(c.text.size()); }
};
struct WholeBatch {
  static constexpr std::string_view name = "whole";
  int failures = 0;
  mutable int calls = 0;
  void operator()(const Rollouts&, std::span<float> scores) const {
    for (float& score : scores) score = 7.0f;
    if (calls++ < failures) throw std::runtime_error("no batch today");
  }
};
/// Says itself which responses failed.
struct InPart {
  static constexpr std::string_view name = "in_part";
  mutable RewardFailures failed{};
  void operator()(const Rollouts&, std::span<float> scores) const {
    failed = {.rows = {2}, .reason = "the third", .retries = 5};
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = i == 2 ? NAN : 1.0f;
  }
  const RewardFailures& failures() const { return failed; }
  template <class F>
  void visit_figures(F&& f) const {
    f("calls", 4.0);
  }
};
struct Misused {
  static constexpr std::string_view name = "misused";
  float operator()(const Completion&) const { throw BadArgument("not for such responses"); }
};

FallibleOptions at_once(OnError on_error, std::uint32_t retries = 0) {
  return {.on_error = on_error, .retries = retries, .delay_seconds = 0.0};
}

template <class Set>
Matrix<float> evaluated(const Set& set, const Rollouts& rollouts, std::size_t rewards) {
  Matrix<float> scores(rollouts.size(), rewards, -1.0f);
  set.evaluate(rollouts, scores.view());
  return scores;
}

template <class Set>
std::map<std::string, double> figures(const Set& set) {
  std::map<std::string, double> result;
  set.visit_figures([&](std::size_t k, std::string_view name, double value) {
    result[std::to_string(k) + "/" + std::string(name)] = value;
  });
  return result;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_failed_call_is_missing_and_never_0_and_counted) {
  const Rollouts rollouts = two_groups();
  const RewardSet set{Bytes{}, Fallible(Fragile{}, at_once(OnError::missing, 2))};
  const Matrix<float> scores = evaluated(set, rollouts, 2);
  BOOST_TEST(scores(0, 1) == 3.0f);
  BOOST_TEST(std::isnan(scores(1, 1)));
  BOOST_TEST(scores(1, 0) == 3.0f);
  BOOST_TEST(scores(2, 1) == 5.0f);
  BOOST_TEST(std::isnan(scores(3, 1)));  // does not apply: no failure
  const RewardFailures& failures = *set.failures()[1];
  BOOST_TEST(set.failures()[0] == nullptr);
  BOOST_TEST(failures.rows == std::vector<std::size_t>{1}, boost::test_tools::per_element());
  BOOST_TEST(failures.retries == 2u);
  BOOST_TEST(failures.reason == "reward 'fragile', data row 3 (\"first?\"), response 1: the line is down");
  BOOST_TEST((figures(set) == std::map<std::string, double>{{"1/failed", 1.0}, {"1/retries", 2.0}}));
}

BOOST_AUTO_TEST_CASE(a_retry_that_succeeds_leaves_no_failure) {
  const RewardSet set{Fallible(Fragile{.failures = 2}, at_once(OnError::stop, 2))};
  BOOST_TEST(evaluated(set, two_groups(), 1)(1, 0) == 3.0f);
  BOOST_TEST(set.failures()[0]->rows.empty());
  BOOST_TEST(set.failures()[0]->retries == 2u);
}

BOOST_AUTO_TEST_CASE(a_skipped_group_loses_every_reward_and_no_other_group_does) {
  const Rollouts rollouts = two_groups();
  std::vector<AnyReward<int>> rewards;
  rewards.emplace_back(Bytes{});
  rewards.emplace_back(Fallible(Fragile{}, at_once(OnError::skip_group)));
  const AnyRewardSet<int> any(std::move(rewards));
  const RewardSet fixed{Bytes{}, Fallible(Fragile{}, at_once(OnError::skip_group))};
  for (const Matrix<float>& scores : {evaluated(any, rollouts, 2), evaluated(fixed, rollouts, 2)}) {
    for (std::size_t i = 0; i < 2; ++i) BOOST_TEST((std::isnan(scores(i, 0)) && std::isnan(scores(i, 1))));
    BOOST_TEST(scores(2, 0) == 5.0f);
    BOOST_TEST(scores(3, 0) == 4.0f);
    BOOST_TEST(scores(2, 1) == 5.0f);
  }
  BOOST_TEST((figures(any) == figures(fixed)));
  BOOST_TEST(any.failures()[1]->reason == fixed.failures()[1]->reason);
}

BOOST_AUTO_TEST_CASE(stop_names_the_place_once) {
  const RewardSet set{Fallible(Fragile{}, at_once(OnError::stop))};
  BOOST_CHECK_EXCEPTION(evaluated(set, two_groups(), 1), RewardFailed, [](const RewardFailed& error) {
    return std::string_view(error.what()) == "reward 'fragile', data row 3 (\"first?\"), response 1: the line is down";
  });
}

BOOST_AUTO_TEST_CASE(an_infinite_value_is_a_failure_too) {
  const RewardSet set{Fallible(Endless{}, at_once(OnError::missing))};
  BOOST_TEST(std::isnan(evaluated(set, two_groups(), 1)(1, 0)));
  BOOST_TEST(set.failures()[0]->reason.find("infinite") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_batch_fails_whole_unless_the_reward_says_which_responses_did) {
  const RewardSet whole{Fallible(WholeBatch{.failures = 2}, at_once(OnError::missing, 1))};
  const Matrix<float> scores = evaluated(whole, two_groups(), 1);
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(std::isnan(scores(i, 0)));
  BOOST_TEST(whole.failures()[0]->rows.size() == 4u);
  BOOST_TEST(whole.failures()[0]->reason == "reward 'whole': no batch today");
  BOOST_TEST(evaluated(whole, two_groups(), 1)(0, 0) == 7.0f);  // the third call works
  BOOST_TEST(whole.failures()[0]->rows.empty());

  const RewardSet part{Bytes{}, Fallible(InPart{}, at_once(OnError::skip_group))};
  const Matrix<float> rest = evaluated(part, two_groups(), 2);
  BOOST_TEST(rest(0, 0) == 3.0f);
  BOOST_TEST((std::isnan(rest(2, 0)) && std::isnan(rest(3, 0)) && std::isnan(rest(3, 1))));
  BOOST_TEST((figures(part) == std::map<std::string, double>{{"1/failed", 1.0}, {"1/retries", 5.0}, {"1/calls", 4.0}}));
}

BOOST_AUTO_TEST_CASE(a_mistake_of_the_caller_is_no_failure) {
  const RewardSet set{Fallible(Misused{}, at_once(OnError::missing))};
  BOOST_CHECK_THROW(evaluated(set, two_groups(), 1), BadData);
  BOOST_CHECK_THROW(Fallible(Bytes{}, {.delay_seconds = -1.0}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
