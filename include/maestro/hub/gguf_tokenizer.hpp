#pragma once

/// @file
/// The tokenizer and the chat template in the metadata of a GGUF file. Needs maestro::tokenizers.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/bpe_tokenizer_json.hpp"
#include "maestro/hub/gguf.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/bpe_tokenizer.hpp"

namespace maestro {

namespace detail {

/// Gives the pre-tokenizer of the kind that tokenizer.ggml.pre names, as a tokenizer.json has it.
inline Json gguf_pre_tokenizer(const GgufFile& file, const std::string& kind) {
  const auto bytes = [](bool regex) {
    return Json{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", regex}};
  };
  const auto with = [](Json first, Json second) {
    return Json{{"type", "Sequence"}, {"pretokenizers", Json::array({std::move(first), std::move(second)})}};
  };
  const auto split = [](const char* regex) {
    return Json{{"type", "Split"}, {"pattern", {{"Regex", regex}}}, {"behavior", "Isolated"}, {"invert", false}};
  };
  if (kind == "gpt-2") return bytes(true);
  if (kind == "smollm") return with(Json{{"type", "Digits"}, {"individual_digits", true}}, bytes(true));
  if (kind == "qwen2") {
    return with(
        split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
              "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
        bytes(false));
  }
  if (kind == "llama-bpe") {
    return with(split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+"
                      "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
                bytes(false));
  }
  throw Unsupported(file.path() + ": tokenizer.ggml.pre is " + quote_text(kind) +
                    ", which is not implemented; gpt-2, llama-bpe, qwen2 and smollm are");
}

/// GgufTokens are the lists of a file's tokenizer.
struct GgufTokens {
  std::vector<std::string> texts;
  std::vector<double> types;  ///< 1 normal, 3 control, 4 user-defined, 5 unused
  std::vector<std::string> merges;
};

inline GgufTokens read_gguf_tokens(const GgufFile& file) {
  const auto* model = file.find_value<std::string>("tokenizer.ggml.model");
  if (model == nullptr || *model != "gpt2") {
    throw Unsupported(file.path() + ": tokenizer.ggml.model is " + (model == nullptr ? "missing" : quote_text(*model)) +
                      "; only \"gpt2\" (byte-level BPE) is implemented; take the tokenizer of the model's own folder");
  }
  GgufTokens tokens;
  if (const auto* texts = file.find_value<std::vector<std::string>>("tokenizer.ggml.tokens")) tokens.texts = *texts;
  if (const auto* types = file.find_value<std::vector<double>>("tokenizer.ggml.token_type")) tokens.types = *types;
  if (const auto* merges = file.find_value<std::vector<std::string>>("tokenizer.ggml.merges")) tokens.merges = *merges;
  if (tokens.texts.empty() || tokens.types.size() != tokens.texts.size()) {
    throw BadFile(file.path() + ": tokenizer.ggml.tokens and token_type are missing or do not match");
  }
  return tokens;
}

}  // namespace detail

/// Writes the tokenizer of a GGUF file as the text of a tokenizer.json.
/// @throws BadFile for lists that do not match, Unsupported naming a kind of tokenizer that is not implemented.
inline std::string gguf_tokenizer_text(const GgufFile& file) {
  const detail::GgufTokens tokens = detail::read_gguf_tokens(file);
  const auto* pre = file.find_value<std::string>("tokenizer.ggml.pre");
  const std::string kind = pre == nullptr ? "gpt-2" : *pre;
  Json vocabulary = Json::object();
  Json added = Json::array();
  for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
    const auto type = static_cast<int>(tokens.types[id]);
    if (type == 5) continue;
    vocabulary[tokens.texts[id]] = id;
    if (type != 3 && type != 4) continue;
    added.push_back({{"id", id},
                     {"content", tokens.texts[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type == 3}});
  }
  Json json;
  json["version"] = "1.0";
  json["added_tokens"] = std::move(added);
  json["normalizer"] = kind == "qwen2" ? Json{{"type", "NFC"}} : Json();
  json["pre_tokenizer"] = detail::gguf_pre_tokenizer(file, kind);
  json["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  json["model"] = {{"type", "BPE"},
                   {"ignore_merges", kind == "llama-bpe"},
                   {"vocab", std::move(vocabulary)},
                   {"merges", tokens.merges}};
  const detail::GgufFields fields(file);
  const std::int32_t begin = fields.token("bos");
  const auto* adds = file.find_value<bool>("tokenizer.ggml.add_bos_token");
  if (adds != nullptr && *adds && begin >= 0 && static_cast<std::size_t>(begin) < tokens.texts.size()) {
    const std::string& name = tokens.texts[static_cast<std::size_t>(begin)];
    json["post_processor"] = {{"type", "TemplateProcessing"},
                              {"single", {{{"SpecialToken", {{"id", name}, {"type_id", 0}}}}}},
                              {"pair", Json::array()},
                              {"special_tokens", {{name, {{"id", name}, {"ids", {begin}}, {"tokens", {name}}}}}}};
  }
  return dump_json(json);
}

/// Reads the tokenizer of a GGUF file. Its files() are a tokenizer.json, a tokenizer_config.json and, if the file has a
/// chat template, chat_template.jinja, so that save_model writes a whole folder.
/// @throws as gguf_tokenizer_text and parse_bpe_tokenizer.
inline BpeTokenizer load_gguf_tokenizer(const GgufFile& file) {
  const detail::GgufFields fields(file);
  const std::vector<std::string>* texts = file.find_value<std::vector<std::string>>("tokenizer.ggml.tokens");
  std::map<std::string, std::string> files{{"tokenizer.json", gguf_tokenizer_text(file)}};
  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  BpeTokenizerOptions options;
  for (const char* role : {"bos", "eos"}) {
    const std::int32_t id = fields.token(role);
    if (id < 0 || static_cast<std::size_t>(id) >= texts->size()) continue;
    const std::string& name = (*texts)[static_cast<std::size_t>(id)];
    config[std::string(role) + "_token"] = name;
    if (std::string_view(role) == "eos") options.end = name;
  }
  files["tokenizer_config.json"] = dump_json(config, 2) + "\n";
  const auto* chat = file.find_value<std::string>("tokenizer.chat_template");
  if (chat != nullptr) files["chat_template.jinja"] = *chat;
  const std::string text = files["tokenizer.json"];
  return detail::parse_bpe_tokenizer(text, file.path(), options, std::move(files));
}

}  // namespace maestro
