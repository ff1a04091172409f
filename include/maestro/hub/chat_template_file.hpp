#pragma once

/// @file
/// The chat format of a checkpoint, recognized from the template in its folder.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_template.hpp"

namespace maestro {

namespace detail {

inline constexpr std::size_t largest_template = std::size_t{1} << 20;
inline constexpr std::size_t largest_tokenizer_config = std::size_t{1} << 26;

/// Gives the field `chat_template` of tokenizer_config.json: a text, or a list of named texts of which "default"
/// counts.
inline std::optional<std::string> template_in_config(const JsonFields& fields) {
  if (!fields.has("chat_template")) return std::nullopt;
  const Json& field = fields.at("chat_template");
  if (!field.is_array()) return fields.text("chat_template");
  std::string names;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const JsonFields entry(field[i], fields.file(), "chat_template[" + std::to_string(i) + "].");
    if (entry.text("name") == "default") return entry.text("template");
    names += (names.empty() ? "" : ", ") + quote_text(entry.text("name"));
  }
  throw Unsupported(fields.file() + ": field 'chat_template' has no template named \"default\", only " +
                    (names.empty() ? "an empty list" : names) +
                    "; choose a chat format by name: " + chat_format_names());
}

/// Gives the name of the begin token: a text, or an object with its `content`; empty if there is none.
inline std::string begin_token_name(const JsonFields& fields) {
  if (!fields.has("bos_token")) return {};
  if (fields.at("bos_token").is_object()) return fields.object("bos_token").text("content");
  return fields.text("bos_token");
}

/// Checks that the tokenizer's begin token, the template's `bos_token`, is the one that the Llama formats assume:
/// <|begin_of_text|>.
inline void check_begin_token(const JsonFields* fields, const std::string& file, const ChatFormat& format) {
  if (format.kind != ChatKind::llama3 && format.kind != ChatKind::llama3_1) return;
  const std::string name = fields == nullptr ? std::string() : begin_token_name(*fields);
  if (name == "<|begin_of_text|>") return;
  throw Unsupported(file + ": the chat template begins with the tokenizer's 'bos_token', which is " +
                    (name.empty() ? std::string("missing") : quote_text(name)) +
                    "; only \"<|begin_of_text|>\" is implemented");
}

}  // namespace detail

/// Gives the chat format of a model folder: that of the template in chat_template.jinja, else that of the field
/// `chat_template` of tokenizer_config.json; ChatKind::none if there is neither. The template is recognized
/// (recognize_chat_template), never run. Llama 3.2's template writes the day of the run; here the day is
/// ChatFormat::date.
/// @throws IoError, BadFile for a file that is malformed, Unsupported naming the file of a template that is not known,
///   with the names that chat_format_from_name takes instead.
inline ChatFormat detect_chat_format(const std::string& folder) {
  const std::string config = folder + "/tokenizer_config.json";
  const std::string own = folder + "/chat_template.jinja";
  std::optional<Json> json;
  std::optional<JsonFields> fields;
  if (path_exists(config)) {
    json = parse_json(read_file(config, detail::largest_tokenizer_config), config);
    fields.emplace(*json, config);
  }
  const bool own_file = path_exists(own);
  const std::string& file = own_file ? own : config;
  std::optional<std::string> text;
  if (own_file) {
    text = read_file(own, detail::largest_template);
  } else if (fields) {
    text = detail::template_in_config(*fields);
  }
  if (!text) return {};
  if (text->size() > detail::largest_template) throw BadFile(file + ": the chat template is longer than 1 MiB");
  const std::optional<ChatFormat> format = recognize_chat_template(*text);
  if (!format) {
    throw Unsupported(file +
                      ": the chat template is not one of those that are implemented; choose a chat format by "
                      "name that writes the same: " +
                      chat_format_names());
  }
  detail::check_begin_token(fields ? &*fields : nullptr, config, *format);
  return *format;
}

}  // namespace maestro
