#include "maestro/reward/proxy_scorer.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/policy/tabular.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/reward_set.hpp"
#include "rollouts_fixture.hpp"

BOOST_AUTO_TEST_SUITE(proxy_scorer)

namespace {

using namespace maestro;
using test::make_rollouts;
using test::prompt;
using test::tagged;

struct Bytes {
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> tokens;
    for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
    return tokens;
  }
  std::string decode(std::span<const std::int32_t> tokens) const {
    std::string text;
    for (const std::int32_t t : tokens) text += static_cast<char>(t);
    return text;
  }
  std::size_t vocabulary_size() const { return 256; }
  std::int32_t end_token() const { return 0; }
};

/// Bytes drawn independently, with logits per context.
struct Unigrams : TabularPolicy<float> {
  Unigrams() : TabularPolicy<float>({.contexts = 2, .actions = 256, .length = 4}) {}
  const Bytes& tokenizer() const { return bytes; }
  Bytes bytes;
};

static_assert(TextPolicy<Unigrams> && !TextPolicy<TabularPolicy<float>>);
static_assert(LikelihoodScorer<ProxyScorer<Unigrams>> && Stateful<ProxyScorer<Unigrams>>);
static_assert(Stateful<Perplexity<ProxyScorer<Unigrams>>>);

double log_uniform_with(double logit, bool chosen) {
  return (chosen ? logit : 0.0) - std::log(255.0 + std::exp(logit));
}

BOOST_AUTO_TEST_CASE(only_the_continuation_is_scored_under_the_prompt_of_its_group) {
  Unigrams policy;
  policy.logits()(0, 'a') = 2.0f;
  policy.logits()(1, 'b') = 3.0f;
  const Rollouts rollouts =
      make_rollouts({{prompt("p", 0), {{"x"}, {"y"}}}, {prompt("q", 2), {{"x"}}}, {prompt("r", 1), {{"x"}, {"z"}}}});
  const std::vector<LikelihoodQuery> queries{{0, "bbb", "ab"}, {0, "", "aa"}, {2, "aaaa", "b"}, {2, "b", "abb"}};
  const double a = log_uniform_with(2, true);
  const double not_a = log_uniform_with(2, false);
  const double b = log_uniform_with(3, true);
  const double not_b = log_uniform_with(3, false);
  const std::vector<double> expected{-(a + not_a) / 2, -a, -b, -(not_b + 2 * b) / 3};
  for (const std::size_t limit : {1u, 8u, 100000u}) {
    const ProxyScorer scorer{policy, {.micro_batch_tokens = limit}};
    std::vector<float> nll(4, -1.0f);
    scorer.mean_nll(rollouts, queries, nll);
    for (std::size_t q = 0; q < 4; ++q) BOOST_TEST(std::abs(nll[q] - expected[q]) < 1e-5);
  }
  const ProxyScorer scorer{policy};
  BOOST_TEST(scorer.count_tokens("four") == 4u);
  std::vector<float> none;
  scorer.mean_nll(rollouts, {}, none);
}

BOOST_AUTO_TEST_CASE(queries_that_do_not_fit_are_refused) {
  const ProxyScorer scorer{Unigrams{}};
  const Rollouts rollouts = make_rollouts({{prompt("p", 0), {{"x"}}}, {prompt("q", 1), {{"x"}}}});
  std::vector<float> out(2);
  const std::vector<LikelihoodQuery> unsorted{{1, "", "a"}, {0, "", "a"}};
  BOOST_CHECK_THROW(scorer.mean_nll(rollouts, unsorted, out), BadArgument);
  const std::vector<LikelihoodQuery> beyond{{0, "", "a"}, {2, "", "a"}};
  BOOST_CHECK_THROW(scorer.mean_nll(rollouts, beyond, out), BadArgument);
  const std::vector<LikelihoodQuery> empty{{0, "", "a"}, {1, "a", ""}};
  BOOST_CHECK_THROW(scorer.mean_nll(rollouts, empty, out), BadData);
  BOOST_CHECK_THROW(scorer.mean_nll(rollouts, unsorted, std::span(out).first(1)), BadArgument);
  BOOST_CHECK_THROW((ProxyScorer{Unigrams{}, {.micro_batch_tokens = 0}}), BadArgument);
}

/// As Unigrams, but with a limit on the positions.
struct Limited : Unigrams {
  struct Config {
    std::size_t max_positions = 20;
  };
  Config config() const { return {}; }
  std::vector<std::int32_t> encode_prompt(std::string_view text) const { return bytes.encode(text); }
};

BOOST_AUTO_TEST_CASE(data_that_the_positions_cannot_hold_is_refused_before_the_run) {
  const RewardSet rewards{Perplexity{ProxyScorer{Limited{}}}};
  const Sampling sampling{.max_completion_length = 10};
  std::vector<Prompt> prompts{prompt("four", 0, "sixsix"), prompt("fifteen letters", 1)};
  BOOST_CHECK_NO_THROW(rewards.check_prompts(prompts, sampling));
  prompts.push_back(prompt("four", 17, "seven77"));
  BOOST_CHECK_EXCEPTION(rewards.check_prompts(prompts, sampling), BadArgument, [](const BadArgument& e) {
    const std::string message = e.what();
    BOOST_TEST_INFO(message);
    for (const char* part : {"data row 17", " 4 tokens", " 7 ", " 10,", " 20 positions"}) {
      if (message.find(part) == std::string::npos) return false;
    }
    return true;
  });
  prompts[2] = prompt(std::string(21, 'x'), 2, "r");
  BOOST_CHECK_THROW(rewards.check_prompts(prompts, sampling), BadArgument);
  // A policy that names no limit has none to check.
  const RewardSet unlimited{Perplexity{ProxyScorer{Unigrams{}}}};
  BOOST_CHECK_NO_THROW(unlimited.check_prompts(prompts, sampling));
}

BOOST_AUTO_TEST_CASE(the_copy_follows_the_policy_every_few_steps) {
  Unigrams policy;
  RewardSet rewards{Perplexity{ProxyScorer{policy, {.sync_steps = 3}}, {.scale = PerplexityScale::negative_log}}};
  const Rollouts rollouts = make_rollouts({{prompt("p", 0, "a"), {{tagged("", "")}}}});
  const auto value = [&] {
    Matrix<float> out(1, 1);
    rewards.evaluate(rollouts, out);
    return static_cast<double>(out(0, 0));
  };
  policy.logits()(0, 'a') = 5.0f;
  const double before = -std::log(256.0);
  for (const std::uint32_t step : {0u, 1u, 2u}) {
    rewards.before_step(policy, step);
    BOOST_TEST(std::abs(value() - before) < 1e-5);
  }
  rewards.before_step(policy, 3u);
  BOOST_TEST(std::abs(value() - log_uniform_with(5, true)) < 1e-5);
  policy.logits()(0, 'a') = 0.0f;
  for (const std::uint32_t step : {4u, 5u}) rewards.before_step(policy, step);
  BOOST_TEST(std::abs(value() - log_uniform_with(5, true)) < 1e-5);
  rewards.before_step(policy, 6u);
  BOOST_TEST(std::abs(value() - before) < 1e-5);
}

namespace {
/// The names and bytes of a part's state.
struct Entries {
  std::vector<std::pair<std::string, std::string>> found;
  std::string prefix;
  template <class Value>
  void operator()(std::string_view name, Value&& value) {
    const std::string full = prefix + std::string(name);
    if constexpr (requires { value.visit_state(*this); }) {
      const std::string outer = std::exchange(prefix, full + ".");
      value.visit_state(*this);
      prefix = outer;
    } else if constexpr (requires { std::span(value); }) {
      const auto bytes = std::as_bytes(std::span(value));
      found.emplace_back(full, std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
  }
};
template <class Part>
auto entries(Part& part) {
  Entries v;
  part.visit_state(v);
  return v.found;
}
}  // namespace

static_assert(LikelihoodScorer<PolicyProxy> && Stateful<PolicyProxy> && Reward<Perplexity<>>);
static_assert(std::is_same_v<decltype(Perplexity{}), Perplexity<PolicyProxy>>);
static_assert(std::is_same_v<decltype(Perplexity{PolicyProxy{{.sync_steps = 3}}}), Perplexity<PolicyProxy>>);
static_assert(std::is_same_v<decltype(Perplexity{{.invalid_value = -2.0f}}), Perplexity<PolicyProxy>>);

BOOST_AUTO_TEST_CASE(a_proxy_that_is_attached_is_the_proxy_of_that_policy) {
  Unigrams policy;
  policy.logits()(0, 'a') = 2.0f;
  const PerplexityOptions options{.scale = PerplexityScale::negative_log};
  RewardSet rewards{Perplexity{PolicyProxy{{.sync_steps = 3}}, options}};
  rewards.attach(policy);
  RewardSet expected{Perplexity{ProxyScorer{policy, {.sync_steps = 3}}, options}};
  const Rollouts rollouts = make_rollouts({{prompt("p", 0, "ab"), {{tagged("", "")}, {tagged("xy", "z")}}}});
  const auto same = [&] {
    Matrix<float> found(2, 1);
    Matrix<float> wanted(2, 1);
    rewards.evaluate(rollouts, found);
    expected.evaluate(rollouts, wanted);
    BOOST_TEST((found == wanted));
    BOOST_TEST((entries(rewards) == entries(expected)));
    BOOST_TEST(entries(rewards)[0].first.starts_with("perplexity.scorer.proxy."));
  };
  for (std::uint32_t step = 0; step < 5; ++step) {
    policy.logits()(0, 'b') += 1.0f;
    rewards.before_step(policy, step);
    expected.before_step(policy, step);
    same();
  }
  // A copy follows on its own.
  RewardSet copy = rewards;
  policy.logits()(0, 'b') = -4.0f;
  copy.before_step(policy, 6);
  same();
  BOOST_TEST((entries(copy) != entries(rewards)));
  // Attached again it starts from that policy.
  rewards.attach(policy);
  BOOST_TEST((entries(copy) == entries(rewards)));
}

BOOST_AUTO_TEST_CASE(without_a_policy_a_proxy_says_how_to_give_it_one) {
  RewardSet rewards{Perplexity{}};
  const std::vector<Prompt> prompts{prompt("p", 0, "a")};
  const auto names_the_remedy = [](const Error& error) {
    return std::string(error.what()).find("attach(policy)") != std::string::npos;
  };
  BOOST_CHECK_EXCEPTION(rewards.check_prompts(prompts, {}), BadArgument, names_the_remedy);
  const Rollouts rollouts = make_rollouts({{prompts[0], {{tagged("", "")}}}});
  Matrix<float> out(1, 1);
  BOOST_CHECK_EXCEPTION(rewards.evaluate(rollouts, out), BadData, names_the_remedy);
  Unigrams policy;
  BOOST_CHECK_EXCEPTION(rewards.before_step(policy, 0), BadArgument, names_the_remedy);
  rewards.attach(policy);
  Limited other;
  BOOST_CHECK_EXCEPTION(rewards.before_step(other, 0), BadArgument,
                        [](const Error& e) { return std::string(e.what()).find("another type") != std::string::npos; });
  BOOST_CHECK_THROW((PolicyProxy{{.micro_batch_tokens = 0}}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
