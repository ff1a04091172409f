#pragma once

/// @file
/// The chat template of a checkpoint, from the files in its folder.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/gguf.hpp"
#include "maestro/io/json.hpp"
#include "maestro/text/chat_encode.hpp"
#include "maestro/text/chat_format.hpp"
#include "maestro/text/chat_template.hpp"

namespace maestro {

/// ChatTemplateSource says where a chat template comes from, and which further variables it has.
struct ChatTemplateSource {
  std::string file{};       ///< file of the template; empty for the folder's own
  std::string variables{};  ///< further variables as a JSON object, such as {"reasoning_effort": "low"}
};

namespace detail {

inline constexpr std::size_t largest_template = std::size_t{1} << 20;
inline constexpr std::size_t largest_tokenizer_config = std::size_t{1} << 26;

/// Gives a JSON value as a template's value.
/// @throws BadFile for whole numbers beyond 64 bits.
inline jinja::Value template_value(const OrderedJson& json, const std::string& place) {
  if (json.is_null()) return {};
  if (json.is_boolean()) return jinja::Value(json.get<bool>());
  if (json.is_string()) return jinja::text_value(json.get<std::string>());
  if (json.is_number_float()) return jinja::Value(json.get<double>());
  if (json.is_number()) {
    const bool fits = !json.is_number_unsigned() ||
                      json.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!fits) throw BadFile(place + ": a whole number does not fit into 64 bits");
    return jinja::Value(json.get<std::int64_t>());
  }
  if (json.is_array()) {
    std::vector<jinja::Value> items;
    for (const OrderedJson& item : json) items.push_back(template_value(item, place));
    return jinja::sequence_value(std::move(items));
  }
  std::vector<std::pair<jinja::Value, jinja::Value>> items;
  for (const auto& [key, value] : json.items()) {
    items.emplace_back(jinja::text_value(key), template_value(value, place));
  }
  return jinja::dict_value(std::move(items));
}

/// Gives the variables of a JSON object; none for an empty text.
inline std::vector<jinja::Variable> template_variables(const std::string& text) {
  std::vector<jinja::Variable> variables;
  if (text.empty()) return variables;
  const std::string place = "the variables of the chat template";
  const OrderedJson json = parse_ordered_json(text, place);
  if (!json.is_object()) {
    throw BadFile(place + ": they must be a JSON object, such as {\"enable_thinking\": false}");
  }
  for (const auto& [name, value] : json.items()) {
    variables.emplace_back(name, template_value(value, place));
  }
  return variables;
}

/// Gives the template in the field `chat_template`: a text, or the text named "default" in a list, which transformers
/// uses without tools.
inline std::optional<std::string> template_in(const JsonFields& fields) {
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
                    "; give the file of a template, or choose a chat format by name: " + chat_format_names());
}

/// Adds the named special tokens of a JSON file, which are texts or objects with their `content`.
inline void add_special_tokens(const JsonFields& fields, std::vector<jinja::Variable>& variables) {
  for (const char* name :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
    const auto same = [&](const jinja::Variable& variable) { return variable.first == name; };
    if (!fields.has(name) || std::any_of(variables.begin(), variables.end(), same)) continue;
    const std::string text = fields.at(name).is_object() ? fields.object(name).text("content") : fields.text(name);
    variables.emplace_back(name, jinja::text_value(text));
  }
}

/// TemplateFolder reads the JSON files of a folder that may hold a template or special tokens.
class TemplateFolder {
 public:
  explicit TemplateFolder(const std::string& folder) : folder_(folder) {
    for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
      read(folder + "/" + name, [&](const JsonFields& fields) { add_special_tokens(fields, variables_); });
    }
  }

  /// Gives the folder's template. The files are tried in transformers' order.
  std::optional<std::string> find(std::string& file) const {
    file = folder_ + "/chat_template.jinja";
    if (path_exists(file)) return read_file(file, largest_template);
    std::optional<std::string> text;
    for (const char* name : {"tokenizer_config.json", "chat_template.json"}) {
      file = folder_ + "/" + name;
      read(file, [&](const JsonFields& fields) { text = template_in(fields); });
      if (text) return text;
    }
    file = folder_ + "/additional_chat_templates";
    if (!path_exists(file)) return std::nullopt;
    throw Unsupported(file +
                      ": there are templates beside the default one, but no default one (chat_template.jinja); "
                      "give the file of one, or choose a chat format by name: " +
                      chat_format_names());
  }

  const std::vector<jinja::Variable>& variables() const { return variables_; }

 private:
  template <class F>
  static void read(const std::string& path, F&& f) {
    if (!path_exists(path)) return;
    const Json json = parse_json(read_file(path, largest_tokenizer_config), path);
    f(JsonFields(json, path));
  }

  std::string folder_;
  std::vector<jinja::Variable> variables_;
};

/// Gives the template of a GGUF file, and adds the special tokens that it may use.
inline std::optional<std::string> gguf_template(const GgufFile& file, std::vector<jinja::Variable>& variables) {
  const auto* tokens = file.find_value<std::vector<std::string>>("tokenizer.ggml.tokens");
  static constexpr std::pair<const char*, const char*> roles[] = {
      {"bos_token", "bos"},     {"eos_token", "eos"},
      {"unk_token", "unknown"}, {"sep_token", "seperator"},  // the format's spelling
      {"pad_token", "padding"}, {"mask_token", "mask"}};
  for (const auto& [name, role] : roles) {
    const auto* id = file.find_value<std::int64_t>("tokenizer.ggml." + std::string(role) + "_token_id");
    if (id == nullptr || tokens == nullptr || *id < 0 || static_cast<std::size_t>(*id) >= tokens->size()) continue;
    variables.emplace_back(name, jinja::text_value((*tokens)[static_cast<std::size_t>(*id)]));
  }
  const auto* text = file.find_value<std::string>("tokenizer.chat_template");
  return text == nullptr ? std::nullopt : std::optional(*text);
}

/// Makes the chat format of a template, and renders one question as a test.
inline ChatFormat tried_format(const std::string& file, const std::string& text,
                               std::vector<jinja::Variable> variables) {
  if (text.size() > largest_template) throw BadFile(file + ": the chat template is longer than 1 MiB");
  const std::string remedy = "; choose a chat format by name, or mend the template: " + chat_format_names();
  try {
    ChatFormat format = chat_format_of_template(file, text, std::move(variables));
    const Message message{"user", "Hello"};
    if (render_chat(format, {&message, 1}, GenerationPrompt::add).empty()) {
      throw Unsupported(file + ": the chat template writes nothing of a question" + remedy);
    }
    return format;
  } catch (const BadArgument& error) {
    throw BadFile(error.what() + remedy);
  } catch (const BadData& error) {
    throw Unsupported(std::string(error.what()) + "; a question could not be written" + remedy);
  }
}

}  // namespace detail

/// Gives the chat format of a model folder: its own template, evaluated as by transformers' apply_chat_template, or
/// ChatKind::none if it has none. The template is that of `source.file`, else chat_template.jinja, else the field
/// `chat_template` of tokenizer_config.json or chat_template.json. For a GGUF file it is that of the metadata. Its
/// variables are the named special tokens of tokenizer_config.json and special_tokens_map.json. One question is
/// rendered as a test. The day that a template may write is ChatFormat::date.
/// @throws IoError; BadFile for a malformed file or template; BadArgument for variables without a template; Unsupported
///         naming file and line for what is not implemented, with the names for chat_format_from_name.
inline ChatFormat detect_chat_format(const std::string& folder, const ChatTemplateSource& source = {}) {
  std::vector<jinja::Variable> variables;
  std::optional<std::string> text;
  std::string file = source.file;
  if (is_gguf(folder)) {
    text = detail::gguf_template(GgufFile(folder), variables);
    if (file.empty()) file = folder;
  } else {
    const detail::TemplateFolder files(folder);
    variables = files.variables();
    if (file.empty()) text = files.find(file);
  }
  if (!source.file.empty()) text = read_file(source.file, detail::largest_template);
  if (!text) {
    if (source.variables.empty()) return {};
    throw BadArgument("variables of a chat template have no effect: " + folder +
                      " has no template; give the file of one");
  }
  for (jinja::Variable& own : detail::template_variables(source.variables)) variables.push_back(std::move(own));
  return detail::tried_format(file, *text, std::move(variables));
}

}  // namespace maestro
