#include "maestro/text/any_tokenizer.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/text/stream_decoder.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(any_tokenizer)

namespace {

/// Has what a tokenizer must have and nothing more. Its copies would show: they count.
struct Letters {
  int* copies;

  explicit Letters(int& count) : copies(&count) {}
  Letters(const Letters& other) : copies(other.copies) { ++*copies; }
  Letters(Letters&&) = default;
  Letters& operator=(const Letters&) = delete;
  Letters& operator=(Letters&&) = delete;
  ~Letters() = default;

  std::vector<std::int32_t> encode(std::string_view text) const { return {text.begin(), text.end()}; }
  std::string decode(std::span<const std::int32_t> tokens) const {
    std::string text;
    for (const std::int32_t token : tokens) text.push_back(static_cast<char>(token));
    return text;
  }
  std::size_t vocabulary_size() const { return 128; }
  std::int32_t end_token() const { return 4; }
};
static_assert(Tokenizer<Letters> && !ChatTokenizer<Letters>);

}  // namespace

BOOST_AUTO_TEST_CASE(every_call_is_passed_on) {
  const ByteTokenizer bytes({.vocabulary = 300, .end = "<|im_end|>"});
  const AnyTokenizer any(bytes, {{"tokenizer.json", "{}"}});
  const std::string text = "caf\xc3\xa9 \xff <|im_end|>";
  BOOST_TEST(any.encode(text) == bytes.encode(text), boost::test_tools::per_element());
  const std::vector<std::int32_t> tokens{99, 97, 255, 258, 299};
  BOOST_TEST(any.decode(tokens) == bytes.decode(tokens));
  BOOST_TEST(any.decode_display(tokens) == bytes.decode_display(tokens));
  BOOST_TEST(any.vocabulary_size() == 300u);
  BOOST_TEST(any.end_token() == 258);
  BOOST_TEST(any.special("<|im_start|>") == 257);
  BOOST_CHECK_THROW(any.special("<s>"), BadArgument);
  BOOST_CHECK_THROW(any.decode(std::vector<std::int32_t>{300}), BadArgument);
  BOOST_TEST(!any.begin_token().has_value());
  BOOST_TEST(any.files().at("tokenizer.json") == "{}");
  BOOST_REQUIRE(any.get_if<ByteTokenizer>() != nullptr);
  BOOST_TEST((*any.get_if<ByteTokenizer>() == bytes));
  BOOST_TEST(any.get_if<Letters>() == nullptr);
  check_chat_format(any, {.kind = ChatKind::chatml});

  StreamDecoder stream(any);
  BOOST_TEST(stream.push(0xc3).empty());
  BOOST_TEST(stream.push(0xa9) == "\xc3\xa9");
}

BOOST_AUTO_TEST_CASE(copies_share_one_tokenizer) {
  int copies = 0;
  const AnyTokenizer any{Letters(copies)};
  const AnyTokenizer copy = any;
  const std::vector<AnyTokenizer> many(5, copy);
  BOOST_TEST(copies == 0);
  BOOST_TEST(many[4].get_if<Letters>() == any.get_if<Letters>());
}

BOOST_AUTO_TEST_CASE(what_the_tokenizer_lacks_is_refused) {
  int copies = 0;
  const AnyTokenizer any{Letters(copies)};
  BOOST_TEST(any.files().empty());
  BOOST_CHECK_EXCEPTION(any.special("<|im_end|>"), BadArgument, [](const BadArgument& error) {
    return std::string(error.what()).find("special(std::string_view)") != std::string::npos;
  });
  BOOST_CHECK_EXCEPTION(check_chat_format(any, {.kind = ChatKind::chatml}), BadArgument, [](const BadArgument& error) {
    return std::string(error.what()).find("<|im_start|>, which the tokenizer does not have") != std::string::npos;
  });
}

BOOST_AUTO_TEST_SUITE_END()
