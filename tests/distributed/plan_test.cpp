// The model of cost for ranks that are not there, with numbers worked out by hand.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/distributed/plan.hpp"

BOOST_AUTO_TEST_SUITE(plan)

namespace {

using maestro::CostModel;
using maestro::MeasuredRun;
using maestro::Network;
using maestro::StepCost;
using maestro::StepTraffic;

/// 1 GB/s, a millisecond.
constexpr Network slow{.name = "slow", .bytes_per_second = 1e9, .latency = 1e-3};

/// One rank, 100 tokens of 4 prompts: 4 s, 1 s and 5 s in the phases, half a second beside them.
constexpr MeasuredRun alone{
    .prompts = 4.0, .tokens = 100.0, .rollout = 4.0, .rewards = 1.0, .training = 5.0, .step = 10.5};

/// Two ranks on the same prompts: 0.5 s as alone, and 1 s + 50 tokens at 0.09 s, which alone are 1 s + 9 s.
constexpr MeasuredRun both{.ranks = 2,
                           .prompts = 4.0,
                           .tokens = 100.0,
                           .rollout = 3.0,
                           .rewards = 0.5,
                           .training = 3.0,
                           .step = 7.0,
                           .communication = 1.0,
                           .exchange = 0.25};

}  // namespace

BOOST_AUTO_TEST_CASE(collectives_cost_latency_and_bytes) {
  // 2 (n - 1) alpha + 2 (n - 1) / n * bytes / bandwidth of 4 ranks: 6 ms and 1.5 times 2 s.
  BOOST_TEST(maestro::all_reduce_seconds(slow, 4, 2e9) == 3.006, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(maestro::ring_seconds(slow, 4, 2e9) == 1.503, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(maestro::ring_seconds(slow, 1, 2e9) == 0.0);
  BOOST_TEST(maestro::agreement_seconds(slow, 1) == 0.0);
  BOOST_TEST(maestro::agreement_seconds(slow, 2) == 1e-3);
  BOOST_TEST(maestro::agreement_seconds(slow, 5) == 3e-3);
  BOOST_TEST(maestro::agreement_seconds(slow, 1024) == 10e-3, boost::test_tools::tolerance(1e-12));
}

BOOST_AUTO_TEST_CASE(a_step_moves_gradients_in_windows_and_rollouts_once) {
  const StepTraffic traffic{.gradient_bytes = 2.5e6,
                            .window_bytes = 1e6,
                            .updates = 2.0,
                            .bytes_of_a_prompt = 1e5,
                            .agreements_a_step = 4.0,
                            .agreements_an_update = 3.0};
  // An update of 2 ranks: 3 windows of 2 ms latency, 2.5 MB at 1 GB/s; 10 prompts: 1 ms and 0.5 MB; 4 + 2 * 3
  // agreements.
  const double expected = 2.0 * (3.0 * 2e-3 + 2.5e-3) + (1e-3 + 0.5e-3) + 10.0 * 1e-3;
  BOOST_TEST(maestro::traffic_seconds(traffic, slow, 2, 10.0) == expected, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(maestro::traffic_seconds(traffic, slow, 1, 10.0) == 0.0);
}

BOOST_AUTO_TEST_CASE(the_slowest_of_n_is_as_the_tables_say) {
  const auto close = boost::test_tools::tolerance(1e-6);
  BOOST_TEST(std::abs(maestro::expected_maximum(1)) < 1e-9);
  BOOST_TEST(maestro::expected_maximum(2) == 1.0 / std::sqrt(std::numbers::pi), close);
  BOOST_TEST(maestro::expected_maximum(3) == 1.5 / std::sqrt(std::numbers::pi), close);
  BOOST_TEST(maestro::expected_maximum(4) == 1.0293753730, close);
  BOOST_TEST(maestro::expected_maximum(10) == 1.5387527308, close);
  BOOST_TEST(maestro::expected_maximum(1000) == 3.2414357691, close);
}

BOOST_AUTO_TEST_CASE(runs_of_one_and_two_ranks_give_the_model) {
  const auto close = boost::test_tools::tolerance(1e-12);
  const CostModel model(std::array{alone, both});
  BOOST_TEST(model.everywhere_a_token() == 0.005, close);
  BOOST_TEST(model.own_work(1).constant == 1.0, close);
  BOOST_TEST(model.own_work(1).a_token == 0.09, close);
  BOOST_TEST(model.rollout_share() == 0.4, close);
  BOOST_TEST(model.rewards_share() == 0.1, close);
  BOOST_TEST(model.training_share() == 0.5, close);
  BOOST_TEST(model.tokens_of_a_prompt() == 25.0, close);
  // Waiting 0.75 s of 4.5 s of work on tokens is expected_maximum(2) / sqrt(2) = 1 / sqrt(2 pi) deviations.
  BOOST_TEST(model.spread() == 0.75 / 4.5 * std::sqrt(2.0 * std::numbers::pi), boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(a_prediction_is_the_sum_of_its_parts) {
  const auto close = boost::test_tools::tolerance(1e-6);
  const CostModel model(std::array{alone, both});
  const StepTraffic traffic{.gradient_bytes = 1e9,
                            .window_bytes = 1e9,
                            .bytes_of_a_prompt = 0.0,
                            .agreements_a_step = 0.0,
                            .agreements_an_update = 0.0};
  // 4 ranks of 4 prompts each: 16 prompts, 400 tokens, 100 of them a rank's own.
  const StepCost cost = model.predict(4, 1, 16.0, slow, traffic);
  BOOST_TEST(cost.tokens == 400.0, close);
  BOOST_TEST(cost.rollout == 3.6, close);
  BOOST_TEST(cost.rewards == 0.9, close);
  BOOST_TEST(cost.training == 5.5, close);  // the constant too
  BOOST_TEST(cost.everywhere == 2.0, close);
  BOOST_TEST(cost.waiting == 9.0 * model.spread() / 2.0 * 1.0293753730, close);
  BOOST_TEST(cost.network == 1.509, close);  // gradients, and the latency of rollouts without bytes
  BOOST_TEST(cost.total() == 13.509 + cost.waiting, close);
  BOOST_TEST(cost.tokens_per_second() == 400.0 / cost.total(), close);
  BOOST_TEST(cost.communication() == (cost.waiting + cost.network) / cost.total(), close);
  // One rank is as it was measured: nothing is waited for, nothing moves.
  const StepCost one = model.predict(1, 1, 4.0, slow, traffic);
  BOOST_TEST(one.total() == 10.5, close);
  BOOST_TEST(one.communication() == 0.0);
}

BOOST_AUTO_TEST_CASE(without_a_second_size_nothing_is_constant) {
  const CostModel model(std::array{alone, alone});
  BOOST_TEST(model.own_work(1).constant == 0.0);
  BOOST_TEST(model.own_work(1).a_token == 0.1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(model.spread() == 0.0);
  // A larger batch that took less than its share leaves no constant below 0.
  MeasuredRun quick = alone;
  quick.tokens = 50.0;
  quick.prompts = 2.0;
  quick.rollout = quick.rewards = 1.0;
  quick.training = 1.0;
  quick.step = 3.25;
  BOOST_TEST(CostModel(std::array{alone, quick}).own_work(1).constant == 0.0);
}

BOOST_AUTO_TEST_CASE(shares_of_one_size_are_no_line) {
  // Responses differ in length, so as many prompts have a few tokens more or less: 1000 and 1010 tokens, 10 s and 9.9
  // s.
  MeasuredRun first = alone;
  first.tokens = 1000.0;
  MeasuredRun second = first;
  second.tokens = 1010.0;
  second.training -= 0.1;
  second.step -= 0.1;
  const CostModel::OwnWork work = CostModel(std::array{first, second}).own_work(1);
  BOOST_TEST(work.constant == 0.0);
  BOOST_TEST(work.a_token > 0.0095);
}

BOOST_AUTO_TEST_CASE(threads_follow_amdahls_law_or_are_refused) {
  const auto close = boost::test_tools::tolerance(1e-12);
  const auto unknown = [](const maestro::BadArgument& error) {
    return std::string(error.what()).find("measure one rank with two of them (--threads)") != std::string::npos;
  };
  const CostModel one(std::array{alone});
  BOOST_TEST(!one.knows_threads(2));
  BOOST_CHECK_EXCEPTION(one.own_work(2), maestro::BadArgument, unknown);
  BOOST_CHECK_EXCEPTION(one.own_work(0), maestro::BadArgument, unknown);
  MeasuredRun two = alone;  // 10 s are 6 s: 2 s that no thread shares, and 8 s that all do
  two.threads = 2;
  two.rollout = 2.4;
  two.rewards = 0.6;
  two.training = 3.0;
  two.step = 6.5;
  const CostModel model(std::array{alone, two});
  BOOST_TEST(model.own_work(1).a_token == 0.1, close);
  BOOST_TEST(model.own_work(2).a_token == 0.06, close);
  BOOST_TEST(model.own_work(8).a_token == 0.03, close);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_fitted_is_refused) {
  BOOST_CHECK_THROW(CostModel(std::array{both}), maestro::BadArgument);
  BOOST_CHECK_THROW(CostModel(std::vector<MeasuredRun>()), maestro::BadArgument);
  BOOST_CHECK_THROW(CostModel(std::array{MeasuredRun{.prompts = 4.0, .step = 1.0}}), maestro::BadArgument);
  BOOST_CHECK_THROW(CostModel(std::array{alone}).predict(0, 1, 4.0, slow, {}), maestro::BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
