#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/parallel.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "policy/laws.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(same_bits)

namespace {

/// One token a byte, no end in sight: responses run to their limit.
struct Bytes {
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> tokens;
    for (const char c : text) tokens.push_back(static_cast<std::int32_t>(static_cast<unsigned char>(c) % 39));
    return tokens;
  }
  std::string decode(std::span<const std::int32_t>) const { return {}; }
  std::size_t vocabulary_size() const { return 40; }
  std::int32_t end_token() const { return 39; }
};
using Model = TransformerPolicy<float, NativeBackend, Bytes>;

using Halves = LoraModel<float>;
using LoraPolicy = TransformerPolicy<float, NativeBackend, Bytes, Halves>;

/// `hidden` beyond a kernel's depth and `vocabulary` beyond a chunk of the head are where sums are cut.
ModelWeights<float> make_weights(std::size_t hidden, std::size_t vocabulary, QueryKeyNorm norm) {
  ModelConfig config = qwen3_config(vocabulary, hidden, 2, 6, 2, 10, hidden + 12);
  config.query_key_norm = norm;
  config.max_positions = 700;
  ModelWeights<float> weights(config);
  weights.initialize(5);
  std::uint32_t tensor = 0;
  weights.visit([&](auto p) {
    const RandomStream stream({.seed = 78, .purpose = Purpose::user, .row = tensor++});
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] += static_cast<float>(0.05 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return weights;
}
Model make_model(std::size_t hidden, std::size_t vocabulary, QueryKeyNorm norm) {
  return Model(make_weights(hidden, vocabulary, norm), Bytes{});
}

/// A frozen base in bfloat16 and adapters whose factors are all random.
LoraPolicy make_lora_policy(std::size_t hidden, std::size_t vocabulary, const TransformerPolicyOptions& options = {}) {
  Halves model(std::make_shared<const FrozenWeights<float>>(make_weights(hidden, vocabulary, QueryKeyNorm::present),
                                                            FrozenStore::bfloat16),
               {.rank = 5, .alpha = 7.0}, 3);
  std::uint32_t tensor = 100;
  model.visit([&](auto p) {
    const RandomStream stream({.seed = 78, .purpose = Purpose::user, .row = tensor++});
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] = static_cast<float>(0.05 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return LoraPolicy(std::move(model), Bytes{}, options);
}

/// Prompts shorter and longer than a block of the cache and than a kernel's depth.
std::vector<Prompt> prompts_of_lengths(std::initializer_list<std::size_t> lengths) {
  std::vector<Prompt> prompts;
  for (const std::size_t length : lengths) {
    Prompt prompt;
    for (std::size_t i = 0; i < length; ++i) prompt.text += static_cast<char>('a' + (i * i + length) % 23);
    prompt.row = static_cast<std::int64_t>(prompts.size());
    prompts.push_back(prompt);
  }
  return prompts;
}

struct Threads {
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(2); }
};

/// Rollout, training pass and scoring pass, of the whole batch and of each group alone.
template <class P>
void check_agreement(P policy, double temperature) {
  const std::vector<Prompt> prompts = prompts_of_lengths({1, 33, 70, 400});
  const Rollouts r = policy.generate(prompts, laws::sampling(5, 150, temperature), {.seed = 3});
  std::vector<float> log_probs(r.tokens.size()), entropies(r.tokens.size()), again(r.tokens.size());
  policy.forward(r, {0, prompts.size()}, log_probs, entropies);
  policy.log_probs(r, {0, prompts.size()}, again);
  BOOST_TEST((log_probs == r.log_probs));
  BOOST_TEST((entropies == r.entropies));
  BOOST_TEST((again == log_probs));
  for (std::size_t g = 0; g < prompts.size(); ++g) {
    const std::size_t first = r.tokens.offset(r.groups.begin(g));
    std::vector<float> alone(r.tokens.offset(r.groups.end(g)) - first);
    policy.log_probs(r, {g, g + 1}, alone);
    BOOST_TEST(std::equal(alone.begin(), alone.end(), log_probs.begin() + static_cast<std::ptrdiff_t>(first)));
  }
}

}  // namespace

// A token's log-prob is the same whether it was decoded with a cache, beside whichever other responses, or computed
// from the packed batch.
BOOST_AUTO_TEST_CASE(rollout_and_training_agree_to_the_bit) {
  struct Case {
    std::size_t hidden, vocabulary;
    QueryKeyNorm norm;
    double temperature;
  };
  for (const Case& c : {Case{48, 40, QueryKeyNorm::present, 1.0}, Case{400, 5000, QueryKeyNorm::absent, 1.0},
                        Case{400, 5000, QueryKeyNorm::present, 0.7}}) {
    check_agreement(make_model(c.hidden, c.vocabulary, c.norm), c.temperature);
  }
}

BOOST_AUTO_TEST_CASE(adapters_beside_a_base_in_halves_agree_to_the_bit_too) {
  check_agreement(make_lora_policy(400, 5000), 0.7);
}

BOOST_AUTO_TEST_CASE(a_copy_of_a_policy_with_adapters_shares_the_base) {
  LoraPolicy policy = make_lora_policy(48, 40);
  const LoraPolicy reference = policy.without_adapters();
  BOOST_TEST(&reference.weights().base() == &policy.weights().base());
  const std::vector<Prompt> prompts = prompts_of_lengths({5, 9});
  const Rollouts r = policy.generate(prompts, laws::sampling(3, 20, 1.0), {.seed = 3});
  std::vector<float> own(r.tokens.size()), base(r.tokens.size());
  policy.log_probs(r, {0, 2}, own);
  reference.log_probs(r, {0, 2}, base);
  BOOST_TEST((own != base));
  policy.visit([](auto p) { std::fill(p.values.begin(), p.values.end(), 0.0f); });
  policy.log_probs(r, {0, 2}, own);
  BOOST_TEST((own == base));
}

BOOST_AUTO_TEST_CASE(recomputing_activations_changes_no_bit) {
  const std::vector<Prompt> prompts = prompts_of_lengths({5, 90, 33});
  const auto run = [&](Activations activations) {
    LoraPolicy policy = make_lora_policy(48, 40, {.activations = activations});
    const Rollouts r = policy.generate(prompts, laws::sampling(4, 30, 1.0), {.seed = 9});
    std::vector<float> log_probs(r.tokens.size()), entropies(r.tokens.size()), d(r.tokens.size(), 0.01f);
    policy.zero_gradients();
    policy.forward(r, {0, prompts.size()}, log_probs, entropies);
    policy.backward(d, d);
    return std::pair(log_probs, laws::gradients_of(policy));
  };
  BOOST_TEST((run(Activations::keep) == run(Activations::recompute)));
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_bit) {
  const std::vector<Prompt> prompts = prompts_of_lengths({5, 90, 33});
  const auto run = [&](int threads) {
    const Threads scope(threads);
    Model policy = make_model(400, 5000, QueryKeyNorm::present);
    const Rollouts r = policy.generate(prompts, laws::sampling(6, 80, 1.0), {.seed = 9});
    std::vector<float> log_probs(r.tokens.size()), entropies(r.tokens.size()), d(r.tokens.size(), 0.01f);
    policy.zero_gradients();
    policy.forward(r, {0, prompts.size()}, log_probs, entropies);
    policy.backward(d, d);
    const auto tokens = r.tokens.flat();
    return std::tuple(std::vector<std::int32_t>(tokens.begin(), tokens.end()), log_probs, r.hidden,
                      laws::gradients_of(policy));
  };
  const auto one = run(1);
  for (const int threads : {2, 3, 7}) BOOST_TEST((run(threads) == one));
}

BOOST_AUTO_TEST_SUITE_END()
