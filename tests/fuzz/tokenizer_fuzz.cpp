#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz_target.hpp"
#include "maestro/tokenizers.hpp"

namespace {

using maestro::BpeTokenizer;
using maestro::Json;
using maestro_fuzz::must;

constexpr std::string_view qwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}};
}

Json added(int id, const char* content, bool special) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", special}};
}

/// All bytes and a few merges.
Json model() {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[maestro::symbols_of_bytes(std::string(1, static_cast<char>(static_cast<unsigned char>(byte))))] = byte;
  }
  Json merges = Json::array();
  for (const auto& [left, right] :
       {std::pair("t", "h"), std::pair("th", "e"), std::pair("a", "a"), std::pair("aa", "aa"),
        std::pair("\u0120", "the"), std::pair("\u0120", "\u0120"), std::pair("\u00c3", "\u00a9"), std::pair("e", "n"),
        std::pair("en", "d"), std::pair("<", "|"), std::pair("|", ">")}) {
    merges.push_back({left, right});
    vocabulary[std::string(left) + right] = vocabulary.size();
  }
  return {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}};
}

Json fixed_json() {
  return {{"added_tokens", {added(267, "<|end|>", true), added(268, "<think>", false), added(269, "<|end|>>", false)}},
          {"pre_tokenizer",
           {{"type", "Sequence"},
            {"pretokenizers",
             {{{"type", "Split"}, {"pattern", {{"Regex", qwen}}}, {"behavior", "Isolated"}, {"invert", false}},
              byte_level(false)}}}},
          {"decoder", byte_level(true)},
          {"model", model()}};
}

BpeTokenizer parsed(const Json& json) {
  return maestro::parse_bpe_tokenizer(maestro::dump_json(json), "fixed", {.end = "<|end|>"});
}

BpeTokenizer with_digits() {
  Json json = fixed_json();
  json["pre_tokenizer"]["pretokenizers"] = {{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)};
  json["model"]["ignore_merges"] = true;
  return parsed(json);
}

BpeTokenizer with_nfc() {
  Json json = fixed_json();
  json["normalizer"] = {{"type", "NFC"}};
  json["added_tokens"].erase(2);
  json["added_tokens"].erase(1);
  return parsed(json);
}

BpeTokenizer with_switches() {
  Json json = fixed_json();
  for (const char* name : {"lstrip", "rstrip"}) json["added_tokens"][0][name] = true;
  for (const char* name : {"single_word", "normalized"}) json["added_tokens"][1][name] = true;
  json["normalizer"] = {{"type", "NFC"}};
  json["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "MergedWithPrevious";
  return parsed(json);
}

/// Every id is a token, and those of plain text are not special.
std::vector<std::int32_t> checked_ids(const BpeTokenizer& tokenizer, std::string_view text) {
  for (const std::int32_t id : tokenizer.encode_with_special(text)) {
    must(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocabulary_size(), "an id of the vocabulary");
  }
  std::vector<std::int32_t> ids = tokenizer.encode(text);
  for (const std::int32_t id : ids) must(id != tokenizer.end_token(), "plain text holds no special token");
  return ids;
}

/// Text goes through the fixed tokenizers and comes back as it was, or as its repaired or normalized form.
void encode_text(std::string_view text) {
  static const std::vector<BpeTokenizer> exact{parsed(fixed_json()), with_digits()};
  static const BpeTokenizer nfc = with_nfc();
  static const BpeTokenizer switches = with_switches();
  const std::string repaired = maestro::replace_invalid_utf8(text);
  for (const BpeTokenizer& tokenizer : exact) {
    const std::vector<std::int32_t> ids = checked_ids(tokenizer, text);
    must(tokenizer.decode(ids) == repaired, "decode(encode(text)) is the text");
    maestro::StreamDecoder stream(tokenizer);
    std::string streamed;
    for (const std::int32_t id : ids) streamed += stream.push(id);
    must(streamed + stream.finish() == repaired, "a stream gives the text");
  }
  const std::string normalized = maestro::to_nfc(repaired);
  must(maestro::to_nfc(normalized) == normalized, "NFC of NFC is itself");
  must(nfc.decode(checked_ids(nfc, text)) == normalized, "decode(encode(text)) is its NFC");
  checked_ids(switches, text);
}

/// A hostile tokenizer.json.
void read_file(std::string_view json) {
  std::optional<BpeTokenizer> tokenizer;
  maestro_fuzz::accept_or_refuse(
      [&] { tokenizer = maestro::parse_bpe_tokenizer(json, "tokenizer.json", {.end = "<|end|>"}); });
  if (!tokenizer) return;
  maestro_fuzz::accept_or_refuse([&] {
    const std::vector<std::int32_t> ids =
        checked_ids(*tokenizer, " the caf\u00e9 e\u0301nd's\r\n  12 <|end|> \u65e5-aaaa");
    must(maestro::is_utf8(tokenizer->decode_display(ids)), "shown text is UTF-8");
  });
}

}  // namespace

/// Input that begins with '{' is a tokenizer.json; behind any other first byte stands a text to encode.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = maestro_fuzz::text_of(data, size);
  if (input.empty() || input.front() == '{') {
    read_file(input);
  } else {
    encode_text(input.substr(1));
  }
  return 0;
}
