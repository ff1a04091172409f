#include "maestro/hub/gguf_tokenizer.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/classifier_files.hpp"
#include "maestro/hub/load_policy.hpp"
#include "text/bpe_fixtures.hpp"

// The tokenizers of tests/fixtures/text, as tests/fixtures/gguf/make_gguf.py writes them into GGUF files.
BOOST_AUTO_TEST_SUITE(bpe_gguf)

using namespace maestro;
using maestro_test::Ids;
using maestro_test::refusal;
using maestro_test::Scratch;

BOOST_AUTO_TEST_CASE(a_gguf_file_has_the_tokenizer_of_its_checkpoint) {
  const Json corpus = maestro_test::read_fixture("corpus.json")["texts"];
  for (const std::string name : {"smollm2", "qwen2", "llama3", "llama2"}) {
    const GgufFile file(std::string(MAESTRO_TEST_FIXTURES) + "/gguf/" + name + "_tokenizer.gguf");
    const BpeTokenizer tokenizer = load_gguf_tokenizer(file);
    const BpeTokenizer wanted = maestro_test::fixture_tokenizer(name);
    BOOST_TEST(tokenizer.end_token() == wanted.end_token());
    BOOST_TEST((tokenizer.begin_token() == wanted.begin_token()), name);
    BOOST_TEST(tokenizer.vocabulary_size() == wanted.vocabulary_size());
    BOOST_TEST(tokenizer.files().at("chat_template.jinja") == "{{ messages }}");
    for (const Json& text : corpus) {
      const Ids ids = tokenizer.encode_with_special(text.get<std::string>());
      BOOST_TEST(ids == wanted.encode_with_special(text.get<std::string>()), boost::test_tools::per_element());
      BOOST_TEST(tokenizer.decode(ids) == wanted.decode(ids));
    }
  }
}

BOOST_AUTO_TEST_CASE(other_tokenizers_are_refused_by_name) {
  const std::string good = read_file(MAESTRO_TEST_FIXTURES "/gguf/smollm2_tokenizer.gguf");
  const auto says = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    try {
      load_gguf_tokenizer(GgufFile(std::as_bytes(std::span(text.data(), text.size())), "g"));
    } catch (const Unsupported& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  BOOST_TEST(says("gpt2", "bert").find("\"bert\"; only \"gpt2\"") != std::string::npos);
  BOOST_TEST(says("smollm", "smelly").find("tokenizer.ggml.pre is \"smelly\"") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_gguf_file_is_a_whole_policy) {
  const std::string path = MAESTRO_TEST_FIXTURES "/gguf/whole.gguf";
  BOOST_TEST(is_gguf(path));
  BOOST_TEST(is_gguf("no/such/file.gguf"));  // and opening it says that it is not there
  BOOST_TEST(!is_gguf(MAESTRO_TEST_FIXTURES "/gguf"));
  auto policy = load_policy(path);
  const ModelWeights<float> wanted = load_gguf<float>(path);
  BOOST_TEST(std::equal(policy.weights().flat().begin(), policy.weights().flat().end(), wanted.flat().begin()));
  Prompt prompt;
  prompt.messages = {{"user", "Hello"}};
  const Ids asked = policy.encode_prompt(prompt);
  const BpeTokenizer tokenizer = maestro_test::fixture_tokenizer("llama2");
  BOOST_TEST(asked == tokenizer.encode_with_special("<s>[user] Hello</s>[assistant]"),
             boost::test_tools::per_element());
  BOOST_TEST(!stores_bf16(path));
  // Frozen weights stay as they are, or are dequantized where they are packed, with the same values.
  BOOST_TEST((frozen_store(path, FrozenStore::automatic) == FrozenStore::quantized));
  std::size_t bytes = 0;
  for (const FrozenStore store : {FrozenStore::automatic, FrozenStore::full}) {
    const auto frozen = load_policy(path, AdapterPolicyOptions{.store = store});
    const ModelWeights<float> unpacked = frozen.weights().merged();
    BOOST_TEST(std::equal(unpacked.flat().begin(), unpacked.flat().end(), wanted.flat().begin()));
    BOOST_TEST(frozen.weights().base().bytes() > 2 * bytes);
    bytes = frozen.weights().base().bytes();
  }
  const std::uint64_t matrices = frozen_matrix_bytes(path, wanted.config(), FrozenStore::quantized);
  BOOST_TEST(matrices == load_frozen<float>(path, FrozenStore::quantized)->bytes() -
                             sizeof(float) * ModelLayout(wanted.config()).vector_parameters());
  // The saved folder is the same policy again.
  const Scratch scratch;
  save_model(scratch.path("model"), policy.weights(), policy.tokenizer());
  auto again = load_policy(scratch.path("model"));
  BOOST_TEST(std::equal(again.weights().flat().begin(), again.weights().flat().end(), wanted.flat().begin()));
  BOOST_TEST(again.encode_prompt(prompt) == asked, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_a_gguf_file_cannot_be_is_refused_by_name) {
  const std::string path = MAESTRO_TEST_FIXTURES "/gguf/whole.gguf";
  BOOST_TEST(refusal<Unsupported>([&] { load_classifier_config(path); }).find("reward models in GGUF") !=
             std::string::npos);
  BOOST_TEST(refusal<IoError>([&] { load_policy("no/such/file.gguf"); }).find("cannot open") != std::string::npos);
  const Scratch scratch;
  const auto says = [&](const std::string& from, const std::string& to) {
    std::string text = read_file(path);
    text.replace(text.find(from), from.size(), to);
    write_file(scratch.path("m.gguf"), text);
    return refusal<Error>([&] { load_policy(scratch.path("m.gguf")); });
  };
  BOOST_TEST(says("<0x41>", "<0x42>").find("twice") != std::string::npos);
  BOOST_TEST(says("tokenizer.ggml.scores", "tokenizer.ggml.scorex").find("do not match") != std::string::npos);
  BOOST_TEST(says("blk.0.ffn_up.weight", "blk.0.ffn_xp.weight").find("is missing") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
