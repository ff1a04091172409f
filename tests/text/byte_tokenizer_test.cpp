#include "maestro/text/byte_tokenizer.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <string>
#include <vector>

using maestro::BadArgument;
using maestro::ByteTokenizer;

BOOST_AUTO_TEST_SUITE(byte_tokenizer)

BOOST_AUTO_TEST_CASE(every_byte_round_trips) {
  const ByteTokenizer tokenizer;
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes.push_back(static_cast<char>(c));
  for (const std::string& text : {bytes, std::string(),
                                  std::string("Gr\xc3\xb6\xc3\x9f"
                                              "e"),
                                  std::string("<|im_end|>")}) {
    const std::vector<std::int32_t> tokens = tokenizer.encode(text);
    BOOST_TEST(tokens.size() == text.size());
    for (const std::int32_t id : tokens) BOOST_TEST((id >= 0 && id < 256));
    BOOST_TEST(tokenizer.decode(tokens) == text);
  }
}

BOOST_AUTO_TEST_CASE(special_tokens_are_apart_from_text) {
  const ByteTokenizer tokenizer;
  BOOST_TEST(tokenizer.vocabulary_size() == 272u);
  BOOST_TEST(tokenizer.special("<|endoftext|>") == 256);
  BOOST_TEST(tokenizer.special("<|im_start|>") == 257);
  BOOST_TEST(tokenizer.special("<|im_end|>") == 258);
  BOOST_TEST(tokenizer.end_token() == 256);
  BOOST_TEST(ByteTokenizer({.end = "<|im_end|>"}).end_token() == 258);
  BOOST_TEST(tokenizer.decode(std::vector<std::int32_t>{104, 257, 105, 258, 271, 256}) == "hi");
  BOOST_TEST(tokenizer.special_name(258) == "<|im_end|>");
  BOOST_TEST(tokenizer.special_name(270) == "<|reserved_270|>");
  BOOST_CHECK_THROW(tokenizer.special("<|pad|>"), BadArgument);
  BOOST_CHECK_THROW(tokenizer.decode(std::vector<std::int32_t>{272}), BadArgument);
  BOOST_CHECK_THROW(tokenizer.decode(std::vector<std::int32_t>{-1}), BadArgument);
  BOOST_CHECK_THROW(ByteTokenizer({.vocabulary = 258}), BadArgument);
  BOOST_CHECK_THROW(ByteTokenizer({.end = "x"}), BadArgument);
}

BOOST_AUTO_TEST_CASE(broken_utf8_is_replaced_for_display_only) {
  const ByteTokenizer tokenizer;
  const std::string mark = "\xef\xbf\xbd";
  // As Python's bytes.decode(errors="replace").
  const std::vector<std::pair<std::string, std::string>> cases{
      {"ok \xf0\x9f\x99\x82", "ok \xf0\x9f\x99\x82"},
      {"\xff"
       "a",
       mark + "a"},
      {"\xe4\xbd", mark},
      {"\xe4\xbd"
       "a",
       mark + "a"},
      {"\xf0\x9f\x99", mark},
      {"\xc0\xaf", mark + mark},
      {"\xed\xa0\x80", mark + mark + mark},
      {"\xf4\x90\x80\x80", mark + mark + mark + mark},
      {"\xe0\x80\x80", mark + mark + mark},
      {"\xf0\x9f\x99\xc3\xb6", mark + "\xc3\xb6"},
      {"\x80\x80", mark + mark},
  };
  for (const auto& [bytes, shown] : cases) {
    BOOST_TEST(tokenizer.decode(tokenizer.encode(bytes)) == bytes);
    BOOST_TEST(tokenizer.decode_display(tokenizer.encode(bytes)) == shown);
    BOOST_TEST(maestro::is_utf8(bytes) == (bytes == shown));
  }
}

BOOST_AUTO_TEST_SUITE_END()
