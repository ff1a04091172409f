#include "maestro/policy/gaussian.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/statistics.hpp"
#include "maestro/policy/tabular.hpp"
#include "policy/laws.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(gaussian_policy)

namespace {

std::vector<Prompt> observations(std::size_t count) {
  std::vector<Prompt> prompts(count);
  for (std::size_t n = 0; n < count; ++n) {
    prompts[n].row = static_cast<std::int64_t>(3 * n + 1);
    prompts[n].features = {0.3f * static_cast<float>(n), -0.5f, 1.0f - 0.2f * static_cast<float>(n)};
  }
  return prompts;
}

template <class T>
GaussianPolicy<T> policy_of(std::size_t dimensions, std::size_t steps, double std_dev = 0.7) {
  return GaussianPolicy<T>(
      {.features = 3, .width = 5, .dimensions = dimensions, .steps = steps, .std_dev = std_dev, .seed = 2});
}

/// Tests that `call` throws E with a message that holds `part`.
template <class E, class Call>
void refuses(const Call& call, const std::string& part) {
  BOOST_CHECK_EXCEPTION(call(), E, [&](const E& e) {
    const bool found = std::string(e.what()).find(part) != std::string::npos;
    if (!found) BOOST_TEST_MESSAGE(e.what());
    return found;
  });
}

}  // namespace

BOOST_AUTO_TEST_CASE(laws_hold_at_every_shape) {
  const std::vector<Prompt> prompts = observations(5);
  for (const std::size_t dimensions : {1u, 3u}) {
    for (const std::size_t steps : {1u, 4u}) {
      for (const std::size_t group : {1u, 4u}) {
        laws::generates(policy_of<float>(dimensions, steps), prompts, laws::sampling(group));
        laws::log_probs_agree(policy_of<float>(dimensions, steps), prompts, laws::sampling(group), 0.0);
        laws::copies_and_gradients(policy_of<float>(dimensions, steps), prompts, laws::sampling(group));
        GaussianPolicy<double> exact = policy_of<double>(dimensions, steps);
        laws::differentiates(exact, exact.generate(prompts, laws::sampling(group, 6, 1.7), {}), 1, 1e-7);
      }
    }
  }
  laws::generates(policy_of<float>(2, 4), prompts, laws::sampling(3, 2));
}

BOOST_AUTO_TEST_CASE(log_probs_and_entropies_are_those_of_normal_distributions) {
  const double temperature = 1.44;
  GaussianPolicy<double> policy = policy_of<double>(2, 3, 0.5);
  const std::vector<Prompt> prompts = observations(2);
  const Rollouts r = policy.generate(prompts, laws::sampling(2, 6, temperature), {.seed = 3});
  const Matrix<double> means = policy.means(prompts);
  std::vector<double> log_probs(r.tokens.size());
  std::vector<double> entropies(r.tokens.size());
  policy.forward(r, {0, 2}, log_probs, entropies);
  const double sigma = 0.5 * 1.2;  // a temperature multiplies by its root
  for (std::size_t i = 0; i < r.size(); ++i) {
    const Completion c = r.completion(i);
    BOOST_TEST(c.actions.rows() == 3u);
    BOOST_TEST(c.actions.cols() == 2u);
    for (std::size_t t = 0; t < 3; ++t) {
      double expected = 0.0;
      for (std::size_t d = 0; d < 2; ++d) {
        const double gap = static_cast<double>(c.actions(t, d)) - means(c.group, 2 * t + d);
        expected += std::log(std::exp(-gap * gap / (2 * sigma * sigma)) / (sigma * std::sqrt(2 * std::numbers::pi)));
      }
      const std::size_t step = r.tokens.offset(i) + t;
      BOOST_TEST(std::abs(log_probs[step] - expected) < 1e-9);
      BOOST_TEST(std::abs(entropies[step] - 2 * (0.5 + 0.5 * std::log(2 * std::numbers::pi) + std::log(sigma))) <
                 1e-12);
      BOOST_TEST(r.entropies[step] == static_cast<float>(entropies[step]));
    }
  }
}

BOOST_AUTO_TEST_CASE(draws_have_the_mean_and_the_deviation_of_the_policy) {
  GaussianPolicy<float> policy = policy_of<float>(2, 2, 0.5);
  const std::vector<Prompt> prompts = observations(1);
  const std::size_t count = 4000;
  const Rollouts r = policy.generate(prompts, laws::sampling(count, 6, 4.0), {.seed = 1});
  const Matrix<float> means = policy.means(prompts);
  for (std::size_t place = 0; place < 4; ++place) {
    const auto action = [&](std::size_t i) { return r.completion(i).actions(place / 2, place % 2); };
    const Moments m = moments_of(count, action);
    BOOST_TEST(std::abs(m.mean - static_cast<double>(means(0, place))) < 0.07);  // four standard errors
    BOOST_TEST(std::abs(m.std_dev(1) - 1.0) < 0.05);
  }
}

BOOST_AUTO_TEST_CASE(greedy_decoding_gives_the_means) {
  GaussianPolicy<float> policy = policy_of<float>(2, 3);
  const std::vector<Prompt> prompts = observations(2);
  Sampling how = laws::sampling(2);
  how.decoding = Decoding::greedy;
  const Rollouts r = policy.generate(prompts, how, {});
  const Matrix<float> means = policy.means(prompts);
  for (std::size_t i = 0; i < r.size(); ++i) {
    const auto actions = r.completion(i).actions;
    for (std::size_t place = 0; place < 6; ++place) BOOST_TEST(actions(place / 2, place % 2) == means(i / 2, place));
  }
}

BOOST_AUTO_TEST_CASE(draws_depend_neither_on_the_batch_nor_on_where_a_plan_is_cut) {
  GaussianPolicy<float> policy = policy_of<float>(2, 4);
  const std::vector<Prompt> prompts = observations(4);
  const Rollouts whole = policy.generate(prompts, laws::sampling(3), {.seed = 1});
  const Rollouts cut = policy.generate(prompts, laws::sampling(3, 2), {.seed = 1});
  BOOST_TEST((whole.finish[0] == Finish::stop));
  BOOST_TEST((cut.finish[0] == Finish::length));
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const Rollouts single = policy.generate(std::span(prompts).subspan(n, 1), laws::sampling(3), {.seed = 1});
    for (std::size_t m = 0; m < 3; ++m) {
      BOOST_TEST(laws::same_response(single, m, whole, 3 * n + m));
      BOOST_TEST(cut.completion(3 * n + m).actions.rows() == 2u);
      BOOST_TEST(cut.completion(3 * n + m).actions(1, 1) == whole.completion(3 * n + m).actions(1, 1));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_hidden_state_has_read_prompt_and_response) {
  GaussianPolicy<float> policy = policy_of<float>(2, 3);
  const std::vector<Prompt> prompts = observations(2);
  const Rollouts r = policy.generate(prompts, laws::sampling(2), {});
  BOOST_TEST(r.hidden.cols() == 7u);
  for (std::size_t h = 0; h < 5; ++h) {
    BOOST_TEST(r.hidden(0, h) == r.hidden(1, h));
    BOOST_TEST(r.hidden(0, h) != r.hidden(2, h));
  }
  const auto a = r.completion(1).actions;
  const Matrix<float> means = policy.means(prompts);
  for (std::size_t d = 0; d < 2; ++d) {
    float expected = 0.0f;
    for (std::size_t t = 0; t < 3; ++t) expected += (a(t, d) - means(0, 2 * t + d)) / (0.7f * std::sqrt(0.8f)) / 3.0f;
    BOOST_TEST(std::abs(r.hidden(1, 5 + d) - expected) < 1e-5f);
  }
}

BOOST_AUTO_TEST_CASE(no_prompts_and_no_groups) {
  GaussianPolicy<float> policy = policy_of<float>(2, 3);
  const Rollouts r = policy.generate({}, laws::sampling(), {});
  BOOST_TEST(r.size() == 0u);
  std::vector<float> nothing;
  policy.forward(r, {0, 0}, nothing, {});
  policy.backward(std::span<const float>(), {});
}

BOOST_AUTO_TEST_CASE(bad_input_is_named) {
  refuses<BadArgument>([] { GaussianPolicy<float>({.dimensions = 0}); }, "dimensions");
  refuses<BadArgument>([] { GaussianPolicy<float>({.steps = 0}); }, "steps");
  refuses<BadArgument>([] { GaussianPolicy<float>({.dimensions = 1u << 16, .steps = 1u << 16}); }, "2^32");
  refuses<BadArgument>([] { GaussianPolicy<float>({.std_dev = 0.0}); }, "std_dev");
  GaussianPolicy<float> policy = policy_of<float>(2, 3);
  std::vector<Prompt> prompts = observations(2);
  Sampling how = laws::sampling();
  how.top_p = 0.9;
  refuses<BadArgument>([&] { policy.generate(prompts, how, {}); }, "top_p");
  how = laws::sampling();
  how.stop_tokens = {3};
  refuses<BadArgument>([&] { policy.check_prompts(prompts, how); }, "stop_tokens");
  const Rollouts good = policy.generate(prompts, laws::sampling(), {});
  prompts[1].features.pop_back();
  refuses<BadArgument>([&] { policy.generate(prompts, laws::sampling(), {}); }, "data row 4 has 2 features");
  refuses<BadArgument>([&] { policy.check_prompts(prompts, laws::sampling()); }, "data row 4 has 2 features");

  std::vector<float> out(good.tokens.size());
  refuses<BadData>([&] { policy_of<float>(3, 3).log_probs(good, {0, 2}, out); }, "not of this policy");
  refuses<BadData>([&] { policy_of<float>(2, 2).log_probs(good, {0, 2}, out); }, "plans 2");
  TabularPolicy<float> table({.contexts = 2, .actions = 3});
  refuses<BadData>([&] { table.log_probs(good, {0, 2}, out); }, "token -1");
  const Rollouts tokens = table.generate(observations(2), laws::sampling(), {});
  out.resize(tokens.tokens.size());
  refuses<BadData>([&] { policy.log_probs(tokens, {0, 2}, out); }, "not of this policy");
}

BOOST_AUTO_TEST_CASE(a_policy_that_diverged_says_so) {
  const std::vector<Prompt> prompts = observations(2);
  for (const double broken : {-2000.0, 2000.0, std::nan("")}) {
    GaussianPolicy<double> policy = policy_of<double>(2, 1);
    policy.visit([&](auto p) {
      if (p.name == "log_std_dev") p.values[1] = broken;
    });
    refuses<BadData>([&] { policy.generate(prompts, laws::sampling(), {}); }, "diverged");
  }
}

BOOST_AUTO_TEST_SUITE_END()
