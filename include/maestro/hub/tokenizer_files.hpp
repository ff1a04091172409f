#pragma once

/// @file
/// The tokenizer of a model folder: tokenizer.json and the files beside it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/hub/tokenizer_json.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/any_tokenizer.hpp"
#include "maestro/text/byte_tokenizer.hpp"

namespace maestro {

namespace detail {

inline constexpr std::size_t largest_tokenizer_file = std::size_t{1} << 28;

/// Gives names and contents of the files in a folder that belong to its tokenizer.
inline std::map<std::string, std::string> read_tokenizer_files(const std::string& folder) {
  static constexpr std::array names{
      "tokenizer_config.json", "chat_template.jinja", "chat_template.json", "special_tokens_map.json",
      "added_tokens.json",     "merges.txt",          "vocab.json"};
  std::map<std::string, std::string> files;
  files["tokenizer.json"] = read_file(folder + "/tokenizer.json", largest_tokenizer_file);
  for (const char* name : names) {
    const std::string path = folder + "/" + name;
    if (path_exists(path)) files[name] = read_file(path, largest_tokenizer_file);
  }
  return files;
}

/// Gives the eos_token of a tokenizer_config.json, which is a text or an object with its content; empty if there is
/// none.
inline std::string read_eos_token(const std::string& text, const std::string& path) {
  const Json json = parse_json(text, path);
  const JsonFields fields(json, path);
  if (!fields.has("eos_token")) return {};
  return fields.at("eos_token").is_object() ? fields.object("eos_token").text("content") : fields.text("eos_token");
}

inline void write_files_as_read(const std::string& folder, const std::map<std::string, std::string>& files) {
  require(!files.empty(), "write_tokenizer_files: this tokenizer was not read from files");
  for (const auto& [name, content] : files) write_file(folder + "/" + name, content);
}

/// Makes the byte-level tokenizer from files. A response ends with the eos_token, else with the special token `end_id`,
/// else with <|endoftext|>.
inline ByteTokenizer parse_byte_tokenizer(const std::map<std::string, std::string>& files, const std::string& folder,
                                          std::optional<std::int32_t> end_id) {
  std::string end;
  const auto config = files.find("tokenizer_config.json");
  if (config != files.end()) end = read_eos_token(config->second, folder + "/tokenizer_config.json");
  if (end.empty()) {
    const std::int32_t index = end_id.value_or(ByteTokenizer::first_special) - ByteTokenizer::first_special;
    const bool special = index >= 0 && static_cast<std::size_t>(index) < ByteTokenizer::special_names.size();
    end = ByteTokenizer::special_names[special ? static_cast<std::size_t>(index) : 0];
  }
  return parse_tokenizer(files.at("tokenizer.json"), folder + "/tokenizer.json", end);
}

/// TokenizerReader is a function that reads a byte-level BPE tokenizer. The variable below is nullptr if no translation
/// unit includes maestro/tokenizers.hpp; hub/bpe_tokenizer_json.hpp sets it before main begins.
using TokenizerReader = AnyTokenizer (*)(const std::string& folder, std::optional<std::int32_t> end_id);
inline TokenizerReader bpe_tokenizer_reader = nullptr;
/// The reader for the tokenizer of a GGUF file, which hub/gguf_tokenizer.hpp sets.
inline TokenizerReader gguf_tokenizer_reader = nullptr;

}  // namespace detail

/// Reads the tokenizer of a model folder. The end token is the `eos_token` of tokenizer_config.json, if there is one.
/// @throws IoError; BadFile; Unsupported for any tokenizer except the byte-level one.
inline ByteTokenizer load_tokenizer(const std::string& folder) {
  return detail::parse_byte_tokenizer(detail::read_tokenizer_files(folder), folder, std::nullopt);
}

/// Reads the tokenizer of a model folder of either kind: the byte-level one without merges, or BPE. BPE and the
/// tokenizers of GGUF files need a program that links maestro::tokenizers and includes maestro/tokenizers.hpp in any of
/// its translation units. The folder's files are kept, so that write_tokenizer_files writes them unchanged.
/// @param end_tokens  those of the model (ModelConfig::end_tokens); the first one ends a response if the folder has no
///                    eos_token.
/// @throws IoError; BadFile; Unsupported naming what is not implemented, or the missing header and target.
inline AnyTokenizer load_any_tokenizer(const std::string& folder, std::span<const std::int32_t> end_tokens = {}) {
  std::optional<std::int32_t> end_id;
  if (!end_tokens.empty()) end_id = end_tokens.front();
  if (is_gguf(folder)) {
    if (detail::gguf_tokenizer_reader != nullptr) return detail::gguf_tokenizer_reader(folder, end_id);
    throw Unsupported(
        folder +
        ": tokenizers of GGUF files are not implemented in this program; include <maestro/tokenizers.hpp> "
        "in one of its source files and link maestro::tokenizers");
  }
  try {
    std::map<std::string, std::string> files = detail::read_tokenizer_files(folder);
    const ByteTokenizer tokenizer = detail::parse_byte_tokenizer(files, folder, end_id);
    return AnyTokenizer(tokenizer, std::move(files));
  } catch (const Unsupported& error) {
    if (detail::bpe_tokenizer_reader == nullptr) {
      throw Unsupported(std::string(error.what()) +
                        " in this program; for byte-level BPE include <maestro/tokenizers.hpp> in one of its source "
                        "files and link maestro::tokenizers");
    }
  }
  return detail::bpe_tokenizer_reader(folder, end_id);
}

/// Writes tokenizer.json and tokenizer_config.json into an existing folder.
/// @throws IoError if a file cannot be written.
inline void write_tokenizer_files(const std::string& folder, const ByteTokenizer& tokenizer) {
  write_file(folder + "/tokenizer.json", tokenizer_text(tokenizer));
  OrderedJson json = OrderedJson::object();
  json["tokenizer_class"] = "PreTrainedTokenizerFast";
  json["add_prefix_space"] = false;
  json["clean_up_tokenization_spaces"] = false;
  json["eos_token"] = tokenizer.special_name(tokenizer.end_token());
  json["pad_token"] = std::string(ByteTokenizer::special_names[0]);
  write_file(folder + "/tokenizer_config.json", dump_json(json, 2) + "\n");
}

/// Writes the files from which the tokenizer was read, byte for byte, into an existing folder. The files of a
/// ByteTokenizer that was not read from files are made anew.
/// @throws IoError; BadArgument for another tokenizer that was not read from files.
inline void write_tokenizer_files(const std::string& folder, const AnyTokenizer& tokenizer) {
  const ByteTokenizer* bytes = tokenizer.get_if<ByteTokenizer>();
  if (tokenizer.files().empty() && bytes != nullptr) return write_tokenizer_files(folder, *bytes);
  detail::write_files_as_read(folder, tokenizer.files());
}

}  // namespace maestro
