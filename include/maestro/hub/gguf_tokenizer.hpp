#pragma once

/// @file
/// The tokenizer and the chat template in the metadata of a GGUF file. Needs maestro::tokenizers.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/bpe_tokenizer_json.hpp"
#include "maestro/hub/gguf_config.hpp"
#include "maestro/hub/tokenizer_files.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/any_tokenizer.hpp"
#include "maestro/text/bpe_tokenizer.hpp"
#include "maestro/text/metaspace.hpp"

namespace maestro {

namespace detail {

inline bool is_llama3_kind(std::string_view kind) {
  return kind == "llama-bpe" || kind == "llama3" || kind == "llama-v3";
}

/// Gives the pre-tokenizer of the kind in tokenizer.ggml.pre, in the form of a tokenizer.json.
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
  if (is_llama3_kind(kind)) {
    return with(split("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+"
                      "[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"),
                bytes(false));
  }
  throw Unsupported(file.path() + ": tokenizer.ggml.pre is " + quote_text(kind) +
                    ", which is not implemented; gpt-2, llama-bpe, qwen2 and smollm are");
}

/// GgufTokens holds the lists of a file's tokenizer.
struct GgufTokens {
  std::vector<std::string> texts;
  std::vector<double> types;
  std::vector<std::string> merges;
  std::vector<double> scores;
  bool pieces = false;  ///< of SentencePiece's kind, with scores instead of merges

  static constexpr int normal = 1;
  static constexpr int unknown = 2;
  static constexpr int control = 3;
  static constexpr int user_defined = 4;
  static constexpr int unused = 5;
  int type(std::size_t id) const { return static_cast<int>(types[id]); }
};

inline GgufTokens read_gguf_tokens(const GgufFile& file) {
  const auto* model = file.find_value<std::string>("tokenizer.ggml.model");
  if (model == nullptr || (*model != "gpt2" && *model != "llama")) {
    throw Unsupported(file.path() + ": tokenizer.ggml.model is " + (model == nullptr ? "missing" : quote_text(*model)) +
                      "; only \"gpt2\" (byte-level BPE) and \"llama\" (SentencePiece's BPE) are implemented; take the "
                      "model's own folder");
  }
  GgufTokens tokens;
  tokens.pieces = *model == "llama";
  if (const auto* texts = file.find_value<std::vector<std::string>>("tokenizer.ggml.tokens")) tokens.texts = *texts;
  if (const auto* types = file.find_value<std::vector<double>>("tokenizer.ggml.token_type")) tokens.types = *types;
  if (const auto* merges = file.find_value<std::vector<std::string>>("tokenizer.ggml.merges")) tokens.merges = *merges;
  if (const auto* scores = file.find_value<std::vector<double>>("tokenizer.ggml.scores")) tokens.scores = *scores;
  if (tokens.texts.empty() || tokens.types.size() != tokens.texts.size() ||
      (tokens.pieces && tokens.scores.size() != tokens.texts.size())) {
    throw BadFile(file.path() + ": tokenizer.ggml.tokens, token_type and scores are missing or do not match");
  }
  return tokens;
}

/// Gives the merges of SentencePiece's pieces: every pair of pieces that makes a third, the best score first. Of two
/// pairs that make the same piece, the one with the longer left part is first, as in transformers' generate_merges.
inline Json merges_of_pieces(const GgufTokens& tokens) {
  struct Merge {
    double score;
    std::size_t left_length;  // in characters
    std::string_view left;
    std::string_view right;
  };
  const auto is_piece = [&](std::size_t id) {
    return tokens.type(id) == GgufTokens::normal || tokens.type(id) == GgufTokens::user_defined;
  };
  std::unordered_set<std::string_view> pieces;
  for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
    if (is_piece(id)) pieces.insert(tokens.texts[id]);
  }
  std::vector<Merge> merges;
  for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
    if (!is_piece(id)) continue;
    const std::string_view text = tokens.texts[id];
    std::size_t characters = 0;
    for (std::size_t at = 1; at < text.size(); ++at) {
      if ((static_cast<unsigned char>(text[at]) & 0xc0u) == 0x80u) continue;
      ++characters;
      if (!pieces.contains(text.substr(0, at)) || !pieces.contains(text.substr(at))) continue;
      merges.push_back({tokens.scores[id], characters, text.substr(0, at), text.substr(at)});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return a.score != b.score ? a.score > b.score : a.left_length > b.left_length;
  });
  Json json = Json::array();
  for (const Merge& merge : merges) json.push_back({std::string(merge.left), std::string(merge.right)});
  return json;
}

/// Adds the vocabulary and special tokens of a tokenizer.json. A token that begins a text or ends a response is
/// special, whatever its type in the file is.
inline void write_gguf_vocabulary(const GgufFile& file, const GgufTokens& tokens, Json& json) {
  const GgufFields fields(file);
  const std::array roles{fields.token("bos"), fields.token("eos"), fields.token("eot")};
  Json vocabulary = Json::object();
  Json added = Json::array();
  for (std::size_t id = 0; id < tokens.texts.size(); ++id) {
    const int type = tokens.type(id);
    if (type == GgufTokens::unused) continue;
    if (!vocabulary.emplace(tokens.texts[id], id).second) {
      throw BadFile(file.path() + ": tokenizer.ggml.tokens has " + quote_text(tokens.texts[id]) + " twice");
    }
    const bool special = type == GgufTokens::control || type == GgufTokens::unknown ||
                         std::find(roles.begin(), roles.end(), static_cast<std::int32_t>(id)) != roles.end();
    if (!special && type != GgufTokens::user_defined) continue;
    added.push_back({{"id", id},
                     {"content", tokens.texts[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  json["added_tokens"] = std::move(added);
  json["model"]["vocab"] = std::move(vocabulary);
}

/// Adds the steps of a byte-level tokenizer.
inline void write_gguf_bytes(const GgufFile& file, const std::string& kind, const GgufTokens& tokens, Json& json) {
  json["normalizer"] = kind == "qwen2" ? Json{{"type", "NFC"}} : Json();
  json["pre_tokenizer"] = gguf_pre_tokenizer(file, kind);
  json["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  json["model"]["ignore_merges"] = is_llama3_kind(kind);
  json["model"]["merges"] = tokens.merges;
}

/// Adds the steps of a tokenizer of SentencePiece's kind, as in the tokenizer.json of Llama 2.
inline void write_gguf_pieces(const GgufFile& file, const GgufTokens& tokens, Json& json) {
  const auto* prefix = file.find_value<bool>("tokenizer.ggml.add_space_prefix");
  const bool prefixed = prefix == nullptr || *prefix;
  const auto replace = [](std::string_view from, std::string_view to) {
    return Json{{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
  };
  Json steps = Json::array();
  if (prefixed) steps.push_back({{"type", "Prepend"}, {"prepend", metaspace_symbol}});
  steps.push_back(replace(" ", metaspace_symbol));
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
  json["pre_tokenizer"] = nullptr;
  Json decoders = Json::array({replace(metaspace_symbol, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}});
  if (prefixed) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  json["decoder"] = {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  const auto unknown = std::find(tokens.types.begin(), tokens.types.end(), double{GgufTokens::unknown});
  if (unknown != tokens.types.end()) {
    json["model"]["unk_token"] = tokens.texts[static_cast<std::size_t>(unknown - tokens.types.begin())];
  }
  json["model"]["fuse_unk"] = true;
  json["model"]["byte_fallback"] = true;
  json["model"]["merges"] = merges_of_pieces(tokens);
}

/// Gives the post-processor that puts the begin token first; null if there is none. If a file does not say so,
/// llama.cpp's default holds: the token is first for SentencePiece's kind and for Llama 3's.
inline Json gguf_post_processor(const GgufFile& file, const GgufTokens& tokens, const std::string& kind) {
  const std::int32_t begin = GgufFields(file).token("bos");
  const auto* says = file.find_value<bool>("tokenizer.ggml.add_bos_token");
  const bool adds = says != nullptr ? *says : tokens.pieces || is_llama3_kind(kind);
  if (!adds || begin < 0 || static_cast<std::size_t>(begin) >= tokens.texts.size()) return {};
  const std::string& name = tokens.texts[static_cast<std::size_t>(begin)];
  return {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", name}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair",
       {{{"SpecialToken", {{"id", name}, {"type_id", 0}}}},
        {{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
        {{"Sequence", {{"id", "B"}, {"type_id", 1}}}}}},
      {"special_tokens", {{name, {{"id", name}, {"ids", {begin}}, {"tokens", {name}}}}}}};
}

}  // namespace detail

/// Gives the tokenizer of a GGUF file as the text of a tokenizer.json.
/// @throws BadFile for lists that do not match; Unsupported naming a kind of tokenizer that is not implemented.
inline std::string gguf_tokenizer_text(const GgufFile& file) {
  const detail::GgufTokens tokens = detail::read_gguf_tokens(file);
  const auto* pre = file.find_value<std::string>("tokenizer.ggml.pre");
  const std::string kind = pre == nullptr ? "gpt-2" : *pre;
  Json json;
  json["version"] = "1.0";
  json["truncation"] = nullptr;
  json["padding"] = nullptr;
  json["model"]["type"] = "BPE";
  if (tokens.pieces) {
    detail::write_gguf_pieces(file, tokens, json);
  } else {
    detail::write_gguf_bytes(file, kind, tokens, json);
  }
  detail::write_gguf_vocabulary(file, tokens, json);
  json["post_processor"] = detail::gguf_post_processor(file, tokens, kind);
  return dump_json(json);
}

/// Reads the tokenizer of a GGUF file. Its files() are a tokenizer.json, a tokenizer_config.json and, if the file has a
/// chat template, chat_template.jinja, so that save_model writes a complete folder.
/// @param end_id  the token that ends responses if the file names none.
/// @throws BadFile or Unsupported as gguf_tokenizer_text and parse_bpe_tokenizer.
inline BpeTokenizer load_gguf_tokenizer(const GgufFile& file, std::optional<std::int32_t> end_id = std::nullopt) {
  const detail::GgufFields fields(file);
  const std::vector<std::string>* texts = file.find_value<std::vector<std::string>>("tokenizer.ggml.tokens");
  std::map<std::string, std::string> files{{"tokenizer.json", gguf_tokenizer_text(file)}};
  Json config{{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  BpeTokenizerOptions options{.end_id = end_id};
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

namespace detail {

inline AnyTokenizer read_any_gguf_tokenizer(const std::string& path, std::optional<std::int32_t> end_id) {
  return AnyTokenizer(load_gguf_tokenizer(GgufFile(path), end_id));
}
/// Registers the reader for load_any_tokenizer, in every translation unit of the program and before main begins.
inline const bool gguf_tokenizer_is_known = (gguf_tokenizer_reader = &read_any_gguf_tokenizer, true);

}  // namespace detail

}  // namespace maestro
