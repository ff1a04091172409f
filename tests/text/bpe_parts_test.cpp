// The parts of the tokenizer alone: merges, alphabet, cache, streams, threads.

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/text/stream_decoder.hpp"
#include "maestro/tokenizers.hpp"
#include "text/bpe_fixtures.hpp"

using maestro::BadArgument;
using maestro::BpeTokenizer;
using maestro::Merge;
using maestro::MergeTable;
using maestro::Pattern;
using maestro::StreamDecoder;
using maestro_test::fixture_tokenizer;
using maestro_test::Ids;
using maestro_test::refusal;

BOOST_AUTO_TEST_SUITE(bpe_parts)

namespace {

/// The definition: again and again the pair of the lowest rank, the leftmost of equals.
Ids merged_plainly(Ids symbols, const std::vector<Merge>& merges) {
  std::map<std::pair<std::int32_t, std::int32_t>, std::pair<std::size_t, std::int32_t>> table;
  for (std::size_t i = 0; i < merges.size(); ++i) table[{merges[i].left, merges[i].right}] = {i, merges[i].result};
  while (true) {
    std::size_t best = merges.size();
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto it = table.find({symbols[i], symbols[i + 1]});
      if (it != table.end() && it->second.first < best) {
        best = it->second.first;
        place = i;
      }
    }
    if (best == merges.size()) return symbols;
    symbols[place] = merges[best].result;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(merges_follow_their_definition) {
  std::mt19937 random(5);
  for (int round = 0; round < 300; ++round) {
    // Random merges over four letters, each making a new token.
    std::vector<Merge> merges;
    std::map<std::pair<std::int32_t, std::int32_t>, bool> used;
    std::int32_t next = 4;
    for (int i = 0; i < 12; ++i) {
      const auto left = static_cast<std::int32_t>(random() % static_cast<unsigned>(next));
      const auto right = static_cast<std::int32_t>(random() % static_cast<unsigned>(next));
      if (!std::exchange(used[{left, right}], true)) merges.push_back({left, right, next++});
    }
    std::shuffle(merges.begin(), merges.end(), random);
    const MergeTable table(merges);
    for (const std::size_t size : {0u, 1u, 2u, 5u, 31u, 32u, 33u, 64u, 200u}) {  // both ways to merge
      Ids symbols(size);
      for (std::int32_t& symbol : symbols) symbol = static_cast<std::int32_t>(random() % 4);
      const Ids expected = merged_plainly(symbols, merges);
      table.apply(symbols);
      BOOST_TEST(symbols == expected, boost::test_tools::per_element());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_pair_listed_twice_keeps_its_last_rank) {
  const std::vector<Merge> merges{{0, 1, 3}, {1, 2, 4}, {0, 1, 3}};
  Ids symbols{0, 1, 2};
  MergeTable(merges).apply(symbols);
  BOOST_TEST(symbols == (Ids{0, 4}), boost::test_tools::per_element());
  BOOST_CHECK_THROW(MergeTable(std::vector<Merge>{{0, -1, 2}}), BadArgument);
}

BOOST_AUTO_TEST_CASE(the_alphabet_names_every_byte_once) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(static_cast<unsigned char>(byte)));
  const std::string symbols = maestro::symbols_of_bytes(all);
  BOOST_TEST(maestro::is_utf8(symbols));
  BOOST_TEST((maestro::bytes_of_symbols(symbols) == all));
  BOOST_TEST(maestro::symbols_of_bytes(" a\n") == "\u0120a\u010a");
  for (const char* other : {" ", "\u00ad", "\u0144", "\u65e5", "a\U0001f600"}) {
    BOOST_TEST(!maestro::bytes_of_symbols(other).has_value());
  }
}

BOOST_AUTO_TEST_CASE(nfc_composes_and_orders) {
  using maestro::to_nfc;
  BOOST_TEST(to_nfc("plain") == "plain");
  BOOST_TEST(to_nfc("e\u0301") == "\u00e9");
  BOOST_TEST(to_nfc("a\u0302\u0323") == "\u1ead");
  BOOST_TEST(to_nfc("\u1112\u1161\u11ab") == "\ud55c");
  BOOST_TEST(to_nfc("\u212b \u2126") == "\u00c5 \u03a9");
  BOOST_TEST(to_nfc("\ufb01") == "\ufb01");  // compatibility forms stay
  // Unicode 13 orders this mark (class 220) before one of class 240; Unicode 9 does not know it.
  BOOST_TEST(to_nfc("a\u0345\u1abf") == "a\u0345\u1abf");
  BOOST_TEST(to_nfc("a\u0345\u0323") == "\u1ea1\u0345");
}

BOOST_AUTO_TEST_CASE(patterns_match_as_oniguruma_does) {
  const auto matches = [](const char* expression, std::string_view text) {
    std::vector<std::string> found;
    Pattern(expression).for_each_match(text, [&](std::size_t b, std::size_t e) {
      found.emplace_back(text.substr(b, e - b));
    });
    return found;
  };
  BOOST_TEST(matches("b*", "abbc\u00e9") == (std::vector<std::string>{"", "bb", "", ""}),
             boost::test_tools::per_element());
  BOOST_TEST(matches("\\p{L}+", "\u00e9a1\u65e5") == (std::vector<std::string>{"\u00e9a", "\u65e5"}),
             boost::test_tools::per_element());
  BOOST_TEST(matches("x", "").empty());
  BOOST_TEST(refusal<BadArgument>([] { Pattern("(a"); }).find("'(a' does not compile") != std::string::npos);
  BOOST_TEST(refusal<BadArgument>([] { Pattern(std::string(70000, 'a')); }).find("65536") != std::string::npos);
  const Pattern endless("(?:a|aa)+$(?<=b)");
  BOOST_TEST(refusal<maestro::BadData>([&] { endless.found_in(std::string(60, 'a')); }).find("gave up") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(streams_hold_back_unfinished_characters) {
  const BpeTokenizer tokenizer = fixture_tokenizer("qwen3");
  StreamDecoder stream(tokenizer);
  const Ids parts = tokenizer.encode("\U0001fae0");
  BOOST_REQUIRE(parts.size() > 1);
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) BOOST_TEST(stream.push(parts[i]).empty());
  BOOST_TEST(stream.push(tokenizer.special("<|im_end|>")).empty());
  BOOST_TEST(stream.push(parts.back()) == "\U0001fae0");
  BOOST_TEST(stream.finish().empty());
  BOOST_TEST(stream.push(parts.front()).empty());
  BOOST_TEST(stream.finish() == "\ufffd");
  BOOST_CHECK_THROW(stream.push(-1), BadArgument);
}

BOOST_AUTO_TEST_CASE(streams_hold_back_nothing_that_is_broken_already) {
  const maestro::ByteTokenizer tokenizer;
  StreamDecoder stream(tokenizer);
  BOOST_TEST(stream.push(0xe0).empty());
  BOOST_TEST(stream.push(0x80) == "\ufffd\ufffd");
  BOOST_TEST(stream.push(0xff) == "\ufffd");
}

BOOST_AUTO_TEST_CASE(streams_give_what_decode_display_gives) {
  const maestro::ByteTokenizer tokenizer;
  std::mt19937 random(11);
  // Bytes at the borders of what UTF-8 allows come together often.
  const std::string bytes = "a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xc3\xdf\xe0\xe4\xed\xef\xf0\xf3\xf4\xf5\xff";
  for (int round = 0; round < 20000; ++round) {
    Ids tokens(random() % 8);
    for (std::int32_t& token : tokens) token = static_cast<unsigned char>(bytes[random() % bytes.size()]);
    StreamDecoder stream(tokenizer);
    std::string text;
    for (const std::int32_t token : tokens) {
      const std::string piece = stream.push(token);
      BOOST_REQUIRE(maestro::is_utf8(piece));
      text += piece;
    }
    text += stream.finish();
    BOOST_REQUIRE(text == tokenizer.decode_display(tokens));
  }
}

BOOST_AUTO_TEST_CASE(threads_share_a_tokenizer) {
  const BpeTokenizer tokenizer = fixture_tokenizer("qwen2");
  const maestro::Json texts = maestro_test::read_fixture("corpus.json")["texts"];
  const maestro::Json expected = maestro_test::read_fixture("qwen2.expected.json")["plain"];
  std::vector<std::size_t> wrong(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t k = 0; k < texts.size(); ++k) {
        const std::size_t i = (k * (2 * t + 1)) % texts.size();
        wrong[t] += tokenizer.encode(texts[i].get<std::string>()) != expected[i].get<Ids>();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::size_t count : wrong) BOOST_TEST(count == 0u);
}

BOOST_AUTO_TEST_CASE(special_tokens_are_apart_from_text) {
  const BpeTokenizer tokenizer = fixture_tokenizer("qwen3");
  const std::int32_t end = tokenizer.special("<|im_end|>");
  BOOST_TEST(tokenizer.end_token() == end);
  BOOST_TEST(tokenizer.vocabulary_size() == 1013u);
  BOOST_TEST(!tokenizer.begin_token().has_value());
  BOOST_TEST(!tokenizer.find_special("<think>").has_value());  // added, and not special
  BOOST_TEST(tokenizer.find_token("<think>").value() == 1011);
  BOOST_TEST(tokenizer.find_token("a").value() == tokenizer.encode("a").front());
  BOOST_TEST(!tokenizer.find_token("no such token").has_value());
  BOOST_TEST(refusal<BadArgument>([&] { tokenizer.special("<|pad|>\x1b"); }).find("<|pad|>") != std::string::npos);

  const Ids plain = tokenizer.encode("<|im_end|>");
  BOOST_TEST((std::find(plain.begin(), plain.end(), end) == plain.end()));
  BOOST_TEST(tokenizer.encode_with_special("<|im_end|>") == Ids{end}, boost::test_tools::per_element());
  BOOST_TEST(tokenizer.decode(Ids{end, tokenizer.encode("x").front(), end}) == "x");
  BOOST_CHECK_THROW(tokenizer.decode(Ids{1013}), BadArgument);
  BOOST_CHECK_THROW(tokenizer.decode(Ids{-1}), BadArgument);

  const BpeTokenizer llama = fixture_tokenizer("llama3");
  BOOST_TEST(llama.begin_token().value() == llama.special("<|begin_of_text|>"));
  BOOST_TEST(llama.encode("x").size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
