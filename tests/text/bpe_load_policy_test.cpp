// Other translation units of this program include maestro/tokenizers.hpp, this one does not: what one of them includes
// is known to all.

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/load_policy.hpp"

using namespace maestro;
using maestro_test::Scratch;

BOOST_AUTO_TEST_SUITE(bpe_load_policy)

BOOST_AUTO_TEST_CASE(a_folder_with_byte_level_bpe_is_a_policy) {
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  const std::string text = read_file(MAESTRO_TEST_FIXTURES "/text/qwen2.json");
  ModelConfig config = qwen3_config(4096, 8, 1, 2, 1, 4, 12);
  ModelWeights<float> weights(config);
  weights.initialize(7);
  save_model(folder, weights, ByteTokenizer());
  write_file(folder + "/tokenizer.json", text);
  write_file(folder + "/tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");

  auto policy = load_policy(folder, {.chat = ChatFormat{.kind = ChatKind::chatml}});
  const AnyTokenizer& tokenizer = policy.tokenizer();
  BOOST_TEST(tokenizer.get_if<ByteTokenizer>() == nullptr);
  BOOST_TEST(tokenizer.end_token() == tokenizer.special("<|im_end|>"));
  BOOST_TEST(tokenizer.encode("the the").size() < 7u);  // merged
  BOOST_TEST(tokenizer.decode(tokenizer.encode("caf\xc3\xa9")) == "caf\xc3\xa9");
  std::vector<Prompt> prompts(1);
  prompts[0].text = "Hello";
  const Rollouts rollouts = policy.generate(prompts, {.num_generations = 2, .max_completion_length = 3}, {});
  BOOST_TEST(rollouts.prompt_tokens.row(0).front() == tokenizer.special("<|im_start|>"));

  save_model(scratch.path("copy"), policy.weights(), tokenizer);
  BOOST_TEST(read_file(scratch.path("copy/tokenizer.json")) == text);
}

BOOST_AUTO_TEST_CASE(prompts_begin_as_the_tokenizers_post_processor_says_whatever_the_model_does) {
  const Scratch scratch;
  const auto start = [&](std::int32_t begin_token) {
    ModelConfig config = qwen3_config(4096, 8, 1, 2, 1, 4, 12);
    config.begin_token = begin_token;
    config.end_tokens = {806};  // <|end_of_text|>: the folder names no eos_token
    save_model(scratch.path("model"), ModelWeights<float>(config), ByteTokenizer());
    write_file(scratch.path("model/tokenizer.json"), read_file(MAESTRO_TEST_FIXTURES "/text/llama3.json"));
    write_file(scratch.path("model/tokenizer_config.json"), "{}");
    const FolderPolicyParts parts = load_policy_parts(scratch.path("model"));
    BOOST_TEST(parts.tokenizer.end_token() == 806);
    BOOST_TEST((parts.options.prompt_start == PromptStart::begin_token));
    const std::string text = "x";
    return encode_prompt(parts.tokenizer, parts.config, parts.options, std::string_view(text)).front();
  };
  BOOST_TEST(start(805) == 805);
  BOOST_TEST(start(3) == 805);
  BOOST_TEST(start(-1) == 805);
}

// The vocabulary of qwen2.json ends with special tokens: a model that ends before the last of them loses only that one.
BOOST_AUTO_TEST_CASE(special_tokens_beyond_the_model_are_no_obstacle_until_they_are_used) {
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  write_tokenizer_files(scratch.path("."), ByteTokenizer());
  const std::string text = read_file(MAESTRO_TEST_FIXTURES "/text/qwen2.json");
  write_file(scratch.path("tokenizer.json"), text);
  write_file(scratch.path("tokenizer_config.json"), R"({"eos_token": "<|im_end|>"})");
  Json json = Json::parse(text);
  const std::size_t size = load_any_tokenizer(scratch.path(".")).vocabulary_size();
  Json more = json["added_tokens"].back();
  more["id"] = size;
  more["content"] = "[PAD]";
  json["added_tokens"].push_back(more);
  json["truncation"] = {{"max_length", 2}};
  const auto policy = [&](bool special) {
    json["added_tokens"].back()["special"] = special;
    save_model(folder, ModelWeights<float>(qwen3_config(size, 8, 1, 2, 1, 4, 12)), ByteTokenizer());
    write_file(folder + "/tokenizer.json", json.dump());
    write_file(folder + "/tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
    return load_policy(folder, {.chat = ChatFormat{.kind = ChatKind::chatml}});
  };
  auto made = policy(true);
  BOOST_TEST(made.tokenizer().vocabulary_size() == size + 1);
  BOOST_TEST(made.tokenizer().text_vocabulary_size() < size + 1);
  BOOST_TEST(made.encode_prompt("[PAD]").size() > 1u);
  save_model(scratch.path("copy"), made.weights(), made.tokenizer());
  BOOST_CHECK_THROW(policy(false), BadArgument);
}

// What a response holds reaches rewards, tags that are special tokens too; the stop token and padding do not.
BOOST_AUTO_TEST_CASE(special_tokens_are_text_of_a_response) {
  const Scratch scratch;
  const std::string folder = scratch.path("model");
  ModelConfig config = qwen3_config(4096, 8, 1, 2, 1, 4, 12);
  config.pad_token = 4000;
  save_model(folder, ModelWeights<float>(config), ByteTokenizer());
  Json json = Json::parse(read_file(MAESTRO_TEST_FIXTURES "/text/qwen2.json"));
  write_file(folder + "/tokenizer.json", json.dump());
  write_file(folder + "/tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  const AnyTokenizer tokenizer = load_any_tokenizer(folder);
  const std::vector<std::int32_t> tokens{tokenizer.special("<|im_start|>"), tokenizer.encode("a").front(),
                                         tokenizer.special("<|endoftext|>")};
  BOOST_TEST(tokenizer.decode(tokens) == "a");
  BOOST_TEST(tokenizer.decode_with_special(tokens) == "<|im_start|>a<|endoftext|>");
}

// The byte-level tokenizer is one with or without the reader of the others.
BOOST_AUTO_TEST_CASE(a_byte_level_folder_keeps_its_tokenizer) {
  const Scratch scratch;
  write_tokenizer_files(scratch.path("."), ByteTokenizer());
  BOOST_TEST(load_any_tokenizer(scratch.path(".")).get_if<ByteTokenizer>() != nullptr);
}

BOOST_AUTO_TEST_SUITE_END()
