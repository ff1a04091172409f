#include <boost/test/unit_test.hpp>
#include <set>
#include <string>
#include <vector>

#include "maestro/trainer/bootstrap.hpp"
#include "maestro/trainer/prompt_order.hpp"

namespace {

std::vector<maestro::Prompt> numbered(std::size_t count) {
  std::vector<maestro::Prompt> prompts(count);
  for (std::size_t i = 0; i < count; ++i) prompts[i].row = static_cast<std::int64_t>(i);
  return prompts;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(prompt_order)

BOOST_AUTO_TEST_CASE(each_epoch_holds_every_prompt_once) {
  const auto data = numbered(10);
  maestro::PromptOrder order(data, 4, 7);
  std::vector<std::int64_t> rows;
  for (std::uint32_t step = 0; step < 5; ++step) {
    for (const auto& prompt : order.batch(step)) rows.push_back(prompt.row);
  }
  BOOST_TEST(rows.size() == 20u);
  BOOST_TEST(std::set<std::int64_t>(rows.begin(), rows.begin() + 10).size() == 10u);
  BOOST_TEST(std::set<std::int64_t>(rows.begin() + 10, rows.end()).size() == 10u);
  BOOST_TEST(!std::equal(rows.begin(), rows.begin() + 10, rows.begin() + 10));
}

BOOST_AUTO_TEST_CASE(a_step_depends_on_nothing_but_its_number) {
  const auto data = numbered(10);
  maestro::PromptOrder walked(data, 4, 7);
  for (std::uint32_t step = 0; step < 9; ++step) walked.batch(step);
  maestro::PromptOrder jumped(data, 4, 7);
  const auto a = walked.batch(9);
  const auto b = jumped.batch(9);
  for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(a[i].row == b[i].row);
}

BOOST_AUTO_TEST_CASE(a_batch_may_be_larger_than_the_data) {
  const auto data = numbered(3);
  maestro::PromptOrder order(data, 8, 1);
  BOOST_TEST(order.batch(0).size() == 8u);
  BOOST_TEST(order.epoch(3) == 8.0);
}

BOOST_AUTO_TEST_CASE(two_prompts_of_one_row_are_refused) {
  const auto refusal = [](const std::vector<maestro::Prompt>& data) -> std::string {
    try {
      const maestro::PromptOrder order(data, 4, 7);
    } catch (const maestro::BadArgument& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  BOOST_TEST(refusal(std::vector<maestro::Prompt>(4)) ==
             "training data: prompts 0 and 1 both have row 0; number them: prompts[i].row = i");
  auto data = numbered(9);
  data[8].row = 3;
  BOOST_TEST(refusal(data).find("prompts 3 and 8 both have row 3") != std::string::npos);
  data[8].row = 100;
  BOOST_TEST(refusal(data) == "nothing was thrown");
  BOOST_TEST(refusal(std::vector<maestro::Prompt>(1)) == "nothing was thrown");
}

BOOST_AUTO_TEST_CASE(no_data_is_refused) { BOOST_CHECK_THROW(maestro::PromptOrder({}, 4, 7), maestro::BadArgument); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bootstrap)

BOOST_AUTO_TEST_CASE(equal_values_have_no_width) {
  const std::vector<double> values(20, 0.25);
  const auto interval = maestro::bootstrap_mean(values);
  BOOST_TEST(interval.mean == 0.25);
  BOOST_TEST(interval.low == 0.25);
  BOOST_TEST(interval.high == 0.25);
}

// For n values of deviation s the interval of the mean is about mean +- 1.96 s / sqrt(n).
BOOST_AUTO_TEST_CASE(width_is_that_of_the_normal_approximation) {
  std::vector<double> values;
  const maestro::RandomStream stream({.seed = 3});
  for (std::uint32_t i = 0; i < 400; ++i) values.push_back(1.0 + 2.0 * stream.normal(i));
  const auto interval = maestro::bootstrap_mean(values);
  const auto moments = maestro::moments_of(values.data(), values.size());
  const double half = 1.96 * moments.std_dev(1) / 20.0;
  BOOST_TEST(interval.mean == moments.mean);
  BOOST_TEST(std::abs(interval.high - interval.mean - half) < 0.1 * half);
  BOOST_TEST(std::abs(interval.mean - interval.low - half) < 0.1 * half);
}

BOOST_AUTO_TEST_CASE(a_statistic_is_taken_of_the_prompts_and_of_samples_of_them) {
  std::vector<double> values;
  const maestro::RandomStream stream({.seed = 7});
  for (std::uint32_t i = 0; i < 40; ++i) values.push_back(stream.normal(i));  // so many that bounds tell seeds apart
  const auto mean = [&](std::span<const std::size_t> drawn) {
    double sum = 0.0;
    for (const std::size_t i : drawn) sum += values[i];
    return sum / static_cast<double>(drawn.size());
  };
  const auto general = maestro::bootstrap(values.size(), mean, {.seed = 4});
  const auto of_mean = maestro::bootstrap_mean(values, {.seed = 4});
  BOOST_TEST(std::abs(general.mean - of_mean.mean) < 1e-12);
  BOOST_TEST(general.low == of_mean.low);
  BOOST_TEST(general.high == of_mean.high);
  BOOST_TEST(general.high > general.low);
  BOOST_TEST(maestro::bootstrap_mean(values, {.seed = 5}).low != general.low);
}

// By hand: of n = 5 responses c = 2 are right; C(3, k) / C(5, k) is 3/5, 3/10, 1/10 for k = 1, 2, 3.
BOOST_AUTO_TEST_CASE(pass_at_k_is_unbiased) {
  using maestro::pass_at_k;
  BOOST_TEST(std::abs(pass_at_k(5, 2, 1) - 0.4) < 1e-12);
  BOOST_TEST(std::abs(pass_at_k(5, 2, 2) - 0.7) < 1e-12);
  BOOST_TEST(std::abs(pass_at_k(5, 2, 3) - 0.9) < 1e-12);
  BOOST_TEST(pass_at_k(5, 2, 4) == 1.0);
  BOOST_TEST(pass_at_k(5, 0, 5) == 0.0);
  BOOST_TEST(pass_at_k(5, 5, 1) == 1.0);
  BOOST_TEST(std::abs(pass_at_k(200, 1, 100) - 0.5) < 1e-12);
  BOOST_CHECK_THROW(pass_at_k(5, 2, 0), maestro::BadArgument);
  BOOST_CHECK_THROW(pass_at_k(5, 2, 6), maestro::BadArgument);
  BOOST_CHECK_THROW(pass_at_k(5, 6, 1), maestro::BadArgument);
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
  const std::vector<double> values{1.0};
  BOOST_CHECK_THROW(maestro::bootstrap_mean({}), maestro::BadArgument);
  BOOST_CHECK_THROW(maestro::bootstrap(0, [](auto) { return 0.0; }), maestro::BadArgument);
  BOOST_CHECK_THROW(maestro::bootstrap_mean(values, {.resamples = 0}), maestro::BadArgument);
  BOOST_CHECK_THROW(maestro::bootstrap_mean(values, {.level = 1.0}), maestro::BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
