#pragma once

/// @file
/// The tokenizer.json of BPE tokenizers, byte-level (Qwen2, Qwen3, Llama 3, SmolLM2 and similar ones) or of
/// SentencePiece's kind (Llama 2, TinyLlama, Mistral), and the tokenizer files of a model folder. Needs
/// maestro::tokenizers.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/hub/bpe_tokenizer_steps.hpp"
#include "maestro/hub/tokenizer_files.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/any_tokenizer.hpp"
#include "maestro/text/bpe_tokenizer.hpp"

namespace maestro {

/// BpeTokenizerOptions selects the special token that ends a response. `end` is its name. If `end` is empty, it is the
/// eos_token of tokenizer_config.json. If there is none either, `end_id` is its id, such as the eos_token_id of
/// generation_config.json.
struct BpeTokenizerOptions {
  std::string end{};
  std::optional<std::int32_t> end_id{};
};

namespace detail {

/// BpeIds maps tokens, which are views into the JSON, to ids.
using BpeIds = std::unordered_map<std::string_view, std::int32_t>;

inline BpeIds read_vocabulary(const JsonFields& model, BpeTokenizerParts& parts) {
  const JsonFields vocabulary = model.object("vocab");
  BpeIds ids;
  ids.reserve(vocabulary.json().size());
  parts.vocabulary.reserve(vocabulary.json().size());
  for (const auto& [token, id] : vocabulary.json().items()) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(BpeTables::id_limit)) {
      throw BadFile(model.file() + ": field 'model.vocab' token " + quote_text(token) + " must have an id in 0 .. " +
                    std::to_string(BpeTables::id_limit - 1) + ", found " + shown(id));
    }
    parts.vocabulary.emplace_back(token, static_cast<std::int32_t>(id.get<std::uint64_t>()));
  }
  for (const auto& [token, id] : parts.vocabulary) ids.emplace(token, id);
  return ids;
}

/// Reads one entry of model.merges: "a b" or ["a", "b"].
inline std::pair<std::string_view, std::string_view> read_pair(const JsonFields& model, const Json& entry,
                                                               std::size_t index) {
  const auto refuse = [&] {
    throw BadFile(model.file() + ": field 'model.merges' entry " + std::to_string(index) +
                  " must be two tokens, found " + shown(entry));
  };
  if (entry.is_string()) {
    const std::string_view text = entry.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) refuse();
    return {text.substr(0, space), text.substr(space + 1)};
  }
  if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_string()) refuse();
  return {entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>()};
}

inline void read_merges(const JsonFields& model, const BpeIds& ids, BpeTokenizerParts& parts) {
  const Json& merges = model.at("merges");
  if (!merges.is_array()) model.fail("merges", "an array");
  parts.merges.reserve(merges.size());
  std::string joined;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    // This is the first line of a merges.txt, in files made from one.
    if (merges[i].is_string() && merges[i].get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = read_pair(model, merges[i], i);
    joined.assign(left).append(right);
    const auto id = [&](std::string_view token) {
      const auto it = ids.find(token);
      if (it != ids.end()) return it->second;
      throw BadFile(model.file() + ": field 'model.merges' entry " + std::to_string(i) + " needs the token " +
                    quote_text(token) + ", which is not in 'model.vocab'");
    };
    parts.merges.push_back({id(left), id(right), id(joined)});
  }
}

/// Refuses members with a value other than null, "" and false.
inline void check_unused(const JsonFields& model, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (!model.has(name)) continue;
    const Json& value = model.at(name);
    if (value != Json("") && value != Json(false))
      model.unsupported(name, "which is not implemented for byte-level BPE");
  }
}

inline void read_model(const JsonFields& model, BpeTokenizerParts& parts) {
  if (model.has("type") && model.text("type") != "BPE") model.unsupported("type", "only BPE is implemented");
  check_known(model, "model.",
              {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
               "byte_fallback", "ignore_merges", "vocab", "merges"});
  check_unused(model, {"continuing_subword_prefix", "end_of_word_suffix"});
  parts.byte_fallback = model.boolean_or("byte_fallback", false);
  if (!parts.metaspace && parts.byte_fallback) {
    model.unsupported("byte_fallback", "which is not implemented for byte-level BPE");
  }
  if (model.has("dropout") && model.number("dropout") != 0.0) {
    model.unsupported("dropout", "only tokenizers without it are implemented");
  }
  if (model.boolean_or("ignore_merges", false)) {
    if (parts.metaspace) model.unsupported("ignore_merges", "which is not implemented for SentencePiece models");
    parts.whole_words = WholeWords::taken;
  }
  const BpeIds ids = read_vocabulary(model, parts);
  read_merges(model, ids, parts);
  // A vocabulary with all bytes of UTF-8 never meets an unknown token.
  if (!model.has("unk_token") || model.text("unk_token").empty()) return;
  if (parts.metaspace) {
    const auto unknown = ids.find(model.text("unk_token"));
    if (unknown == ids.end()) model.fail("unk_token", "a token of 'model.vocab'");
    parts.metaspace->unknown = unknown->second;
    parts.metaspace->fuse_unknown = model.boolean_or("fuse_unk", false);
    return;
  }
  for (unsigned byte = 0; byte < 0xf5; ++byte) {
    const bool in_utf8 = byte != 0xc0 && byte != 0xc1;
    if (in_utf8 && !ids.contains(symbols_of_bytes(std::string(1, static_cast<char>(byte))))) {
      model.unsupported(
          "unk_token", "and 'model.vocab' lacks byte " + std::to_string(byte) + "; unknown tokens are not implemented");
    }
  }
}

inline void read_added_tokens(const JsonFields& root, BpeTokenizerParts& parts) {
  if (!root.has("added_tokens")) return;
  const Json& added = root.at("added_tokens");
  if (!added.is_array()) root.fail("added_tokens", "an array");
  for (std::size_t i = 0; i < added.size(); ++i) {
    const std::string prefix = "added_tokens[" + std::to_string(i) + "].";
    const JsonFields token(added[i], root.file(), prefix);
    check_known(token, prefix, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    parts.added_tokens.push_back({.id = static_cast<std::int32_t>(token.count("id", BpeTables::id_limit - 1)),
                                  .content = token.text("content"),
                                  .special = token.boolean("special"),
                                  .single_word = token.boolean("single_word"),
                                  .lstrip = token.boolean("lstrip"),
                                  .rstrip = token.boolean("rstrip"),
                                  .normalized = token.boolean("normalized")});
  }
}

inline std::int32_t end_id(const BpeTokenizerParts& parts, const BpeTokenizerOptions& options,
                           const std::string& file) {
  const std::string remedy = "; name one in the options, or mark it \"special\": true in 'added_tokens'";
  if (options.end.empty() && !options.end_id) {
    throw BadFile(file + ": nothing says which token ends a response (eos_token of tokenizer_config.json)" + remedy);
  }
  for (const AddedToken& token : parts.added_tokens) {
    const bool wanted = options.end.empty() ? token.id == *options.end_id : token.content == options.end;
    if (wanted && token.special) return token.id;
  }
  throw BadFile(file + ": the end token " +
                (options.end.empty() ? std::to_string(*options.end_id) : quote_text(options.end)) +
                " is no special token" + remedy);
}

inline BpeTokenizer parse_bpe_tokenizer(std::string_view text, const std::string& file,
                                        const BpeTokenizerOptions& options, std::map<std::string, std::string> files) {
  BpeTokenizerParts parts;
  {
    const Json json = parse_json(text, file);
    const JsonFields root(json, file);
    check_known(root, "",
                {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                 "decoder", "model"});
    if (root.has("version") && root.text("version") != "1.0")
      root.unsupported("version", "only \"1.0\" is implemented");
    // `truncation` and `padding` are what the last caller in Python asked for, and its next call resets them.
    parts.metaspace = read_metaspace(root);
    read_model(root.object("model"), parts);
    read_added_tokens(root, parts);
    if (!parts.metaspace) {
      parts.normalization = read_normalizer(root);
      parts.pre_tokenizer = read_pre_tokenizer(root);
      check_decoder(root);
    }
    parts.begin_token = read_begin_token(root);
  }
  parts.end_token = end_id(parts, options, file);
  parts.files = std::move(files);
  try {
    return BpeTokenizer(std::move(parts));
  } catch (const BadArgument& error) {
    throw BadFile(file + ": " + error.what());
  } catch (const Unsupported& error) {
    throw Unsupported(file + ": " + error.what());
  }
}

}  // namespace detail

/// Reads the text of a tokenizer.json.
/// @param file  name of the file, for messages.
/// @throws BadFile for malformed or contradictory content; Unsupported naming what is not implemented.
inline BpeTokenizer parse_bpe_tokenizer(std::string_view text, const std::string& file,
                                        const BpeTokenizerOptions& options = {}) {
  return detail::parse_bpe_tokenizer(text, file, options, {{"tokenizer.json", std::string(text)}});
}

/// Reads the tokenizer of a model folder. Its files (tokenizer.json, tokenizer_config.json, chat_template.jinja,
/// special_tokens_map.json, added_tokens.json, merges.txt, vocab.json) are kept in `files()`.
/// @throws IoError if a file cannot be read; BadFile or Unsupported as parse_bpe_tokenizer.
inline BpeTokenizer load_bpe_tokenizer(const std::string& folder, BpeTokenizerOptions options = {}) {
  std::map<std::string, std::string> files = detail::read_tokenizer_files(folder);
  const auto config = files.find("tokenizer_config.json");
  if (options.end.empty() && config != files.end()) {
    options.end = detail::read_eos_token(config->second, folder + "/tokenizer_config.json");
  }
  const std::string text = files["tokenizer.json"];
  return detail::parse_bpe_tokenizer(text, folder + "/tokenizer.json", options, std::move(files));
}

/// Writes the files from which the tokenizer was read, byte for byte, into an existing folder.
/// @throws IoError; BadArgument for a tokenizer that was not read from files.
inline void write_tokenizer_files(const std::string& folder, const BpeTokenizer& tokenizer) {
  detail::write_files_as_read(folder, tokenizer.files());
}

namespace detail {

inline AnyTokenizer read_any_bpe_tokenizer(const std::string& folder, std::optional<std::int32_t> end_id) {
  return AnyTokenizer(load_bpe_tokenizer(folder, {.end_id = end_id}));
}
/// Registers the reader for load_any_tokenizer, in every translation unit of the program and before main begins.
inline const bool bpe_tokenizer_is_known = (bpe_tokenizer_reader = &read_any_bpe_tokenizer, true);

}  // namespace detail

}  // namespace maestro
