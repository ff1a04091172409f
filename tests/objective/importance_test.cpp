#include "maestro/objective/importance.hpp"

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/objective/loss.hpp"

BOOST_AUTO_TEST_SUITE(importance)

namespace {

using namespace maestro;
using enum ImportanceCorrection;

/// Two responses of 2 and 3 tokens: ratios 2, 4 | 0.5, 0.5, 1.
struct Batch {
  std::vector<float> sampler{-2.0f, -3.0f, -1.0f, -1.5f, -2.0f};
  std::vector<float> learner;
  std::vector<std::size_t> offsets{7, 9, 12};

  Batch() {
    const std::array<double, 5> ratios{2.0, 4.0, 0.5, 0.5, 1.0};
    for (std::size_t t = 0; t < 5; ++t) {
      learner.push_back(static_cast<float>(static_cast<double>(sampler[t]) + std::log(ratios[t])));
    }
  }
};

std::vector<float> weigh(const ImportanceOptions& options, ImportanceFigures& figures, const Batch& batch = {}) {
  std::vector<float> weights(5, -1.0f);
  importance_weights(options, batch.learner, batch.sampler, batch.offsets, weights, figures);
  return weights;
}
void check_weights(const ImportanceOptions& options, const std::vector<float>& expected, double mean, std::size_t cut) {
  ImportanceFigures figures;
  const std::vector<float> weights = weigh(options, figures);
  for (std::size_t t = 0; t < 5; ++t) BOOST_TEST(std::abs(weights[t] - expected[t]) < 1e-5f);
  BOOST_TEST(std::abs(figures.mean() - mean) < 1e-5);
  BOOST_TEST(figures.cut == cut);
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_mode_cuts_as_it_says) {
  check_weights({.correction = token_truncate, .cap = 3.0}, {2, 3, 0.5, 0.5, 1}, 8.0 / 5.0, 1);
  check_weights({.correction = token_mask, .cap = 3.0}, {2, 0, 0.5, 0.5, 1}, 8.0 / 5.0, 1);
  check_weights({.correction = token_mask, .cap = 3.0, .floor = 0.6}, {2, 0, 0, 0, 1}, 8.0 / 5.0, 3);
  check_weights({.correction = sequence_truncate, .cap = 3.0}, {3, 3, 0.25, 0.25, 0.25}, 8.25 / 2.0, 1);
  check_weights({.correction = sequence_mask, .cap = 3.0}, {0, 0, 0.25, 0.25, 0.25}, 8.25 / 2.0, 1);
  check_weights({.correction = sequence_mask, .cap = 9.0, .floor = 0.3}, {8, 8, 0, 0, 0}, 8.25 / 2.0, 1);
  ImportanceFigures figures;
  weigh({.correction = token_truncate}, figures);
  BOOST_TEST(std::abs(figures.max - 4.0) < 1e-5);
  BOOST_TEST(std::abs(figures.min - 0.5) < 1e-5);
  BOOST_TEST(figures.cut_share() == 0.2);
}

BOOST_AUTO_TEST_CASE(ratios_that_overflow_are_cut_and_no_numbers_are_refused) {
  Batch batch;
  batch.learner[0] = 2000.0f;
  ImportanceFigures figures;
  BOOST_TEST(weigh({.correction = token_truncate}, figures, batch)[0] == 3.0f);
  BOOST_TEST(weigh({.correction = sequence_mask}, figures, batch)[0] == 0.0f);
  batch.sampler[2] = std::numeric_limits<float>::quiet_NaN();
  BOOST_CHECK_THROW(weigh({.correction = token_truncate}, figures, batch), BadData);
  batch.sampler.pop_back();
  BOOST_CHECK_THROW(weigh({.correction = token_truncate}, figures, batch), BadArgument);
  BOOST_CHECK_THROW(check(ImportanceOptions{.cap = 0.0}), BadArgument);
  BOOST_CHECK_THROW(check(ImportanceOptions{.cap = 1.0, .floor = 1.0}), BadArgument);
  BOOST_CHECK_THROW(check(ImportanceOptions{.floor = -1.0}), BadArgument);
}

// Over every token of a vocabulary, weighted by who drew: the corrected gradient is that of the policy that learns.
BOOST_AUTO_TEST_CASE(without_a_cut_the_expected_gradient_is_that_of_the_learner) {
  const std::array<double, 3> pi{0.2, 0.3, 0.5};
  const std::array<double, 3> mu{0.5, 0.3, 0.2};
  const std::array<float, 3> advantages{1.0f, -0.5f, 2.0f};
  std::vector<float> learner;
  std::vector<float> sampler;
  for (std::size_t v = 0; v < 3; ++v) {
    learner.push_back(static_cast<float>(std::log(pi[v])));
    sampler.push_back(static_cast<float>(std::log(mu[v])));
  }
  const std::vector<std::size_t> offsets{0, 1, 2, 3};
  std::vector<float> weights(3);
  ImportanceFigures figures;
  importance_weights({.correction = token_truncate, .cap = 10.0}, learner, sampler, offsets, weights, figures);
  SingleProcess comm;
  LossInput<float> in{.log_probs = learner,
                      .offsets = offsets,
                      .advantages = advantages,
                      .batch = count_batch(offsets, comm),
                      .weights = weights};
  std::vector<float> gradient(3);
  Objective()(in, LossGradient<float>{.d_log_probs = gradient});
  for (std::size_t v = 0; v < 3; ++v) {
    // Its share of the expectation over mu, and that of -A d log pi over pi; the loss is a mean over three tokens.
    BOOST_TEST(std::abs(mu[v] * 3.0 * static_cast<double>(gradient[v]) + pi[v] * static_cast<double>(advantages[v])) <
               1e-6);
  }
  in.weights = std::span<const float>(weights).first(2);
  BOOST_CHECK_THROW(Objective()(in, LossGradient<float>{.d_log_probs = gradient}), BadArgument);
}

BOOST_AUTO_TEST_CASE(the_kl_of_the_loss_is_not_weighted) {
  const std::vector<float> log_probs{-1.0f, -2.0f};
  const std::vector<float> reference{-1.5f, -1.0f};
  const std::vector<float> advantages{1.0f};
  const std::vector<float> none{0.0f, 0.0f};
  const std::vector<std::size_t> offsets{0, 2};
  SingleProcess comm;
  LossInput<float> in{.log_probs = log_probs,
                      .reference_log_probs = reference,
                      .offsets = offsets,
                      .advantages = advantages,
                      .batch = count_batch(offsets, comm),
                      .weights = none};
  std::vector<float> gradient(2);
  const LossReport masked = Objective({.beta = 0.1})(in, LossGradient<float>{.d_log_probs = gradient});
  BOOST_TEST(std::abs(masked.loss - 0.1 * masked.kl()) < 1e-9);
  BOOST_TEST(masked.kl() > 0.0);
}

BOOST_AUTO_TEST_SUITE_END()
