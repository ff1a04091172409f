#pragma once

/// @file
/// The tokenizer.json of the byte tokenizer: a BPE model of the 256 byte symbols without merges, after the byte-level
/// pre-tokenizer, so that Hugging Face's `tokenizers` gives the same ids.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/byte_level.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro {

namespace detail {

/// Gives the token of one byte in a byte-level vocabulary.
inline std::string symbol_of_byte(std::size_t byte) {
  const char c = static_cast<char>(static_cast<unsigned char>(byte));
  return symbols_of_bytes({&c, 1});
}

}  // namespace detail

/// Gives the text of a tokenizer.json. Special tokens and padding are added tokens. The `tokenizers` library reads text
/// that spells them as the tokens, unlike ByteTokenizer::encode.
inline std::string tokenizer_text(const ByteTokenizer& tokenizer) {
  const auto byte_level = [] {
    return OrderedJson{
        {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}};
  };
  OrderedJson added = OrderedJson::array();
  for (std::size_t id = 256; id < tokenizer.vocabulary_size(); ++id) {
    added.push_back(OrderedJson{{"id", id},
                                {"content", tokenizer.special_name(static_cast<std::int32_t>(id))},
                                {"single_word", false},
                                {"lstrip", false},
                                {"rstrip", false},
                                {"normalized", false},
                                {"special", true}});
  }
  OrderedJson vocabulary = OrderedJson::object();
  for (std::size_t byte = 0; byte < 256; ++byte) vocabulary[detail::symbol_of_byte(byte)] = byte;

  OrderedJson json = OrderedJson::object();
  json["version"] = "1.0";
  json["truncation"] = nullptr;
  json["padding"] = nullptr;
  json["added_tokens"] = std::move(added);
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = byte_level();
  json["post_processor"] = nullptr;
  json["decoder"] = byte_level();
  json["model"] = OrderedJson{{"type", "BPE"},
                              {"dropout", nullptr},
                              {"unk_token", nullptr},
                              {"continuing_subword_prefix", nullptr},
                              {"end_of_word_suffix", nullptr},
                              {"fuse_unk", false},
                              {"byte_fallback", false},
                              {"ignore_merges", false},
                              {"vocab", std::move(vocabulary)},
                              {"merges", OrderedJson::array()}};
  return dump_json(json, 1) + "\n";
}

namespace detail {

[[noreturn]] inline void refuse_tokenizer(const std::string& file, const std::string& what) {
  throw Unsupported(file + ": " + what + "; only the byte-level tokenizer without merges is implemented");
}

/// Refuses a member of `part` that is not in `allowed`, unless its value is null or false.
inline void check_members(const JsonFields& part, const std::string& prefix,
                          std::initializer_list<const char*> allowed) {
  for (const auto& [key, value] : part.json().items()) {
    bool known = value.is_null() || value == Json(false);
    for (const char* name : allowed) known = known || key == name;
    if (!known) refuse_tokenizer(part.file(), "field " + quote_text(prefix + key) + " is " + shown(value));
  }
}

inline void check_byte_level(const JsonFields& root, const char* key) {
  const JsonFields part = root.object(key);
  if (part.text("type") != "ByteLevel") part.unsupported("type", "only the byte-level tokenizer is implemented");
  check_members(part, std::string(key) + ".", {"type", "trim_offsets", "add_prefix_space", "use_regex"});
  if (std::string_view(key) == "decoder") return;  // its switches change nothing
  for (const char* name : {"add_prefix_space", "use_regex"}) {
    if (part.boolean_or(name, true))
      refuse_tokenizer(root.file(), std::string("field '") + key + "." + name + "' is true");
  }
}

inline void check_bpe(const JsonFields& model) {
  if (model.text("type") != "BPE") model.unsupported("type", "only the byte-level tokenizer is implemented");
  check_members(model, "model.", {"type", "vocab", "merges", "ignore_merges"});
  const Json& merges = model.at("merges");
  if (!merges.is_array()) model.fail("merges", "an array");
  if (!merges.empty())
    refuse_tokenizer(model.file(), "field 'model.merges' has " + std::to_string(merges.size()) + " merges");
  const JsonFields vocabulary = model.object("vocab");
  if (vocabulary.json().size() != 256) {
    refuse_tokenizer(model.file(),
                     "field 'model.vocab' has " + std::to_string(vocabulary.json().size()) + " tokens, not 256");
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (vocabulary.count(symbol_of_byte(byte)) != byte) {
      refuse_tokenizer(model.file(), "field 'model.vocab' gives byte " + std::to_string(byte) + " another id");
    }
  }
}

}  // namespace detail

/// Reads the text of a tokenizer.json that tokenizer_text wrote.
/// @param file  name of the file, for messages.
/// @param end   the special token that ends responses.
/// @throws BadFile for malformed text; Unsupported naming what differs from the byte-level tokenizer (merges,
///         normalizers).
inline ByteTokenizer parse_tokenizer(std::string_view text, const std::string& file,
                                     std::string_view end = "<|endoftext|>") {
  const Json json = parse_json(text, file);
  const JsonFields root(json, file);
  detail::check_members(root, "",
                        {"version", "truncation", "padding", "added_tokens", "pre_tokenizer", "decoder", "model"});
  detail::check_bpe(root.object("model"));
  detail::check_byte_level(root, "pre_tokenizer");
  detail::check_byte_level(root, "decoder");
  const Json& added = root.at("added_tokens");
  if (!added.is_array()) root.fail("added_tokens", "an array");
  const std::size_t vocabulary = 256 + added.size();
  if (vocabulary < ByteTokenizer::smallest_vocabulary) {
    detail::refuse_tokenizer(file, "field 'added_tokens' lacks the special tokens");
  }
  if (end != "<|endoftext|>" && end != "<|im_start|>" && end != "<|im_end|>") {
    detail::refuse_tokenizer(file, "the end token " + detail::quote_text(end) + " is not a special token");
  }
  const ByteTokenizer tokenizer({.vocabulary = vocabulary, .end = end});
  for (std::size_t i = 0; i < added.size(); ++i) {
    const JsonFields token(added[i], file, "added_tokens[" + std::to_string(i) + "].");
    const auto id = static_cast<std::int32_t>(256 + i);
    if (token.count("id") != 256 + i || token.text("content") != tokenizer.special_name(id) ||
        !token.boolean("special")) {
      detail::refuse_tokenizer(file, "field 'added_tokens' entry " + std::to_string(i) + " is not special token " +
                                         std::to_string(id) + ", " + tokenizer.special_name(id));
    }
    detail::check_members(token, "added_tokens.", {"id", "content", "special"});
  }
  return tokenizer;
}

}  // namespace maestro
