#include <boost/test/unit_test.hpp>

#include "maestro/policy/mlp.hpp"
#include "maestro/policy/tabular.hpp"
#include "policy/laws.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(categorical_policies)

namespace {

std::vector<Prompt> numbered_prompts(std::size_t count) {
  std::vector<Prompt> prompts(count);
  for (std::size_t n = 0; n < count; ++n) {
    prompts[n].row = static_cast<std::int64_t>(3 * n + 1);
    prompts[n].features = {0.3f * static_cast<float>(n), -0.5f, 1.0f - 0.2f * static_cast<float>(n)};
  }
  return prompts;
}
template <class T>
TabularPolicy<T> table(std::size_t length = 1) {
  TabularPolicy<T> policy({.contexts = 4, .actions = 5, .length = length});
  for (std::size_t c = 0; c < 4; ++c) {
    for (std::size_t a = 0; a < 5; ++a)
      policy.logits()(c, a) = static_cast<T>(std::sin(1.0 + static_cast<double>(2 * c + 5 * a)));
  }
  return policy;
}
template <class T>
MlpPolicy<7, T> network() {
  return MlpPolicy<7, T>({.features = 3, .actions = 4, .seed = 2});
}

}  // namespace

BOOST_AUTO_TEST_CASE(tabular_laws) {
  const std::vector<Prompt> prompts = numbered_prompts(6);
  for (const std::size_t length : {std::size_t{1}, std::size_t{4}}) {
    laws::generates(table<float>(length), prompts, laws::sampling(5));
    laws::log_probs_agree(table<float>(length), prompts, laws::sampling(), 0.0);
    laws::copies_and_gradients(table<float>(length), prompts, laws::sampling());
    TabularPolicy<double> policy = table<double>(length);
    laws::differentiates(policy, policy.generate(prompts, laws::sampling(), {}), 1, 1e-7);
  }
  laws::generates(table<float>(8), prompts, laws::sampling(1, 3));
}

BOOST_AUTO_TEST_CASE(mlp_laws) {
  const std::vector<Prompt> prompts = numbered_prompts(5);
  laws::generates(network<float>(), prompts, laws::sampling(5));
  laws::log_probs_agree(network<float>(), prompts, laws::sampling(), 0.0);
  laws::copies_and_gradients(network<float>(), prompts, laws::sampling());
  MlpPolicy<7, double> policy = network<double>();
  laws::differentiates(policy, policy.generate(prompts, laws::sampling(), {}), 1, 1e-7);
}

BOOST_AUTO_TEST_CASE(hidden_state_and_text) {
  TabularPolicy<float> policy = table<float>(3);
  const std::vector<Prompt> prompts = numbered_prompts(3);
  Sampling how = laws::sampling(2);
  const Rollouts r = policy.generate(prompts, how, {});
  const std::span<const std::int32_t> tokens = r.tokens.row(2);  // data row 4, context 0
  BOOST_TEST(r.texts[2] ==
             std::to_string(tokens[0]) + " " + std::to_string(tokens[1]) + " " + std::to_string(tokens[2]));
  BOOST_TEST(r.hidden(2, 0) == 1.0f);
  BOOST_TEST(r.hidden(2, 1) == 0.0f);
  float total = 0.0f;
  for (std::size_t a = 0; a < 5; ++a) total += r.hidden(2, 4 + a);
  BOOST_TEST(std::abs(total - 1.0f) < 1e-6f);
  BOOST_TEST((r.finish[2] == Finish::stop));
  how.max_completion_length = 2;
  BOOST_TEST((policy.generate(prompts, how, {}).finish[0] == Finish::length));
  how.stop_tokens = {0, 1, 2, 3, 4};
  const Rollouts stopped = policy.generate(prompts, how, {});
  BOOST_TEST(stopped.tokens.length(0) == 1u);
  BOOST_TEST((stopped.finish[0] == Finish::stop));
  BOOST_TEST(stopped.texts[0].empty());
}

BOOST_AUTO_TEST_CASE(draws_do_not_depend_on_the_batch) {
  TabularPolicy<float> policy = table<float>(4);
  const std::vector<Prompt> prompts = numbered_prompts(6);
  const Rollouts whole = policy.generate(prompts, laws::sampling(3), {.seed = 1});
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const Rollouts single = policy.generate(std::span(prompts).subspan(n, 1), laws::sampling(3), {.seed = 1});
    for (std::size_t g = 0; g < 3; ++g) {
      const auto a = single.tokens.row(g);
      const auto b = whole.tokens.row(3 * n + g);
      BOOST_TEST(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
  }
}

BOOST_AUTO_TEST_CASE(bad_input_is_named) {
  BOOST_CHECK_THROW(TabularPolicy<float>({.contexts = 0}), BadArgument);
  BOOST_CHECK_THROW((MlpPolicy<3>({.features = 0})), BadArgument);
  std::vector<Prompt> prompts = numbered_prompts(2);
  prompts[1].features.pop_back();
  MlpPolicy<7, float> policy = network<float>();
  BOOST_CHECK_EXCEPTION(policy.generate(prompts, laws::sampling(), {}), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("data row 4 has 2 features") != std::string::npos;
  });
  BOOST_CHECK_THROW(policy.check_prompts(prompts, laws::sampling()), BadArgument);
  BOOST_CHECK_NO_THROW(policy.check_prompts(std::span(prompts).first(1), laws::sampling()));
  // What generate refuses is refused before a run.
  Sampling of_texts = laws::sampling();
  of_texts.stop_texts = {"end"};
  BOOST_CHECK_THROW(policy.check_prompts(std::span(prompts).first(1), of_texts), BadArgument);
  BOOST_CHECK_THROW(TabularPolicy<float>({.actions = 3}).check_prompts(prompts, of_texts), BadArgument);
  TabularPolicy<float> small({.contexts = 4, .actions = 2});
  TabularPolicy<float> large = table<float>();
  const Rollouts r = large.generate(prompts, laws::sampling(20), {});
  std::vector<float> out(r.tokens.size());
  BOOST_CHECK_THROW(small.log_probs(r, {0, 2}, out), BadData);
  BOOST_CHECK_THROW(Snapshot<TabularPolicy<float>>(small).synchronize(large), BadArgument);
}

BOOST_AUTO_TEST_CASE(no_prompts_and_no_groups) {
  TabularPolicy<float> policy = table<float>();
  const Rollouts r = policy.generate({}, laws::sampling(), {});
  BOOST_TEST(r.size() == 0u);
  std::vector<float> nothing;
  policy.forward(r, {0, 0}, nothing, {});
  policy.backward(std::span<const float>(), {});
}

BOOST_AUTO_TEST_SUITE_END()
