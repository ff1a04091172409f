// tokenizer.json as a file: what is read, what is refused, and what is written back.

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/hub/tokenizer_json.hpp"
#include "maestro/tokenizers.hpp"
#include "text/bpe_fixtures.hpp"

using maestro::BadFile;
using maestro::BpeTokenizer;
using maestro::Json;
using maestro::Unsupported;
using maestro_test::Ids;
using maestro_test::parse;
using maestro_test::refusal;
using maestro_test::Scratch;
using maestro_test::small_json;

BOOST_AUTO_TEST_SUITE(bpe_file)

namespace {

struct Refusal {
  std::function<void(Json&)> edit;
  std::string says;
};

Json added(const char* content, int id, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

template <class E>
void check_refusals(const std::vector<Refusal>& refusals) {
  for (const Refusal& one : refusals) {
    Json json = small_json();
    one.edit(json);
    const std::string message = refusal<E>([&] { parse(json); });
    BOOST_TEST(message.find("t.json: ") == 0u, "'" << message << "' must name the file; wanted: " << one.says);
    BOOST_TEST(message.find(one.says) != std::string::npos, "'" << message << "' must say: " << one.says);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(both_forms_of_merges_are_read) {
  const BpeTokenizer tokenizer = parse(small_json());
  BOOST_TEST(tokenizer.encode("abcab") == (Ids{257, 256}), boost::test_tools::per_element());
  BOOST_TEST(tokenizer.vocabulary_size() == 259u);
  Json json = small_json();
  json["model"]["merges"] = {"#version: 0.2", "ab c"};
  BOOST_TEST(parse(json).encode("abc") == (Ids{'a', 'b', 'c'}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(whole_words_are_taken_where_the_file_says_so) {
  Json json = small_json();
  json["model"]["merges"] = Json::array();
  BOOST_TEST(parse(json).encode("abc").size() == 3u);
  json["model"]["ignore_merges"] = true;
  BOOST_TEST(parse(json).encode("abc") == Ids{257}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(plain_text_never_becomes_a_special_token_of_the_vocabulary) {
  Json json = small_json();
  json["model"]["ignore_merges"] = true;
  json["model"]["vocab"]["stop"] = 258;
  json["added_tokens"] = {added("stop", 258, true), added("<|end|>", 259, true)};
  const BpeTokenizer tokenizer = parse(json);
  BOOST_TEST(tokenizer.encode_with_special("stop") == Ids{258}, boost::test_tools::per_element());
  BOOST_TEST(tokenizer.encode("stop").size() == 4u);
  BOOST_TEST(tokenizer.decode(tokenizer.encode("stop")) == "stop");
}

BOOST_AUTO_TEST_CASE(bytes_without_a_token_are_left_out) {
  Json json = small_json();
  json["model"]["vocab"].erase("z");
  json["model"]["vocab"]["spare"] = 'z';  // another token has its id
  const BpeTokenizer tokenizer = parse(json);
  BOOST_TEST(tokenizer.encode("azb") == Ids{256}, boost::test_tools::per_element());
  json["model"]["unk_token"] = "spare";
  BOOST_TEST(refusal<Unsupported>([&] { parse(json); }).find("lacks byte 122") != std::string::npos);
  Json whole = small_json();
  whole["model"]["unk_token"] = "abc";
  BOOST_TEST(parse(whole).encode("\u00ff").size() == 2u);  // never unknown
}

BOOST_AUTO_TEST_CASE(sentencepiece_models_are_read_or_refused_by_name) {
  const Json good = Json::parse(maestro::read_file(maestro_test::text_fixture("mistral.json")));
  const auto refused = [&](const char* pointer, const Json& value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    return refusal<Unsupported>([&] { maestro::parse_bpe_tokenizer(json.dump(), "t.json", {.end = "</s>"}); });
  };
  BOOST_TEST(refused("/pre_tokenizer/split", false).empty());
  BOOST_TEST(refused("/pre_tokenizer/split", true).find("\"split\": false") != std::string::npos);
  BOOST_TEST(refused("/pre_tokenizer/prepend_scheme", "last").find("prepend_scheme") != std::string::npos);
  BOOST_TEST(refused("/pre_tokenizer/replacement", "_").find("replacement") != std::string::npos);
  BOOST_TEST(refused("/normalizer", Json{{"type", "NFC"}}).find("normalizer") != std::string::npos);
  BOOST_TEST(refused("/model/ignore_merges", true).find("ignore_merges") != std::string::npos);
  BOOST_TEST(refused("/decoder/decoders/0/content", "_").find("Replace") != std::string::npos);
  BOOST_TEST(refused("/decoder/decoders/3/start", 2).find("start") != std::string::npos);
  BOOST_TEST(refused("/added_tokens/2/normalized", true).find("normalized") != std::string::npos);
  const BpeTokenizer tokenizer = maestro::parse_bpe_tokenizer(good.dump(), "t.json", {.end = "</s>"});
  const std::string text = "the story\n\xf0\x9f\x98\x80 <s>";
  BOOST_TEST(tokenizer.decode(tokenizer.encode(text)) == text);
  BOOST_TEST(tokenizer.encode(text) != tokenizer.encode_behind(text));
}

BOOST_AUTO_TEST_CASE(what_a_caller_asked_for_last_changes_nothing) {
  Json json = small_json();
  json["truncation"] = {{"max_length", 2}, {"strategy", "LongestFirst"}};
  json["padding"] = {{"pad_id", 3}};
  BOOST_TEST(parse(json).encode("abcabc") == parse(small_json()).encode("abcabc"), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_not_implemented_is_refused_by_name) {
  const auto set = [](const char* path, Json value) {
    return [path, value](Json& json) { json[Json::json_pointer(path)] = value; };
  };
  const Json nfkc = {{"type", "NFKC"}};
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  check_refusals<Unsupported>({
      {set("/version", "2.0"), "field 'version' is \"2.0\""},
      {set("/surprise", 1), "field \"surprise\" is 1"},
      {set("/normalizer", nfkc), "field 'normalizer.type' is \"NFKC\""},
      {set("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, nfkc}}}),
       "field 'normalizer.normalizers[1].type' is \"NFKC\""},
      {set("/pre_tokenizer", nullptr), "field 'pre_tokenizer' has no ByteLevel"},
      {set("/pre_tokenizer/type", "BertPreTokenizer"), "field 'pre_tokenizer.type' is \"BertPreTokenizer\""},
      {set("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {bytes, bytes}}}), "a step after ByteLevel"},
      {set("/pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers", Json(std::vector<Json>(70, {{"type", "Digits"}, {"individual_digits", true}}))}}),
       "more than 64 steps"},
      {set("/pre_tokenizer",
           {{"type", "Split"}, {"behavior", "Sideways"}, {"invert", false}, {"pattern", {{"Regex", "a"}}}}),
       "field 'pre_tokenizer.behavior' is \"Sideways\""},
      {set("/pre_tokenizer",
           {{"type", "Split"}, {"behavior", "Isolated"}, {"invert", false}, {"pattern", {{"String", ""}}}}),
       "empty text"},
      {set("/decoder", nullptr), "field 'decoder' is missing or null"},
      {set("/decoder/type", "Metaspace"), "field 'decoder.type'"},
      {set("/post_processor", {{"type", "BertProcessing"}}), "field 'post_processor.type'"},
      {set("/model/type", "Unigram"), "field 'model.type' is \"Unigram\""},
      {set("/model/dropout", 0.1), "field 'model.dropout' is 0.1"},
      {set("/model/byte_fallback", true), "field 'model.byte_fallback' is true"},
      {set("/model/continuing_subword_prefix", "##"), "field 'model.continuing_subword_prefix' is \"##\""},
      {set("/model/end_of_word_suffix", "</w>"), "field 'model.end_of_word_suffix'"},
      {set("/model/extra", {1}), "field \"model.extra\""},
      {[](Json& json) { json["added_tokens"].push_back(added("abc", 257, true)); }, "plain text could become it"},
      {[](Json& json) { json["added_tokens"].push_back(added("q", 'q', true)); }, "plain text could become it"},
      {[](Json& json) { json["added_tokens"].push_back(added(std::string(5000000, 'x').c_str(), 259, false)); },
       "more than 4194304 bytes"},
  });
}

BOOST_AUTO_TEST_CASE(what_contradicts_itself_is_refused) {
  const auto set = [](const char* path, Json value) {
    return [path, value](Json& json) { json[Json::json_pointer(path)] = value; };
  };
  check_refusals<BadFile>({
      {set("/model", nullptr), "field 'model' is missing"},
      {set("/model/vocab", 3), "must be a JSON object, found 3"},
      {set("/model/vocab/abc", -1), "token \"abc\" must have an id"},
      {set("/model/vocab/abc", 4194304), "token \"abc\" must have an id in 0 .. 4194303, found 4194304"},
      {set("/model/vocab/abc", 256), "two tokens of the vocabulary have the id 256"},
      {set("/model/merges", "a b"), "field 'model.merges' must be an array"},
      {set("/model/merges", {"a b c"}), "entry 0 must be two tokens, found \"a b c\""},
      {set("/model/merges", Json::parse(R"([["a", 1]])")), "entry 0 must be two tokens"},
      {set("/model/merges", {"a b", "b q"}), "entry 1 needs the token \"bq\""},
      {set("/model/merges", {"a \u65e5"}), "entry 0 needs the token"},
      {set("/model/ignore_merges", 1), "field 'model.ignore_merges' must be true or false"},
      {set("/added_tokens", 1), "field 'added_tokens' must be an array"},
      {set("/added_tokens/0/id", 257), "'<|end|>' has the id 257, but its place makes it 258"},
      {set("/added_tokens/0/id", 4294967296), "must be an integer of 0 or more of at most"},
      {[](Json& json) { json["added_tokens"].push_back(added("", 259, false)); }, "one is empty"},
      {set("/added_tokens/0/special", false), "is no special token"},
      {[](Json& json) { json["added_tokens"][0].erase("lstrip"); }, "field 'added_tokens[0].lstrip' is missing"},
      {[](Json& json) { json["added_tokens"].push_back(json["added_tokens"][0]); }, "is given twice"},
      {[](Json& json) { json["model"]["vocab"]["far"] = 258; }, "has the id 258, but its place makes it 259"},
      {[](Json& json) {
         json["model"]["vocab"]["far"] = 259;
         json["added_tokens"][0]["id"] = 259;
       },
       "the id 259 is taken"},
      {set("/pre_tokenizer",
           {{"type", "Split"}, {"behavior", "Isolated"}, {"invert", false}, {"pattern", {{"Regex", "(a"}}}}),
       "field 'pre_tokenizer.pattern.Regex': the regular expression '(a' does not compile"},
      {set("/post_processor", {{"type", "TemplateProcessing"},
                               {"single", {{{"SpecialToken", {{"id", "x"}}}}}},
                               {"special_tokens", {{"x", {{"ids", {7}}}}}}}),
       "the begin token, id 7, is no special token"},
  });
  BOOST_TEST(refusal<BadFile>([] { maestro::parse_bpe_tokenizer("{", "t.json"); }).find("t.json: not valid JSON") ==
             0u);
  const std::string text = maestro::dump_json(small_json());
  BOOST_TEST(refusal<BadFile>([&] {
               maestro::parse_bpe_tokenizer(text, "t.json");
             }).find("which token ends a response") != std::string::npos);
  BOOST_TEST(refusal<BadFile>([&] {
               maestro::parse_bpe_tokenizer(text, "t.json", {.end = "<|eot|>"});
             }).find("the end token \"<|eot|>\" is no special token") != std::string::npos);
  BOOST_TEST(maestro::parse_bpe_tokenizer(text, "t.json", {.end_id = 258}).end_token() == 258);
}

BOOST_AUTO_TEST_CASE(damaged_files_never_crash) {
  const std::string text = maestro::dump_json(small_json());
  std::mt19937 random(3);
  const std::string pieces[] = {"null", "-1", "1e999", "99999999999",   "\"\"",
                                "[]",   "{}", "true",  "\"ByteLevel\"", "\\u0000"};
  std::size_t accepted = 0;
  for (int round = 0; round < 600; ++round) {
    std::string damaged = text;
    const std::size_t at = random() % damaged.size();
    switch (random() % 4) {
      case 0:
        damaged[at] = static_cast<char>(random());
        break;
      case 1:
        damaged.resize(at);
        break;
      case 2:
        damaged.erase(at, random() % 40);
        break;
      default:
        // Another value for a member.
        const std::size_t colon = damaged.find(':', at);
        if (colon == std::string::npos) break;
        damaged.replace(colon + 1, damaged.find_first_of(",}", colon) - colon - 1,
                        pieces[random() % std::size(pieces)]);
    }
    try {
      const BpeTokenizer tokenizer = maestro::parse_bpe_tokenizer(damaged, "t.json", {.end = "<|end|>"});
      tokenizer.decode(tokenizer.encode("abc \u00e9<|end|> 12"));
      ++accepted;
    } catch (const maestro::Error&) {
    }
  }
  BOOST_TEST(accepted < 600u);
}

BOOST_AUTO_TEST_CASE(a_folder_is_read_and_written_back_byte_for_byte) {
  const Scratch scratch;
  const std::string text = maestro::dump_json(small_json(), 3) + "\n ";
  const std::vector<std::pair<std::string, std::string>> files{
      {"tokenizer.json", text},
      {"tokenizer_config.json", R"({ "eos_token": {"content": "<|end|>", "lstrip": false},   "chat_template": "x" })"},
      {"chat_template.jinja", "{{ messages }}\n\n"},
      {"special_tokens_map.json", "{}"},
      {"merges.txt", std::string("a b\0c", 5)}};
  for (const auto& [name, content] : files) maestro::write_file(scratch.path(name), content);
  maestro::write_file(scratch.path("config.json"), "{}");
  const BpeTokenizer tokenizer = maestro::load_bpe_tokenizer(scratch.path("."));
  BOOST_TEST(tokenizer.end_token() == 258);
  BOOST_TEST(tokenizer.files().size() == files.size());

  const Scratch other;
  const BpeTokenizer copy = tokenizer;
  write_tokenizer_files(other.path("."), copy);
  BOOST_TEST(other.entries() == files.size());
  for (const auto& [name, content] : files) BOOST_TEST(maestro::read_file(other.path(name)) == content);
}

BOOST_AUTO_TEST_CASE(the_end_token_of_a_folder) {
  const Scratch scratch;
  Json json = small_json();
  json["added_tokens"].push_back(added("<|stop|>", 259, true));
  maestro::write_file(scratch.path("tokenizer.json"), maestro::dump_json(json));
  const std::string folder = scratch.path(".");
  BOOST_TEST(refusal<BadFile>([&] {
               maestro::load_bpe_tokenizer(folder);
             }).find("eos_token of tokenizer_config.json") != std::string::npos);
  BOOST_TEST(maestro::load_bpe_tokenizer(folder, {.end_id = 259}).end_token() == 259);
  maestro::write_file(scratch.path("tokenizer_config.json"), R"({"eos_token": "<|end|>"})");
  BOOST_TEST(maestro::load_bpe_tokenizer(folder, {.end_id = 259}).end_token() == 258);
  BOOST_TEST(maestro::load_bpe_tokenizer(folder, {.end = "<|stop|>"}).end_token() == 259);
  maestro::write_file(scratch.path("tokenizer_config.json"), R"({"eos_token": null})");
  BOOST_TEST(maestro::load_bpe_tokenizer(folder, {.end_id = 259}).end_token() == 259);
  maestro::write_file(scratch.path("tokenizer_config.json"), R"({"eos_token": 5})");
  BOOST_CHECK_THROW(maestro::load_bpe_tokenizer(folder), BadFile);
}

BOOST_AUTO_TEST_CASE(the_byte_tokenizer_s_file_has_the_same_ids) {
  const maestro::ByteTokenizer bytes({.end = "<|im_end|>"});
  const BpeTokenizer tokenizer =
      maestro::parse_bpe_tokenizer(maestro::tokenizer_text(bytes), "base", {.end = "<|im_end|>"});
  BOOST_TEST(tokenizer.vocabulary_size() == bytes.vocabulary_size());
  BOOST_TEST(tokenizer.end_token() == bytes.end_token());
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    BOOST_TEST(tokenizer.special(name) == bytes.special(name));
  }
  for (const std::string& text :
       {std::string(), std::string("Gr\u00f6\u00dfe <|im_end|> \n\t"), std::string(1000, 'x')}) {
    BOOST_TEST(tokenizer.encode(text) == bytes.encode(text), boost::test_tools::per_element());
    BOOST_TEST(tokenizer.decode(tokenizer.encode(text)) == text);
  }
  BOOST_TEST(tokenizer.decode(Ids{104, 257, 105, 258, 271, 256}) == "hi");
}

BOOST_AUTO_TEST_SUITE_END()
