#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/policy/prompt_tokens.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "policy/laws.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(prompt_tokens)

namespace {

/// A ByteTokenizer that counts what it encodes.
struct CountingTokenizer {
  ByteTokenizer bytes;
  std::shared_ptr<int> encoded = std::make_shared<int>(0);

  std::size_t vocabulary_size() const { return bytes.vocabulary_size(); }
  std::int32_t end_token() const { return bytes.end_token(); }
  std::vector<std::int32_t> encode(std::string_view text) const {
    ++*encoded;
    return bytes.encode(text);
  }
  std::string decode(std::span<const std::int32_t> tokens) const { return bytes.decode(tokens); }
};

std::vector<Prompt> two_prompts() {
  std::vector<Prompt> prompts(2);
  prompts[0].text = "one";
  prompts[1].text = "two and more";
  prompts[1].row = 1;
  return prompts;
}

}  // namespace

BOOST_AUTO_TEST_CASE(checks_steps_and_copies_encode_a_prompt_once) {
  const CountingTokenizer tokenizer;
  ModelWeights<float> weights(qwen3_config(272, 8, 1, 2, 1, 4, 12));
  weights.initialize(3);
  TransformerPolicy<float, NativeBackend, CountingTokenizer> policy(weights, tokenizer);
  const std::vector<Prompt> prompts = two_prompts();
  policy.check_prompts(prompts, laws::sampling());
  policy.check_prompts(prompts, laws::sampling());
  const Rollouts rollouts = policy.generate(prompts, laws::sampling(), {});
  auto copy = policy;
  BOOST_TEST(copy.encode_prompt(prompts[1]) == tokenizer.bytes.encode("two and more"),
             boost::test_tools::per_element());
  BOOST_TEST((copy.generate(prompts, laws::sampling(), {}).prompt_tokens == rollouts.prompt_tokens));
  BOOST_TEST(*tokenizer.encoded == 2);
}

BOOST_AUTO_TEST_CASE(another_prompt_of_the_same_row_is_encoded_anew) {
  PromptTokens memory;
  int encoded = 0;
  const auto encode = [&](const Prompt& prompt) {
    ++encoded;
    return std::vector<std::int32_t>{static_cast<std::int32_t>(prompt.text.size() + prompt.messages.size())};
  };
  Prompt prompt = two_prompts()[1];
  BOOST_TEST(memory.get(prompt, encode).front() == 12);
  prompt.messages = {{"user", "two and more"}};
  BOOST_TEST(memory.get(prompt, encode).front() == 13);
  prompt.messages[0].content = "else";
  BOOST_TEST(memory.get(prompt, encode).front() == 13);
  BOOST_TEST(memory.get(prompt, encode).front() == 13);
  prompt.text = "two";
  BOOST_TEST(memory.get(prompt, encode).front() == 4);
  BOOST_TEST(encoded == 4);
}

BOOST_AUTO_TEST_CASE(memory_is_bounded_and_errors_pass) {
  PromptTokens memory;
  int encoded = 0;
  const auto encode = [&](const Prompt&) {
    ++encoded;
    return std::vector<std::int32_t>{1};
  };
  std::vector<Prompt> prompts = two_prompts();
  for (Prompt& prompt : prompts) prompt.text.assign(PromptTokens::max_bytes * 2 / 3, 'x');
  for (int times = 0; times < 3; ++times) {
    for (const Prompt& prompt : prompts) memory.get(prompt, encode);
  }
  BOOST_TEST(encoded == 1 + 3);  // there is room for the first only
  prompts[0].text = "short";
  memory.get(prompts[0], encode);  // makes room
  memory.get(prompts[1], encode);
  memory.get(prompts[1], encode);
  BOOST_TEST(encoded == 1 + 3 + 2);
  Prompt bad;
  bad.row = 7;
  const auto refuse = [](const Prompt&) -> std::vector<std::int32_t> { throw BadArgument("no"); };
  BOOST_CHECK_THROW(memory.get(bad, refuse), BadArgument);
  BOOST_TEST(memory.get(bad, encode).size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
