#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "maestro/gemm/native.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/proxy_scorer.hpp"
#include "policy/laws.hpp"
#include "text/llama_bytes.hpp"

BOOST_AUTO_TEST_SUITE(chat_prompt)

namespace {

using namespace maestro;
using test::LlamaBytes;

using ChatPolicy = TransformerPolicy<float, NativeBackend, LlamaBytes>;

ModelWeights<float> tiny_model(std::int32_t begin_token = -1) {
  ModelConfig config = qwen3_config(276, 8, 1, 2, 1, 4, 12);
  config.max_positions = 300;
  config.begin_token = begin_token;
  ModelWeights<float> weights(config);
  weights.initialize(3);
  return weights;
}

ChatPolicy policy_of(const TransformerPolicyOptions& options, std::int32_t begin_token = -1) {
  return ChatPolicy(tiny_model(begin_token), LlamaBytes{}, options);
}

Prompt conversation() {
  Prompt prompt;
  prompt.row = 5;
  prompt.text = "Bye";
  prompt.messages = {{"system", "S"}, {"user", "Hi"}, {"assistant", "<think>\nx\n</think>\n\nHo"}, {"user", "Bye"}};
  return prompt;
}

BOOST_AUTO_TEST_CASE(a_prompt_is_rendered_in_the_chat_format) {
  const LlamaBytes bytes;
  Prompt text;
  text.text = "2 + 2?";
  const ChatPolicy plain = policy_of({});
  BOOST_TEST(plain.encode_prompt(text) == bytes.encode("2 + 2?"), boost::test_tools::per_element());
  const ChatPolicy chat = policy_of({.chat = {.kind = ChatKind::qwen3, .thinking = Thinking::off}});
  BOOST_TEST(bytes.spelled(chat.encode_prompt(text)) ==
             "<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
  BOOST_TEST(bytes.spelled(chat.encode_prompt(conversation())) ==
             "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHo<|im_end|>\n"
             "<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
}

BOOST_AUTO_TEST_CASE(the_chat_format_alone_decides_about_the_begin_token) {
  const LlamaBytes bytes;
  const auto begins = [&](ChatKind kind, PromptStart start) {
    const ChatPolicy policy = policy_of({.prompt_start = start, .chat = {.kind = kind}}, 272);
    const std::vector<std::int32_t> tokens = policy.encode_prompt(conversation());
    return std::count(tokens.begin(), tokens.end(), 272);
  };
  BOOST_TEST(begins(ChatKind::llama3, PromptStart::begin_token) == 1);
  BOOST_TEST(begins(ChatKind::llama3, PromptStart::text) == 1);
  BOOST_TEST(begins(ChatKind::chatml, PromptStart::begin_token) == 0);
  BOOST_TEST(begins(ChatKind::chatml, PromptStart::text) == 0);
}

BOOST_AUTO_TEST_CASE(a_response_ends_with_its_turn) {
  ChatPolicy policy = policy_of({.chat = {.kind = ChatKind::chatml}});
  // A head that always prefers <|im_end|>, which is not this tokenizer's end token (275).
  policy.visit([](auto p) {
    for (float& value : p.values) value = p.name.find("norm") != std::string_view::npos ? 1.0f : 0.0f;
    if (p.name.find("embed") == std::string_view::npos) return;
    for (std::size_t row = 0; row < 276; ++row) p.values[row * 8] = row == 258 ? 50.0f : 1.0f;
  });
  const std::vector<Prompt> prompts{conversation()};
  const Rollouts rollouts = policy.generate(prompts, {.num_generations = 2, .max_completion_length = 6}, {});
  for (std::size_t i = 0; i < rollouts.size(); ++i) {
    BOOST_TEST((rollouts.finish[i] == Finish::stop));
    BOOST_TEST(rollouts.tokens.row(i).back() == 258);
    BOOST_TEST(rollouts.texts[i].empty());
  }
  BOOST_TEST(rollouts.prompt_tokens.row(0).size() == policy.encode_prompt(conversation()).size());
}

BOOST_AUTO_TEST_CASE(checks_before_a_run_count_the_rendered_prompt) {
  const ChatPolicy policy = policy_of({.chat = {.kind = ChatKind::qwen2_5}});
  const std::vector<Prompt> prompts{conversation()};
  const std::size_t tokens = policy.encode_prompt(prompts[0]).size();
  Sampling sampling{.num_generations = 2, .max_completion_length = 300 - tokens};
  BOOST_CHECK_NO_THROW(policy.check_prompts(prompts, sampling));
  ++sampling.max_completion_length;
  BOOST_CHECK_THROW(policy.check_prompts(prompts, sampling), BadArgument);

  std::vector<Prompt> scored = prompts;
  scored[0].reference = "four";
  const Perplexity<ProxyScorer<ChatPolicy>> perplexity{ProxyScorer<ChatPolicy>(policy)};
  sampling.max_completion_length = 300 - tokens - 4;
  BOOST_CHECK_NO_THROW(perplexity.check_prompts(scored, sampling));
  ++sampling.max_completion_length;
  BOOST_CHECK_THROW(perplexity.check_prompts(scored, sampling), BadArgument);
}

/// Knows no special tokens.
struct Plain {
  LlamaBytes bytes{};
  std::vector<std::int32_t> encode(std::string_view text) const { return bytes.encode(text); }
  std::string decode(std::span<const std::int32_t> tokens) const { return bytes.decode(tokens); }
  std::size_t vocabulary_size() const { return 276; }
  std::int32_t end_token() const { return 275; }
};

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const ChatPolicy plain = policy_of({});
  BOOST_CHECK_EXCEPTION(plain.encode_prompt(conversation()), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("data row 5 has 4 messages") != std::string::npos;
  });
  Prompt single;
  single.text = "x";
  single.messages = {{"user", "x"}};
  BOOST_TEST(plain.encode_prompt(single).size() == 1u);
  const auto without_special = [](ChatKind kind) {
    return TransformerPolicy<float, NativeBackend, Plain>(tiny_model(), Plain{}, {.chat = {.kind = kind}});
  };
  BOOST_CHECK_NO_THROW(without_special(ChatKind::none));
  BOOST_CHECK_THROW(without_special(ChatKind::chatml), BadArgument);
  using Bytes = TransformerPolicy<float, NativeBackend, ByteTokenizer>;
  BOOST_CHECK_THROW(Bytes(tiny_model(), ByteTokenizer{}, {.chat = {.kind = ChatKind::llama3}}), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
