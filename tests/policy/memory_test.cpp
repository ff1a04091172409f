#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "maestro/gemm/gemm.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/policy/demonstrations.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "policy/allocation_counter.hpp"

BOOST_AUTO_TEST_SUITE(memory)

// 600 response tokens x 151,936 logits would be 365 MB; the stated bound for everything beside weights and gradients
// (activations, packing, the head's 4 MiB) is 16 MiB at this size.
BOOST_AUTO_TEST_CASE(a_training_step_at_a_large_vocabulary_stays_small) {
  using namespace maestro;
  constexpr std::size_t vocabulary = 151936;
  const ByteTokenizer tokenizer({.vocabulary = vocabulary});
  ModelWeights<float> weights(qwen3_config(vocabulary, 16, 1, 2, 1, 8, 32));
  weights.initialize(1);
  TransformerPolicy<float, NativeBackend, ByteTokenizer> policy(std::move(weights), tokenizer);
  policy.zero_gradients();
  const std::vector<Demonstration> pairs(4, {"What is said?", std::string(149, 'x')});
  const Rollouts rollouts = demonstrations(std::span<const Demonstration>(pairs), tokenizer);
  const std::size_t tokens = rollouts.tokens.size();
  BOOST_REQUIRE(tokens == 600u);
  std::vector<float> log_probs(tokens);
  std::vector<float> entropies(tokens);
  const std::vector<float> gradient(tokens, -1.0f / 600.0f);

  const std::size_t held = allocation::held();
  allocation::reset_peak();
  policy.forward(rollouts, {0, 4}, log_probs, entropies);
  policy.backward(gradient, gradient);
  const std::size_t used = allocation::peak() - held;
  BOOST_TEST_MESSAGE("training step at V = 151936: " << used << " bytes beside weights and gradients");
  BOOST_TEST(used < std::size_t{16} << 20);
}

BOOST_AUTO_TEST_SUITE_END()
