#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "maestro/gemm/native.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/model/classifier.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/reward_set.hpp"
#include "reward/rollouts_fixture.hpp"
#include "text/llama_bytes.hpp"

BOOST_AUTO_TEST_SUITE(chat_reward)

namespace {

using namespace maestro;
using test::LlamaBytes;
using test::make_rollouts;

using Model = RewardModel<float, NativeBackend, LlamaBytes>;

std::string folder_of(const std::string& name) { return std::string(MAESTRO_TEST_FIXTURES) + "/reward/" + name; }

Model load(const std::string& name, ChatFormat chat, std::size_t micro_batch_tokens = 16384) {
  ClassifierWeights<float> weights = load_classifier<float>(folder_of(name));
  return Model(std::move(weights.backbone), std::move(weights.score), LlamaBytes{},
               {.micro_batch_tokens = micro_batch_tokens,
                .chat = std::move(chat),
                .pad_token = classifier_pad_token(folder_of(name))});
}

Json scores_of(const std::string& name) {
  const std::string path = folder_of(name) + "/scores.json";
  return parse_json(read_file(path, 1 << 20), path);
}

Prompt prompt_of(const Json& messages) {
  Prompt prompt;
  for (const Json& m : messages) {
    prompt.messages.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
  }
  prompt.text = prompt.messages.back().content;
  return prompt;
}

/// The conversations of a fixture as rollouts: one group for each prompt.
Rollouts rollouts_of(const Json& chats, std::vector<double>& wanted) {
  std::vector<std::pair<Prompt, std::vector<test::Response>>> groups;
  for (const Json& chat : chats) {
    const Prompt prompt = prompt_of(chat["messages"]);
    if (groups.empty() || groups.back().first.messages != prompt.messages) groups.push_back({prompt, {}});
    groups.back().second.push_back({chat["response"].get<std::string>()});
    wanted.push_back(chat["score"].get<double>());
  }
  return make_rollouts(std::move(groups));
}

/// The largest difference, relative to the largest value.
double gap(const std::vector<float>& got, const std::vector<double>& wanted) {
  double largest = 0.0;
  double difference = 0.0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    largest = std::max(largest, std::abs(wanted[i]));
    difference = std::max(difference, std::abs(static_cast<double>(got[i]) - wanted[i]));
  }
  return difference / largest;
}

const std::vector<std::pair<std::string, ChatKind>> models{{"chat_qwen3", ChatKind::qwen3},
                                                           {"chat_llama", ChatKind::llama3_1}};

BOOST_AUTO_TEST_CASE(token_scores_agree_with_transformers) {
  for (const auto& [name, kind] : models) {
    Model model = load(name, {.kind = kind});
    const Json ids = scores_of(name)["ids"];
    RewardModelBatch batch;
    std::vector<double> wanted;
    for (const Json& row : ids) {
      const auto tokens = row["tokens"].get<std::vector<std::int32_t>>();
      batch.prompts.push_row(std::span(tokens).first(1));
      batch.responses.push_row(std::span(tokens).subspan(1));
      batch.sizes.push_back(1);
      wanted.push_back(row["score"].get<double>());
    }
    std::vector<float> scores(wanted.size());
    model.forward(batch, scores);
    BOOST_TEST(wanted.size() == 4u);
    BOOST_TEST(gap(scores, wanted) < 1e-5, name);
  }
}

BOOST_AUTO_TEST_CASE(conversation_scores_agree_with_transformers) {
  for (const auto& [name, kind] : models) {
    std::vector<double> wanted;
    const Rollouts rollouts = rollouts_of(scores_of(name)["chats"], wanted);
    BOOST_TEST(rollouts.groups.count() == 2u);
    BOOST_TEST(rollouts.size() == 8u);
    std::vector<float> scores(rollouts.size());
    load(name, {.kind = kind}).score(rollouts, scores);
    BOOST_TEST(gap(scores, wanted) < 1e-5, name);
    std::vector<float> apart(rollouts.size());
    load(name, {.kind = kind}, 1).score(rollouts, apart);
    BOOST_TEST(gap(apart, wanted) < 1e-5, name);
    BOOST_TEST(std::set<float>(scores.begin(), scores.end()).size() == 8u);
  }
}

BOOST_AUTO_TEST_CASE(a_prompt_and_its_answers_have_the_tokens_of_the_whole_conversation) {
  const LlamaBytes tokenizer;
  for (const auto& [name, kind] : models) {
    const ChatFormat chat{.kind = kind};
    const Model model = load(name, chat);
    for (const Json& row : scores_of(name)["chats"]) {
      const Prompt prompt = prompt_of(row["messages"]);
      RewardModelBatch batch;
      model.push_prompt(batch, prompt);
      model.push_response(batch, row["response"].get<std::string>());
      std::vector<std::int32_t> tokens(batch.prompts.row(0).begin(), batch.prompts.row(0).end());
      tokens.insert(tokens.end(), batch.responses.row(0).begin(), batch.responses.row(0).end());
      std::vector<Message> messages = prompt.messages;
      messages.push_back({"assistant", row["response"].get<std::string>()});
      std::vector<std::int32_t> whole = encode_chat(tokenizer, chat, messages, GenerationPrompt::omit);
      BOOST_TEST(whole.size() == row["tokens"].get<std::size_t>());
      if (kind == ChatKind::llama3_1) whole.pop_back();  // its padding token is <|eot_id|>
      BOOST_TEST(tokens == whole, boost::test_tools::per_element());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_text_is_the_only_message_of_a_user) {
  const Model model = load("chat_qwen3", {.kind = ChatKind::qwen3});
  RewardModelBatch text;
  model.push_prompt(text, "Hi");
  model.push_response(text, "Ho", Finish::length);
  Prompt prompt;
  prompt.messages = {{"user", "Hi"}};
  RewardModelBatch messages;
  model.push_prompt(messages, prompt);
  model.push_response(messages, "Ho");
  BOOST_TEST(text.prompts.row(0) == messages.prompts.row(0), boost::test_tools::per_element());
  BOOST_TEST(text.responses.row(0) == messages.responses.row(0), boost::test_tools::per_element());
  const LlamaBytes tokenizer;
  BOOST_TEST(tokenizer.spelled(text.prompts.row(0)) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>");
  BOOST_TEST(tokenizer.spelled(text.responses.row(0)) == "assistant\n<think>\n\n</think>\n\nHo<|im_end|>\n");
}

BOOST_AUTO_TEST_CASE(checks_before_a_run_count_the_rendered_conversation) {
  for (const auto& [name, kind] : models) {
    const Model model = load(name, {.kind = kind});
    const RewardSet rewards{Preference{model}};
    std::vector<double> wanted;
    Rollouts rollouts = rollouts_of(scores_of(name)["chats"], wanted);
    const std::vector<Prompt> prompts{rollouts.prompts[1]};
    std::size_t longest = 0;
    for (std::size_t letters = 1; letters < 512; ++letters) {
      try {
        rewards.check_prompts(prompts, {.max_completion_length = letters});
        longest = letters;
      } catch (const BadArgument&) {
        break;
      }
    }
    BOOST_TEST(longest > 100u);
    const auto evaluate = [&](std::size_t letters) {
      Matrix<float> out(1, 1);
      rewards.evaluate(make_rollouts({{prompts[0], {{std::string(letters, 'x'), {}, Finish::length}}}}), out);
    };
    BOOST_CHECK_NO_THROW(evaluate(longest));
    BOOST_CHECK_THROW(evaluate(longest + 1), BadData);
  }
}

BOOST_AUTO_TEST_CASE(a_chat_format_needs_a_tokenizer_that_has_its_tokens) {
  ClassifierWeights<float> weights = load_classifier<float>(folder_of("chat_qwen3"));
  using Bytes = RewardModel<float, NativeBackend, ByteTokenizer>;
  BOOST_CHECK_THROW(Bytes(weights.backbone, weights.score, ByteTokenizer{}, {.chat = {.kind = ChatKind::llama3_1}}),
                    BadArgument);
  BOOST_CHECK_NO_THROW(Bytes(weights.backbone, weights.score, ByteTokenizer{}, {.chat = {.kind = ChatKind::qwen3}}));
  BOOST_TEST(classifier_pad_token(folder_of("classifier")) == -1);
  BOOST_TEST(classifier_pad_token(folder_of("chat_llama")) == 275);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
