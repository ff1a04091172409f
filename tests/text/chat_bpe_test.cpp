#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "maestro/text/bpe_tokenizer.hpp"
#include "maestro/text/chat_encode.hpp"
#include "text/bpe_fixtures.hpp"

BOOST_AUTO_TEST_SUITE(chat_bpe)

namespace {

using namespace maestro;

static_assert(ChatTokenizer<BpeTokenizer>);

BOOST_AUTO_TEST_CASE(tokens_are_those_of_the_rendered_text) {
  const Json conversations = maestro_test::read_fixture("chats.json")["conversations"];
  std::map<std::string, BpeTokenizer> tokenizers;
  std::set<std::string> formats;
  for (const Json& entry : maestro_test::read_fixture("chat_tokens.json")) {
    const auto name = entry["tokenizer"].get<std::string>();
    if (!tokenizers.contains(name)) tokenizers.emplace(name, maestro_test::fixture_tokenizer(name));
    const BpeTokenizer& tokenizer = tokenizers.at(name);
    const auto title = entry["conversation"].get<std::string>();
    std::vector<Message> messages;
    for (const Json& m : conversations[title]) {
      messages.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
    }
    const ChatFormat format = chat_format_from_name(entry["format"].get<std::string>());
    BOOST_TEST_CONTEXT(name << ", " << title) {
      BOOST_TEST(encode_chat(tokenizer, format, messages, GenerationPrompt::add) ==
                     entry["ids"].get<std::vector<std::int32_t>>(),
                 boost::test_tools::per_element());
    }
    formats.insert(entry["format"].get<std::string>());
  }
  BOOST_TEST(formats.size() == 4u);
}

BOOST_AUTO_TEST_CASE(a_template_gives_the_tokens_of_its_text_where_no_content_spells_one) {
  const Json conversations = maestro_test::read_fixture("chats.json")["conversations"];
  const std::string source =
      "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}";
  for (const char* name : {"qwen2", "qwen3", "smollm2"}) {
    const BpeTokenizer tokenizer = maestro_test::fixture_tokenizer(name);
    const ChatFormat format = chat_format_of_template(name, source);
    for (const auto& [title, list] : conversations.items()) {
      std::vector<Message> messages;
      for (const Json& m : list) messages.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
      const std::string text = render_chat(format, messages, GenerationPrompt::omit);
      const std::vector<std::int32_t> tokens = encode_chat(tokenizer, format, messages, GenerationPrompt::omit);
      BOOST_TEST_CONTEXT(name << ", " << title) {
        BOOST_TEST((tokens == tokenizer.encode_with_special(text)) == (title != "special tokens in text"));
      }
    }
    BOOST_TEST(turn_end_token(tokenizer, format).value() == tokenizer.special("<|im_end|>"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
