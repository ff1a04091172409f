#include "maestro/text/chat_encode.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "text/llama_bytes.hpp"

BOOST_AUTO_TEST_SUITE(chat)

namespace {

using namespace maestro;
using test::LlamaBytes;

static_assert(ChatTokenizer<ByteTokenizer> && ChatTokenizer<LlamaBytes>);

Json fixture() {
  const std::string path = std::string(MAESTRO_TEST_FIXTURES) + "/text/chats.json";
  return parse_json(read_file(path, 1 << 20), path);
}

std::vector<Message> messages_of(const Json& list) {
  std::vector<Message> messages;
  for (const Json& m : list) messages.push_back({m["role"].get<std::string>(), m["content"].get<std::string>()});
  return messages;
}

ChatFormat format_of(const Json& entry) {
  ChatFormat format = chat_format_from_name(entry["format"].get<std::string>());
  if (entry.contains("thinking")) format.thinking = Thinking::off;
  if (entry.contains("date")) format.date = entry["date"].get<std::string>();
  return format;
}

GenerationPrompt generation_of(const Json& entry) {
  return entry["generation"].get<bool>() ? GenerationPrompt::add : GenerationPrompt::omit;
}

std::string shown(const ChatFormat& format, const std::vector<Message>& messages,
                  GenerationPrompt generation = GenerationPrompt::omit) {
  return render_chat(format, messages, generation);
}

BOOST_AUTO_TEST_CASE(conversations_are_rendered_as_the_originals_do) {
  const Json json = fixture();
  std::set<std::string> formats;
  for (const Json& entry : json["cases"]) {
    const std::string title = entry["conversation"].get<std::string>();
    const ChatFormat format = format_of(entry);
    BOOST_TEST_CONTEXT(entry["format"].get<std::string>() << ", " << title) {
      BOOST_TEST(shown(format, messages_of(json["conversations"][title]), generation_of(entry)) ==
                 entry["text"].get<std::string>());
    }
    formats.insert(std::string(name_of(format.kind)));
  }
  BOOST_TEST(formats.size() == 6u);  // all but none
  BOOST_TEST(json["cases"].size() > 200u);
}

BOOST_AUTO_TEST_CASE(tokens_are_those_of_the_tokenizers_library) {
  const Json json = fixture();
  const LlamaBytes tokenizer;
  std::size_t compared = 0;
  for (const Json& entry : json["cases"]) {
    if (!entry.contains("ids")) continue;
    const std::vector<Message> messages = messages_of(json["conversations"][entry["conversation"].get<std::string>()]);
    const std::vector<std::int32_t> tokens = encode_chat(tokenizer, format_of(entry), messages, generation_of(entry));
    BOOST_TEST(tokens == entry["ids"].get<std::vector<std::int32_t>>(), boost::test_tools::per_element());
    ++compared;
  }
  BOOST_TEST(compared > 50u);
}

BOOST_AUTO_TEST_CASE(the_plain_byte_tokenizer_writes_chatml) {
  const ByteTokenizer tokenizer;
  const std::vector<Message> messages{{"user", "ab"}};
  const std::vector<std::int32_t> expected{257, 'u', 's', 'e', 'r', '\n', 'a', 'b', 258, '\n', 257,
                                           'a', 's', 's', 'i', 's', 't',  'a', 'n', 't', '\n'};
  BOOST_TEST(encode_chat(tokenizer, {.kind = ChatKind::chatml}, messages, GenerationPrompt::add) == expected,
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(content_that_spells_a_special_token_stays_text) {
  const Json json = fixture();
  const std::vector<Message> messages = messages_of(json["conversations"]["special tokens in text"]);
  const LlamaBytes tokenizer;
  for (const char* name : {"chatml", "qwen3", "llama3", "llama3.1"}) {
    const ChatFormat format = chat_format_from_name(name);
    const std::vector<std::int32_t> tokens = encode_chat(tokenizer, format, messages, GenerationPrompt::omit);
    // Each of the three turns ends once, whatever its content says; llama3.1 has a system block of its own.
    const auto ends = std::count(tokens.begin(), tokens.end(), tokenizer.special(turn_end(format.kind)));
    BOOST_TEST(ends == (format.kind == ChatKind::llama3_1 ? 4 : 3));
    BOOST_TEST(tokenizer.spelled(tokens) == shown(format, messages));
    BOOST_TEST(std::count(tokens.begin(), tokens.end(), 256) == 0);
  }
}

BOOST_AUTO_TEST_CASE(what_comes_before_an_answer_does_not_depend_on_it) {
  const Json json = fixture();
  const LlamaBytes tokenizer;
  std::size_t compared = 0;
  for (const Json& entry : json["cases"]) {
    std::vector<Message> messages = messages_of(json["conversations"][entry["conversation"].get<std::string>()]);
    if (messages.back().role != "assistant") continue;
    const ChatFormat format = format_of(entry);
    const Chat whole = chat_pieces(format, messages, GenerationPrompt::omit);
    messages.back().content = "something else </think> <|im_end|>";
    const Chat other = chat_pieces(format, messages, GenerationPrompt::omit);
    BOOST_TEST(whole.last_content == other.last_content);
    const std::span<const ChatPiece> pieces(whole.pieces);
    const std::span<const ChatPiece> head = pieces.first(whole.last_content);
    BOOST_TEST(std::equal(head.begin(), head.end(), other.pieces.begin()));
    BOOST_TEST((head.back().kind == ChatPiece::Kind::special));
    std::vector<std::int32_t> joined = encode_pieces(tokenizer, head);
    const std::vector<std::int32_t> rest = encode_pieces(tokenizer, pieces.subspan(whole.last_content));
    joined.insert(joined.end(), rest.begin(), rest.end());
    BOOST_TEST(joined == encode_pieces(tokenizer, pieces), boost::test_tools::per_element());
    ++compared;
  }
  BOOST_TEST(compared > 50u);
}

BOOST_AUTO_TEST_CASE(options_replace_the_original) {
  const std::vector<Message> question{{"user", "Hi"}};
  const std::string turn = "<|im_start|>user\nHi<|im_end|>\n";
  BOOST_TEST(shown({.kind = ChatKind::chatml}, question) == turn);
  BOOST_TEST(shown({.kind = ChatKind::qwen2_5, .default_system = ""}, question) == turn);
  BOOST_TEST(shown({.kind = ChatKind::chatml, .default_system = "S"}, question) ==
             "<|im_start|>system\nS<|im_end|>\n" + turn);
  BOOST_TEST(shown({.kind = ChatKind::qwen3, .default_system = "S"}, {{"system", "own"}, {"user", "Hi"}}) ==
             "<|im_start|>system\nown<|im_end|>\n" + turn);
  BOOST_TEST(shown({.kind = ChatKind::llama3, .default_system = "S"}, question)
                 .starts_with("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"));
  BOOST_TEST(shown({.kind = ChatKind::llama3_1, .default_system = "S", .date = "01 Jan 2020"}, question)
                 .find("Today Date: 01 Jan 2020\n\nS<|eot_id|>") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(what_is_not_implemented_is_refused) {
  const ChatFormat format{.kind = ChatKind::qwen3};
  const auto refused = [&](const std::vector<Message>& messages) {
    try {
      shown(format, messages);
    } catch (const Unsupported& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  BOOST_TEST(refused({{"user", "x"}, {"tool", "y"}}).find("message 2 has the role 'tool'") != std::string::npos);
  BOOST_TEST(!refused({{"developer", "x"}}).empty());
  BOOST_TEST(!refused({{"", "x"}}).empty());
  BOOST_CHECK_THROW(shown(format, {}), BadArgument);
  BOOST_CHECK_THROW(shown({}, {{"user", "x"}}), BadArgument);
  BOOST_CHECK_THROW(shown({.kind = ChatKind::chatml, .thinking = Thinking::off}, {{"user", "x"}}), BadArgument);
  BOOST_CHECK_EXCEPTION(chat_format_from_name("vicuna"), BadArgument, [](const BadArgument& e) {
    return std::string(e.what()).find("none, chatml, qwen2.5, qwen3, smollm2, llama3, llama3.1") != std::string::npos;
  });
  BOOST_CHECK_EXCEPTION(
      check_chat_format(ByteTokenizer{}, {.kind = ChatKind::llama3}), BadArgument,
      [](const BadArgument& e) { return std::string(e.what()).find("<|begin_of_text|>") != std::string::npos; });
  BOOST_CHECK_NO_THROW(check_chat_format(ByteTokenizer{}, {.kind = ChatKind::qwen3}));
  BOOST_CHECK_NO_THROW(check_chat_format(LlamaBytes{}, {.kind = ChatKind::llama3_1}));
}

BOOST_AUTO_TEST_CASE(white_space_is_that_of_str_strip) {
  // From Python: [c for c in range(0x110000) if not chr(c).strip()].
  const std::set<char32_t> python{0x9,    0xa,    0xb,    0xc,    0xd,    0x1c,   0x1d,   0x1e,   0x1f,   0x20,
                                  0x85,   0xa0,   0x1680, 0x2000, 0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0x2006,
                                  0x2007, 0x2008, 0x2009, 0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (is_python_space(c) != python.contains(c)) BOOST_ERROR("code point " << static_cast<unsigned>(c));
  }
  BOOST_TEST(without_white_space(" \t a b\r\n") == "a b");
  BOOST_TEST(without_white_space("\xc2\xa0\xe3\x80\x80x\xe2\x80\x83\xc2\x85\x1c") == "x");
  BOOST_TEST(without_white_space("\xe3\x80") == "\xe3\x80");
  BOOST_TEST(without_white_space("\x80\xa0") == "\x80\xa0");
  BOOST_TEST(without_white_space(" \xe3\x80\x80 ") == "");
  BOOST_TEST(without_white_space("") == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
