// This program includes maestro/tokenizers.hpp nowhere; tests/text/bpe_load_policy_test.cpp is in one that does.
#include "maestro/hub/load_policy.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "io/scratch.hpp"
#include "io/small_config.hpp"
#include "maestro/policy/policy.hpp"

using namespace maestro;
using maestro_test::refusal;
using maestro_test::Scratch;
using maestro_test::small_config;

static_assert(Policy<decltype(load_policy(""))>);
static_assert(std::is_same_v<decltype(load_policy("", {.chat = ChatFormat{}})),
                             TransformerPolicy<float, NativeBackend, AnyTokenizer>>);
static_assert(std::is_same_v<decltype(load_policy("", {.lora = {.rank = 2}})),
                             TransformerPolicy<float, NativeBackend, AnyTokenizer, LoraModel<float>>>);
static_assert(std::is_same_v<decltype(load_policy("", {.adapter = "runs"})),
                             TransformerPolicy<float, NativeBackend, AnyTokenizer, LoraModel<float>>>);

BOOST_AUTO_TEST_SUITE(load_policies)

namespace {

/// A folder of a small model that transformers could have written, its weights.
ModelWeights<float> save(const std::string& folder, Architecture architecture) {
  ModelConfig config = small_config(architecture);
  config.end_tokens = {256};
  ModelWeights<float> weights(config);
  weights.initialize(7);
  save_model(folder, weights, ByteTokenizer());
  return weights;
}

const std::vector<Prompt>& prompts() {
  static const std::vector<Prompt> all = [] {
    std::vector<Prompt> made(2);
    made[0].text = "one \xc3\xa9";
    made[1].text = "another";
    made[1].row = 1;
    return made;
  }();
  return all;
}

template <class P>
Rollouts draw(P& policy) {
  return policy.generate(prompts(), {.num_generations = 3, .max_completion_length = 9}, {.seed = 4});
}

void check_same(const Rollouts& a, const Rollouts& b) {
  BOOST_TEST(a.texts == b.texts, boost::test_tools::per_element());
  BOOST_TEST((a.prompt_tokens == b.prompt_tokens));
  BOOST_TEST((a.tokens == b.tokens));
  BOOST_TEST(std::ranges::equal(a.log_probs, b.log_probs));
  BOOST_TEST(std::ranges::equal(a.hidden.flat(), b.hidden.flat()));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_folder_gives_the_bits_of_its_parts) {
  const Scratch scratch;
  for (const Architecture architecture : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    const std::string folder = scratch.path("model");
    const ModelWeights<float> weights = save(folder, architecture);
    auto policy = load_policy(folder);
    TransformerPolicy<float, NativeBackend, ByteTokenizer> parts(weights, ByteTokenizer());
    BOOST_TEST((policy.config() == weights.config()));
    check_same(draw(policy), draw(parts));
  }
}

BOOST_AUTO_TEST_CASE(adapters_begin_anew_or_come_from_a_folder) {
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  save(folder, Architecture::qwen3);
  const LoraOptions lora{.rank = 3, .targets = {LoraTarget::query, LoraTarget::down}};
  auto fresh = load_policy(folder, {.lora = lora, .seed = 11});
  BOOST_TEST((fresh.weights().factors().options() == lora));
  const LoraModel<float> wanted(load_frozen<float>(folder), lora, 11);
  BOOST_TEST(std::ranges::equal(fresh.weights().factors().adapter(1, LoraTarget::down).a.row(2),
                                wanted.factors().adapter(1, LoraTarget::down).a.row(2)));

  fresh.weights().visit([](auto view) { std::ranges::fill(view.values, 0.05f); });
  save_adapters(scratch.path("adapter"), fresh.weights().factors(), folder);
  auto again = load_policy(folder, {.adapter = scratch.path("adapter")});
  check_same(draw(again), draw(fresh));

  auto base = load_policy(folder, {.adapter = ""});
  BOOST_TEST(base.weights().parameters() == 0u);
  auto full = load_policy(folder);
  check_same(draw(base), draw(full));
  BOOST_TEST(!std::ranges::equal(draw(again).log_probs, draw(base).log_probs));
  BOOST_CHECK_THROW(load_policy(folder, {.lora = {.rank = 0}}), BadArgument);
}

BOOST_AUTO_TEST_CASE(chat_format_prompt_start_and_stop_tokens_are_the_folders) {
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  save(folder, Architecture::llama);
  BOOST_TEST((load_policy_parts(folder).options.chat.kind == ChatKind::none));
  BOOST_TEST((load_policy_parts(folder).options.prompt_start == PromptStart::text));
  write_file(folder + "/generation_config.json", R"({"eos_token_id": [257, 10]})");
  write_file(folder + "/chat_template.jinja",
             "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + "
             "'<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}"
             "{% endif %}");
  const FolderPolicyParts parts = load_policy_parts(folder);
  BOOST_TEST((parts.options.chat.kind == ChatKind::own));
  BOOST_TEST(parts.config.end_tokens == (std::vector<std::int32_t>{256, 257, 10}), boost::test_tools::per_element());
  const auto policy = load_policy(folder);
  BOOST_TEST(policy.encode_prompt(prompts()[1]).front() == 257);
  const auto plain = load_policy(folder, {.chat = ChatFormat{}});
  BOOST_TEST(plain.encode_prompt(prompts()[1]).front() == 'a');
  BOOST_CHECK_THROW(load_policy(folder, {.prompt_start = PromptStart::begin_token}), BadArgument);  // has none

  // What is saved again has the folder's own files.
  save_model(scratch.path("copy"), policy.weights(), policy.tokenizer());
  BOOST_TEST(read_file(scratch.path("copy/chat_template.jinja")) == read_file(folder + "/chat_template.jinja"));
  BOOST_TEST(read_file(scratch.path("copy/tokenizer.json")) == read_file(folder + "/tokenizer.json"));
}

BOOST_AUTO_TEST_CASE(a_tokenizer_that_was_not_read_is_written_anew_or_refused) {
  const Scratch scratch;
  write_tokenizer_files(scratch.path("."), AnyTokenizer(ByteTokenizer({.vocabulary = 300, .end = "<|im_end|>"})));
  const AnyTokenizer read = load_any_tokenizer(scratch.path("."));
  BOOST_TEST(read.vocabulary_size() == 300u);
  BOOST_TEST(read.end_token() == 258);
  write_file(scratch.path("tokenizer_config.json"), "{}");
  BOOST_TEST(load_any_tokenizer(scratch.path(".")).end_token() == 256);
  BOOST_TEST(load_any_tokenizer(scratch.path("."), std::vector<std::int32_t>{257, 256}).end_token() == 257);
  BOOST_TEST(load_any_tokenizer(scratch.path("."), std::vector<std::int32_t>{10}).end_token() == 256);
  // A tokenizer of another type, without files.
  BOOST_TEST(refusal<BadArgument>([&] { detail::write_files_as_read(scratch.path("."), {}); }).find("not read from") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(byte_level_bpe_is_refused_without_its_header) {
  BOOST_REQUIRE(detail::bpe_tokenizer_reader == nullptr);
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  save(folder, Architecture::qwen2);
  write_file(folder + "/tokenizer.json", read_file(MAESTRO_TEST_FIXTURES "/text/qwen2.json"));
  const std::string message = refusal<Unsupported>([&] { load_policy(folder); });
  BOOST_TEST(message.starts_with(folder + "/tokenizer.json: "), message);
  BOOST_TEST(message.find("<maestro/tokenizers.hpp>") != std::string::npos, message);
  BOOST_TEST(message.find("maestro::tokenizers") != std::string::npos, message);
}

BOOST_AUTO_TEST_SUITE_END()
