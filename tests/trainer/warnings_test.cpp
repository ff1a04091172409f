// What a person is told of a run that learns little, and how progress fits a terminal.

#include "maestro/trainer/warnings.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "maestro/trainer/progress.hpp"
#include "maestro/trainer/reward_conflict.hpp"

using namespace maestro;

namespace {

/// A step of rewards that vary in these shares of the groups.
StepReport step(std::vector<double> shares, double constant_groups = 0.0) {
  StepReport report;
  report.frac_reward_zero_std = constant_groups;
  for (std::size_t k = 0; k < shares.size(); ++k) {
    report.rewards.push_back({.name = std::string(1, static_cast<char>('a' + k)), .count = 8});
    report.rewards.back().frac_group_varies = shares[k];
  }
  return report;
}

struct Listener {
  std::vector<std::string> said;
  Rollouts rollouts{};
  Decision decision{};
  RunWarnings warnings{[this](const std::string& text) { said.push_back(text); }, {.steps = 3}};

  Listener() = default;
  Listener(const Listener&) = delete;
  void see(const StepReport& report) { warnings.on_step(report, StepTrace{rollouts, {}, decision, {}, {}}); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(run_warnings)

BOOST_AUTO_TEST_CASE(a_reward_of_one_value_is_said_once_after_enough_steps) {
  Listener run;
  for (int i = 0; i < 2; ++i) run.see(step({0.0, 0.5}));
  run.see(step({0.25, 0.5}));  // it varies once: the count starts again
  for (int i = 0; i < 2; ++i) run.see(step({0.0, 0.5}));
  BOOST_TEST(run.said.empty());
  for (int i = 0; i < 9; ++i) run.see(step({0.0, 0.5}));
  BOOST_TEST_REQUIRE(run.said.size() == 1u);
  BOOST_TEST(run.said[0].starts_with("reward 'a' had one value in every group for 3 steps"), run.said[0]);
  BOOST_TEST(run.said[0].find("leave it out") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_reward_without_values_is_told_apart_from_a_constant_one) {
  Listener run;
  StepReport report = step({0.0, 0.5});
  report.rewards[0].count = 0;
  for (int i = 0; i < 7; ++i) run.see(report);
  BOOST_TEST_REQUIRE(run.said.size() == 1u);
  BOOST_TEST(run.said[0].starts_with("reward 'a' had no value for 3 steps"), run.said[0]);
}

BOOST_AUTO_TEST_CASE(few_groups_that_vary_are_said_with_their_share) {
  Listener run;
  for (int i = 0; i < 3; ++i) run.see(step({0.5}, 0.875));  // an eighth is enough
  BOOST_TEST(run.said.empty());
  run.see(step({0.5}, 1.0));
  run.see(step({0.5}, std::nan("")));  // a step without values does not count
  for (int i = 0; i < 8; ++i) run.see(step({0.5}, 0.925));
  BOOST_TEST_REQUIRE(run.said.size() == 1u);
  BOOST_TEST(run.said[0].starts_with("the rewards differed in 5.0 % of the groups over 3 steps"), run.said[0]);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(reward_conflict)

BOOST_AUTO_TEST_CASE(correlations_are_those_inside_the_groups) {
  // Two groups of three; reward 0 and 1 differ between the groups in the same way, and inside them against each other.
  const std::vector<float> values{1, 13, 5, 2, 12, 5, 3, 11, 5, 101, 103, 5, 102, 102, std::nanf(""), 106, 101, 5};
  Matrix<float> scores(6, 3);
  std::copy(values.begin(), values.end(), scores.flat().begin());
  const std::vector<float> advantages{-1, 0, 1, -1, 0, 1};
  StepReport report;
  report.rewards.resize(3);
  describe_conflict(scores, advantages, Groups::uniform(2, 3), report);
  // Centered: (-1, 0, 1, -2, -1, 3) and (1, 0, -1, 1, 0, -1): -7 / sqrt(16 * 4).
  BOOST_TEST_REQUIRE(report.rewards[0].correlations.size() == 2u);
  BOOST_TEST(report.rewards[0].correlations[0] == -0.875, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(std::isnan(report.rewards[0].correlations[1]));  // the third is constant
  BOOST_TEST(report.rewards[2].correlations.empty());
  BOOST_TEST(report.rewards[0].advantage_correlation == 0.875, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(report.rewards[1].advantage_correlation == -1.0, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(std::isnan(report.rewards[2].advantage_correlation));
}

BOOST_AUTO_TEST_CASE(means_are_those_of_the_responses_that_have_both) {
  const std::vector<float> values{1, 3, 2, 5, 3, 10, std::nanf(""), 100};
  Matrix<float> scores(4, 2);
  std::copy(values.begin(), values.end(), scores.flat().begin());
  StepReport report;
  report.rewards.resize(2);
  describe_conflict(scores, std::vector<float>{-3, -1, 0, 4}, Groups::uniform(1, 4), report);
  // (-1, 0, 1) with (-3, -1, 4); with (-5/3, 1/3, 4/3); all of (-26.5, -24.5, -19.5, 70.5) with (-3, -1, 0, 4)
  BOOST_TEST(report.rewards[0].correlations[0] == 7.0 / std::sqrt(52.0), boost::test_tools::tolerance(1e-12));
  BOOST_TEST(report.rewards[0].advantage_correlation == 3.0 / std::sqrt(28.0 / 3.0),
             boost::test_tools::tolerance(1e-12));
  BOOST_TEST(report.rewards[1].advantage_correlation == 386.0 / std::sqrt(6653.0 * 26.0),
             boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(progress)

BOOST_AUTO_TEST_CASE(a_line_fits_the_terminal_and_says_the_time_first) {
  StepReport report = step({0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5});
  report.step = 12;
  report.seconds.total = 2.0;
  report.response_tokens = 900;
  report.prompt_tokens = 100;
  report.mean_length = 112.4;
  const Rollouts rollouts;
  const Decision decision;
  const auto line = [&](ProgressStyle style, std::size_t width, std::uint32_t total) {
    std::ostringstream out;
    Progress progress(out, {.style = style, .total_steps = total, .line_every = 1, .width = width});
    progress.on_step(report, StepTrace{rollouts, {}, decision, {}, {}});
    return out.str();
  };
  BOOST_TEST(line(ProgressStyle::terminal, 80, 112) ==
             "\r  12/112  3:20 left  500 tok/s  len 112  a +0.00 x0.00  b +0.00 x0.00\033[K");
  BOOST_TEST(line(ProgressStyle::terminal, 30, 112) == "\r  12/112  3:20 left\033[K");
  BOOST_TEST(line(ProgressStyle::lines, 30, 4512).starts_with("  12/4512  2:30:00 left  500 tok/s  len 112  a +0.00"));
  BOOST_TEST(line(ProgressStyle::lines, 30, 112).find("h +0.00 x0.00\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
