#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "maestro/text/bpe_tokenizer.hpp"
#include "maestro/text/chat_encode.hpp"
#include "text/bpe_fixtures.hpp"

namespace {

using namespace maestro;

static_assert(ChatTokenizer<BpeTokenizer>);

BOOST_AUTO_TEST_SUITE(chat_bpe)

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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
