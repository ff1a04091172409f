#pragma once

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/hub/bpe_tokenizer_json.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro_test {

using Ids = std::vector<std::int32_t>;

inline std::string text_fixture(const std::string& name) { return std::string(MAESTRO_TEST_FIXTURES "/text/") + name; }
inline maestro::Json read_fixture(const std::string& name) {
  return maestro::parse_json(maestro::read_file(text_fixture(name)), name);
}

inline maestro::BpeTokenizer fixture_tokenizer(const std::string& name) {
  const bool sentencepiece = name == "llama2" || name == "mistral";
  const std::string end = name == "llama3" ? "<|eot_id|>" : sentencepiece ? "</s>" : "<|im_end|>";
  return maestro::parse_bpe_tokenizer(maestro::read_file(text_fixture(name + ".json")), name + ".json", {.end = end});
}

/// A small tokenizer.json: all bytes with ids 0 .. 255 by their value, "a b" and "ab c" merged, <|end|> special.
inline maestro::Json small_json() {
  maestro::Json json = maestro::parse_json(R"({
    "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
    "added_tokens": [{"id": 258, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
              "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
              "vocab": {}, "merges": ["a b", ["ab", "c"]]}})",
                                           "small");
  maestro::Json& vocabulary = json["model"]["vocab"];
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[maestro::symbols_of_bytes(std::string(1, static_cast<char>(static_cast<unsigned char>(byte))))] = byte;
  }
  vocabulary["ab"] = 256;
  vocabulary["abc"] = 257;
  return json;
}

inline maestro::BpeTokenizer parse(const maestro::Json& json) {
  return maestro::parse_bpe_tokenizer(maestro::dump_json(json), "t.json", {.end = "<|end|>"});
}

inline std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

}  // namespace maestro_test
