#include "maestro/hub/gguf_tokenizer.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "text/bpe_fixtures.hpp"

using namespace maestro;
using maestro_test::Ids;

// The tokenizers of tests/fixtures/text, as tests/fixtures/gguf/make_gguf.py writes them into GGUF files.
BOOST_AUTO_TEST_SUITE(bpe_gguf)

BOOST_AUTO_TEST_CASE(a_gguf_file_has_the_tokenizer_of_its_checkpoint) {
  const Json corpus = maestro_test::read_fixture("corpus.json")["texts"];
  for (const std::string name : {"smollm2", "qwen2", "llama3"}) {
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

BOOST_AUTO_TEST_SUITE_END()
