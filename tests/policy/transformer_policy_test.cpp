#include "maestro/policy/transformer_policy.hpp"
#include "maestro/gemm/native.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>

#include "policy/allocation_counter.hpp"
#include "policy/laws.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(transformer_policy)

namespace {

/// Bytes below `size - 1`, and an end token.
struct SmallTokenizer {
  std::size_t size = 40;
  std::vector<std::int32_t> encode(std::string_view text) const {
    std::vector<std::int32_t> tokens;
    for (const char c : text) tokens.push_back(static_cast<std::int32_t>(static_cast<unsigned char>(c) % (size - 1)));
    return tokens;
  }
  std::string decode(std::span<const std::int32_t> tokens) const {
    std::string text;
    for (const std::int32_t t : tokens) text += static_cast<char>('0' + t);
    return text;
  }
  std::size_t vocabulary_size() const { return size; }
  std::int32_t end_token() const { return static_cast<std::int32_t>(size - 1); }
};

/// Grouped-query Qwen3, or Qwen2 with biases and a head of its own; every parameter random and large enough to matter.
template <class T>
ModelWeights<T> small_model(Architecture architecture = Architecture::qwen3) {
  ModelConfig config = qwen3_config(40, 24, 2, 4, 2, 6, 20);
  config.max_positions = 200;
  config.architecture = architecture;
  if (architecture == Architecture::qwen2) {
    config.query_key_norm = QueryKeyNorm::absent;
    config.qkv_bias = QkvBias::present;
    config.head = HeadWeights::separate;
  }
  ModelWeights<T> weights(config);
  weights.initialize(3);
  std::uint32_t tensor = 0;
  weights.visit([&](auto p) {
    const RandomStream stream({.seed = 77, .purpose = Purpose::user, .row = tensor++});
    for (std::size_t i = 0; i < p.values.size(); ++i) {
      p.values[i] += static_cast<T>(0.2 * stream.normal(static_cast<std::uint32_t>(i)));
    }
  });
  return weights;
}
template <class T>
using Small = TransformerPolicy<T, NativeBackend, SmallTokenizer>;
template <class T>
Small<T> small_policy(Architecture architecture = Architecture::qwen3) {
  return Small<T>(small_model<T>(architecture), SmallTokenizer{});
}

std::vector<Prompt> texts(std::initializer_list<const char*> list) {
  std::vector<Prompt> prompts;
  for (const char* text : list) {
    Prompt prompt;
    prompt.text = text;
    prompt.row = static_cast<std::int64_t>(10 + prompts.size());
    prompts.push_back(prompt);
  }
  return prompts;
}

/// Greedy continuation by running the whole sequence again for every token; also the smallest gap to the runner-up.
std::pair<std::vector<std::int32_t>, double> greedy_by_full_forward(const ModelWeights<double>& weights,
                                                                    std::vector<std::int32_t> tokens, std::size_t count,
                                                                    std::int32_t end) {
  std::vector<std::int32_t> response;
  TransformerWorkspace<double> workspace;
  double gap = 1e9;
  while (response.size() < count) {
    PackedBatch batch;
    batch.push_sequence(tokens);
    const auto hidden = Transformer<double, NativeBackend>::forward(weights, batch, workspace);
    const auto head = weights.head();
    std::vector<double> z(head.rows());
    for (std::size_t v = 0; v < z.size(); ++v) {
      for (std::size_t c = 0; c < head.cols(); ++c) z[v] += head(v, c) * hidden(tokens.size() - 1, c);
    }
    const auto best = static_cast<std::int32_t>(std::max_element(z.begin(), z.end()) - z.begin());
    std::vector<double> sorted = z;
    std::sort(sorted.rbegin(), sorted.rend());
    gap = std::min(gap, sorted[0] - sorted[1]);
    tokens.push_back(best);
    response.push_back(best);
    if (best == end) break;
  }
  return {response, gap};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_stop_text_ends_a_response_and_stays_in_it) {
  auto policy = small_policy<float>();
  const std::vector<Prompt> prompts = texts({"a", "xyz"});
  Sampling sampling = laws::sampling(6, 24);
  const Rollouts free = policy.generate(prompts, sampling, {.seed = 9});
  // Two characters that are not one token: the middle of a response that goes on.
  std::size_t row = 0;
  while (free.texts[row].size() < 12) ++row;
  sampling.stop_texts = {"never in a response", free.texts[row].substr(5, 2)};
  const Rollouts stopped = policy.generate(prompts, sampling, {.seed = 9});
  const std::string& stop = sampling.stop_texts[1];
  for (std::size_t i = 0; i < free.size(); ++i) {
    const std::size_t at = free.texts[i].find(stop);
    BOOST_TEST(stopped.texts[i] == free.texts[i].substr(0, at == std::string::npos ? at : at + stop.size()));
    if (at != std::string::npos) {
      BOOST_TEST((stopped.finish[i] == Finish::stop));
      BOOST_TEST(stopped.tokens.length(i) == at + stop.size());
    }
  }
  BOOST_TEST(stopped.texts[row].size() <= 7u);
  sampling.stop_texts = {""};
  BOOST_CHECK_THROW(policy.generate(prompts, sampling, {}), BadArgument);
}

BOOST_AUTO_TEST_CASE(a_repetition_penalty_counts_prompt_and_response) {
  auto policy = small_policy<float>();
  const std::vector<Prompt> prompts = texts({"abcdefghij"});
  Sampling sampling = laws::sampling(1, 20);
  sampling.decoding = Decoding::greedy;
  sampling.repetition_penalty = 1e6;  // what was seen is as good as barred, as long as anything else is likelier
  const Rollouts rollouts = policy.generate(prompts, sampling, {});
  std::vector<std::int32_t> all(rollouts.prompt_tokens.row(0).begin(), rollouts.prompt_tokens.row(0).end());
  std::size_t repeated = 0;
  for (const std::int32_t token : rollouts.tokens.row(0)) {
    repeated += std::ranges::find(all, token) != all.end() ? 1u : 0u;
    all.push_back(token);
  }
  sampling.repetition_penalty = 1.0;
  const Rollouts free = policy.generate(prompts, sampling, {});
  BOOST_TEST(repeated == 0u);
  BOOST_TEST(free.texts[0] != rollouts.texts[0]);
}

BOOST_AUTO_TEST_CASE(concept_laws) {
  static_assert(Policy<Small<float>>);
  const std::vector<Prompt> prompts = texts({"a", "a longer prompt than the other", "xyz"});
  for (const Architecture architecture : {Architecture::qwen3, Architecture::qwen2}) {
    laws::generates(small_policy<float>(architecture), prompts, laws::sampling(3, 20));
    laws::log_probs_agree(small_policy<float>(architecture), prompts, laws::sampling(5, 30), 3e-5);
    laws::log_probs_agree(small_policy<double>(architecture), prompts, laws::sampling(5, 30), 2e-6);
    laws::copies_and_gradients(small_policy<float>(architecture), prompts, laws::sampling(2, 9));
  }
  laws::generates(small_policy<float>(), prompts, laws::sampling(4, 3));
}

BOOST_AUTO_TEST_CASE(gradients_by_finite_differences) {
  const std::vector<Prompt> prompts = texts({"abc", "d"});
  for (const Architecture architecture : {Architecture::qwen3, Architecture::qwen2}) {
    Small<double> policy = small_policy<double>(architecture);
    laws::differentiates(policy, policy.generate(prompts, laws::sampling(2, 5), {.seed = 1}), 61, 1e-6);
  }
}

BOOST_AUTO_TEST_CASE(greedy_by_cache_equals_greedy_by_full_forward) {
  // 150 tokens cross two blocks of the cache
  Small<double> policy = small_policy<double>();
  const std::vector<Prompt> prompts = texts({"q", "some prompt of more than sixteen tokens", "other"});
  Sampling how = laws::sampling(2, 150, 1.0);
  how.decoding = Decoding::greedy;
  const Rollouts r = policy.generate(prompts, how, {});
  for (std::size_t i = 0; i < r.size(); ++i) {
    const std::size_t g = r.groups.group_of(i);
    const auto [expected, gap] =
        greedy_by_full_forward(policy.weights(), policy.encode_prompt(prompts[g].text), 150, 39);
    BOOST_TEST(gap > 1e-6);
    const auto drawn = r.tokens.row(i);
    BOOST_TEST(std::equal(drawn.begin(), drawn.end(), expected.begin(), expected.end()));
  }
}

// The first layer looks through a window, so the cache's prompt and its old blocks go out of sight.
BOOST_AUTO_TEST_CASE(windows_hold_in_training_and_generation) {
  const auto windowed = [](auto weights, std::vector<std::size_t> windows) {
    ModelConfig config = weights.config();
    config.windows = std::move(windows);
    auto changed = decltype(weights)(config);
    std::ranges::copy(weights.flat(), changed.flat().begin());
    return changed;
  };
  const std::vector<Prompt> prompts = texts({"q", "some prompt of more than sixteen tokens", "other"});
  for (const std::vector<std::size_t>& windows : {std::vector<std::size_t>{7, 0}, std::vector<std::size_t>{20, 5}}) {
    const Small<float> policy(windowed(small_model<float>(), windows), SmallTokenizer{});
    laws::log_probs_agree(policy, prompts, laws::sampling(3, 90), 3e-5);
    laws::copies_and_gradients(policy, prompts, laws::sampling(2, 9));
    Small<double> exact(windowed(small_model<double>(), windows), SmallTokenizer{});
    laws::differentiates(exact, exact.generate(prompts, laws::sampling(2, 12), {.seed = 1}), 61, 1e-6);
    Sampling how = laws::sampling(2, 100, 1.0);
    how.decoding = Decoding::greedy;
    const Rollouts r = exact.generate(prompts, how, {});
    for (std::size_t i = 0; i < r.size(); i += 2) {
      const std::vector<std::int32_t> prompt = exact.encode_prompt(prompts[r.groups.group_of(i)].text);
      const auto [expected, gap] = greedy_by_full_forward(exact.weights(), prompt, 100, 39);
      BOOST_TEST(gap > 1e-6);
      const auto drawn = r.tokens.row(i);
      BOOST_TEST(std::equal(drawn.begin(), drawn.end(), expected.begin(), expected.end()));
    }
  }
}

BOOST_AUTO_TEST_CASE(terminal_hidden_state_has_read_the_last_token) {
  Small<double> policy = small_policy<double>(Architecture::qwen2);
  const std::vector<Prompt> prompts = texts({"hello", "b"});
  for (const std::size_t length : {std::size_t{1}, std::size_t{30}}) {
    const Rollouts r = policy.generate(prompts, laws::sampling(4, length, 2.0), {.seed = 4});
    PackedBatch batch;
    batch.pack(r, 0, 2, {.prompts = PromptRows::separate, .last_token = LastToken::feed});
    TransformerWorkspace<double> workspace;
    const auto hidden = Transformer<double, NativeBackend>::forward(policy.weights(), batch, workspace);
    for (std::size_t i = 0; i < r.size(); ++i) {
      for (std::size_t c = 0; c < policy.hidden_size(); ++c) {
        BOOST_TEST(std::abs(hidden(batch.terminal_rows()[i], c) - static_cast<double>(r.hidden(i, c))) < 1e-6);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(prompt_tokens_run_once) {
  Small<float> policy = small_policy<float>();
  const std::vector<Prompt> prompts = texts({"hello", "prompt"});
  const Rollouts r = policy.generate(prompts, laws::sampling(7, 12), {});
  BOOST_TEST(policy.counters().prompt_rows == 11u);
  BOOST_TEST(policy.counters().response_rows == r.tokens.size());
  std::size_t longest = 0;
  for (std::size_t i = 0; i < r.size(); ++i) longest = std::max(longest, r.tokens.length(i));
  BOOST_TEST(policy.counters().steps == longest);
}

BOOST_AUTO_TEST_CASE(stop_tokens_and_texts) {
  Small<float> policy = small_policy<float>();
  const std::vector<Prompt> prompts = texts({"stop", "me"});
  Sampling how = laws::sampling(6, 40, 1.5);
  for (std::int32_t t = 0; t < 20; ++t) how.stop_tokens.push_back(t);
  const Rollouts r = policy.generate(prompts, how, {.seed = 8});
  const auto stops = [](std::int32_t t) { return t < 20 || t == 39; };
  for (std::size_t i = 0; i < r.size(); ++i) {
    const auto tokens = r.tokens.row(i);
    for (std::size_t t = 0; t + 1 < tokens.size(); ++t) BOOST_TEST(!stops(tokens[t]));
    BOOST_TEST((r.finish[i] == Finish::stop) == stops(tokens.back()));
    const bool stopped = r.finish[i] == Finish::stop;
    BOOST_TEST(r.texts[i] == SmallTokenizer{}.decode(stopped ? tokens.first(tokens.size() - 1) : tokens));
  }
}

BOOST_AUTO_TEST_CASE(a_step_allocates_nothing_once_warm) {
  Small<float> policy = small_policy<float>();
  const std::vector<Prompt> prompts = texts({"hello", "prompt"});
  const auto allocations = [&](std::size_t length) {
    Sampling how = laws::sampling(4, length);
    how.stop_tokens.clear();
    const std::size_t before = allocation::count();
    const Rollouts r = policy.generate(prompts, how, {.seed = 2});
    return std::pair{allocation::count() - before, r.tokens.size()};
  };
  allocations(150);
  allocations(20);
  const auto [few, short_tokens] = allocations(20);
  allocations(150);
  const auto [more, long_tokens] = allocations(150);
  BOOST_TEST(long_tokens > 2 * short_tokens);
  // What remains is the rollouts themselves, which does not depend on the number of steps but for texts that outgrow
  // their first buffer.
  BOOST_TEST_MESSAGE("allocations for " << short_tokens << " tokens: " << few << ", for " << long_tokens << ": "
                                        << more);
  BOOST_TEST(more <= few + 8 * 4 + 4);
}

BOOST_AUTO_TEST_CASE(tokens_do_not_depend_on_the_batch) {
  Small<double> policy = small_policy<double>();
  const std::vector<Prompt> prompts = texts({"hello", "prompt", "third"});
  const Rollouts whole = policy.generate(prompts, laws::sampling(3, 25), {.seed = 1});
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    const Rollouts single = policy.generate(std::span(prompts).subspan(n, 1), laws::sampling(3, 25), {.seed = 1});
    for (std::size_t g = 0; g < 3; ++g) {
      const auto a = single.tokens.row(g);
      const auto b = whole.tokens.row(3 * n + g);
      BOOST_TEST(std::equal(a.begin(), a.end(), b.begin(), b.end()));
    }
  }
}

BOOST_AUTO_TEST_CASE(bad_input_is_named) {
  Small<float> policy = small_policy<float>();
  std::vector<Prompt> prompts = texts({"fine", ""});
  BOOST_CHECK_EXCEPTION(policy.generate(prompts, laws::sampling(), {}), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("data row 11 has no tokens") != std::string::npos;
  });
  prompts[1].text = std::string(190, 'x');
  BOOST_CHECK_EXCEPTION(policy.generate(prompts, laws::sampling(2, 11), {}), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("data row 11 has 190 tokens and max_completion_length is 11") !=
           std::string::npos;
  });
  BOOST_CHECK_THROW(policy.check_prompts(prompts, laws::sampling(2, 11)), BadArgument);
  BOOST_CHECK_THROW(policy.check_prompts(texts({"fine", ""}), laws::sampling()), BadArgument);
  BOOST_CHECK_NO_THROW(policy.check_prompts(prompts, laws::sampling(2, 10)));
  BOOST_CHECK_NO_THROW(policy.generate(prompts, laws::sampling(2, 10), {}));
  BOOST_CHECK_THROW(Small<float>(small_model<float>(), SmallTokenizer{.size = 41}), BadArgument);
  BOOST_CHECK_THROW(policy.backward(std::span<const float>(), {}), BadArgument);
  small_policy<float>().visit([](auto p) { BOOST_TEST(p.gradients.empty()); });
  // a diverged model is a data error that names the row
  policy.visit([](auto p) { p.values[0] = std::nanf(""); });
  BOOST_CHECK_THROW(policy.generate(prompts, laws::sampling(2, 10), {}), BadData);
}

BOOST_AUTO_TEST_CASE(supervised_steps_learn_a_text) {
  // d loss / d log-prob = -1/n is supervised learning; plain gradient descent must bring the loss down.
  Small<float> policy = small_policy<float>();
  Rollouts r;
  r.prompts = texts({"ab"});
  r.groups = Groups::uniform(1, 1);
  r.prompt_tokens.push_row(policy.encode_prompt("ab"));
  const std::vector<std::int32_t> response{1, 2, 3, 39};
  r.tokens.push_row(response);
  std::vector<float> log_probs(4);
  const std::vector<float> d(4, -0.25f);
  const auto loss = [&] { return -0.25f * (log_probs[0] + log_probs[1] + log_probs[2] + log_probs[3]); };
  policy.forward(r, {0, 1}, log_probs, {});
  const float before = loss();
  for (int step = 0; step < 30; ++step) {
    policy.zero_gradients();
    policy.forward(r, {0, 1}, log_probs, {});
    policy.backward(d, {});
    policy.visit([](auto p) {
      for (std::size_t i = 0; i < p.values.size(); ++i) p.values[i] -= 0.05f * p.gradients[i];
    });
  }
  policy.forward(r, {0, 1}, log_probs, {});
  BOOST_TEST(loss() < 0.2f * before);
}

BOOST_AUTO_TEST_SUITE_END()
