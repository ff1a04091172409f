#pragma once

/// @file
/// One entry of a prompt file, in the forms in which people store prompts and conversations.

#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// OnBadLine says what happens to a line that is not a prompt.
enum class OnBadLine : std::uint8_t {
  stop,  ///< throws BadFile or Unsupported naming file and line
  skip,  ///< skips the line and counts it
};

/// LastAnswer says what happens to an assistant's message at the end of a conversation.
enum class LastAnswer : std::uint8_t {
  refuse,     ///< the line is bad
  reference,  ///< the message is moved from the conversation to the reference
};

inline constexpr std::array<std::string_view, 2> on_bad_line_names{"stop", "skip"};
inline constexpr std::array<std::string_view, 2> last_answer_names{"refuse", "reference"};

/// PromptColumns holds the keys of an entry's parts. If an entry does not have a key with dots, the key is a path into
/// objects and lists: "reward_model.ground_truth", "answers.0". All keys must differ. An empty key reads nothing.
/// `prompt` or `messages` must have a key, and `reference` and `task` must have one.
struct PromptColumns {
  std::string prompt = "prompt";        ///< a text, or a list of messages
  std::string messages = "messages";    ///< a list of messages; "conversations" if an entry has only that
  std::string system = "system";        ///< a text, the system message of an entry whose list has none
  std::string reference = "reference";  ///< a text, a number, true or false, or a list of one of these
  std::string task = "task";            ///< a text
};

/// PromptFileOptions holds how the entries of a prompt file are read.
struct PromptFileOptions {
  OnBadLine on_bad_line = OnBadLine::stop;
  LastAnswer last_answer = LastAnswer::refuse;
  PromptColumns columns{};
};

/// Lists the columns; see OptionList.
template <OptionsOf<PromptColumns> S, class F>
constexpr void visit_options(S& c, const F& f) {
  f({.name = "prompt_column", .help = "Key of the prompt in a line of --prompts"}, c.prompt);
  f({.name = "messages_column", .help = "Key of a conversation there; '' reads none"}, c.messages);
  f({.name = "system_column", .help = "Key of a system message there; '' reads none"}, c.system);
  f({.name = "reference_column", .help = "Key of the reference answer there"}, c.reference);
  f({.name = "task_column", .help = "Key of the task's name there"}, c.task);
}

/// Lists a prompt file's options; see OptionList.
template <OptionsOf<PromptFileOptions> S, class F>
constexpr void visit_options(S& o, const F& f) {
  f({.name = "on_bad_line", .help = "What a bad line of --prompts does: {}", .values = on_bad_line_names},
    o.on_bad_line);
  f({.name = "columns"}, o.columns);
  f({.name = "last_answer",
     .help = "An assistant's message at the end of a conversation: {} (becomes the reference)",
     .values = last_answer_names},
    o.last_answer);
}

namespace detail {

/// Gives a member of an object or of a list; nullptr if there is none.
inline const Json* find_member(const Json& value, std::string_view name) {
  if (value.is_object()) {
    const auto member = value.find(std::string(name));
    return member == value.end() ? nullptr : &*member;
  }
  std::size_t index = 0;
  const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  const bool whole = error == std::errc{} && stop == name.data() + name.size();
  return value.is_array() && whole && index < value.size() ? &value[index] : nullptr;
}

/// Gives a column of an entry, by its name or by its path; nullptr if there is none or it is null.
inline const Json* find_column(const Json& entry, std::string_view name) {
  if (name.empty()) return nullptr;
  for (const Json* at = &entry; at != nullptr;) {
    if (const Json* whole = find_member(*at, name)) return whole->is_null() ? nullptr : whole;
    const std::size_t dot = name.find('.');
    if (dot == std::string_view::npos) break;
    at = find_member(*at, name.substr(0, dot));
    name.remove_prefix(dot + 1);
  }
  return nullptr;
}

/// Gives the text of an answer: a text as it is, a number or boolean as JSON writes it, or the only element of a list.
/// The result is nullopt for anything else.
inline std::optional<std::string> answer_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (value.is_array() && value.size() == 1 && !value[0].is_structured()) return answer_text(value[0]);
  return std::nullopt;
}

/// Gives the role of a speaker in ShareGPT's files, or the name itself.
inline std::string role_of_speaker(std::string name) {
  if (name == "human") return "user";
  if (name == "gpt" || name == "chatgpt") return "assistant";
  return name;
}

/// Reads one message of a conversation: `role` and `content`, or ShareGPT's `from` and `value`. Keys that no chat
/// template here reads are ignored. Keys that a template would read are refused.
/// @throws BadFile for a field that is missing or of another type; Unsupported naming a key or role that is not
///         implemented.
inline Message parse_message(const JsonFields& fields) {
  for (const char* key : {"tool_calls", "tool_call_id", "function_call", "reasoning_content", "thinking", "images"}) {
    if (fields.has(key) && !fields.at(key).empty()) fields.unsupported(key, "which is not implemented; remove it");
  }
  const bool speaker = !fields.has("role") && fields.has("from");
  const std::string role = speaker ? "from" : "role";
  const std::string content = speaker ? "value" : "content";
  Message message{speaker ? role_of_speaker(fields.text(role)) : fields.text(role), {}};
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    fields.unsupported(role, "but only system, user and assistant are implemented");
  }
  if (fields.has(content) && fields.at(content).is_array()) {
    const Json& parts = fields.at(content);
    if (parts.size() != 1 || !parts[0].is_object() || parts[0].value("type", Json()) != Json("text")) {
      fields.unsupported(content, "a list of parts, of which only one text is implemented; give one text");
    }
    message.content = JsonFields(parts[0], fields.file(), content + "[0].").text("text");
    return message;
  }
  message.content = fields.text(content);
  return message;
}

/// Sets the conversation of a prompt. Its last message must be the user's, and it becomes the prompt's text.
/// @param place  file and field, for messages.
/// @throws BadFile if the last message is not the user's, or is empty, or if there are two references.
inline void finish_conversation(const std::string& place, const PromptFileOptions& options, Prompt& prompt) {
  if (!prompt.messages.empty() && prompt.messages.back().role == "assistant" &&
      options.last_answer == LastAnswer::reference) {
    if (!prompt.reference.empty()) {
      throw BadFile(place + " ends with an answer, and there is a '" + options.columns.reference +
                    "' too; keep one of them");
    }
    prompt.reference = std::move(prompt.messages.back().content);
    prompt.messages.pop_back();
  }
  if (prompt.messages.empty() || prompt.messages.back().role != "user") {
    throw BadFile(place + " must end with a message of the user" +
                  (!prompt.messages.empty() && prompt.messages.back().role == "assistant"
                       ? "; an answer at its end can be taken as the reference (LastAnswer::reference, --last-answer "
                         "reference)"
                       : ""));
  }
  prompt.text = prompt.messages.back().content;
  if (prompt.text.empty()) throw BadFile(place + ": the last message is empty");
}

/// EntryReader reads entries, and counts how many have each column.
class EntryReader {
 public:
  explicit EntryReader(const PromptFileOptions& options) : options_(options) { check_columns(); }

  /// Reads one entry; `place` is used in messages.
  /// @throws BadFile or Unsupported naming the place and the field.
  Prompt read(Json json, const std::string& place) {
    const JsonFields fields(json, place);
    const PromptColumns& columns = options_.columns;
    Prompt prompt;
    if (const Json* value = find(json, columns.reference, reference_)) {
      const std::optional<std::string> text = answer_text(*value);
      if (!text) refuse(place, columns.reference, *value, "a text, a number, or a list of one");
      prompt.reference = *text;
    }
    prompt.task = text_of(json, place, columns.task, task_);
    const std::string system = text_of(json, place, columns.system, system_);
    const std::string messages = messages_key(json);
    const Json* text = find(json, columns.prompt, prompt_);
    const Json* list = find(json, messages, messages_);
    if (text == nullptr && list == nullptr) {
      throw BadFile(place + ": field '" + columns.prompt + "' is missing" +
                    (columns.messages.empty() ? "" : " (or '" + columns.messages + "')") + missing_remedy(json));
    }
    if (list != nullptr) {
      read_conversation(fields, *list, messages, prompt);
      if (text != nullptr) check_same(place, *text, prompt);
    } else if (text->is_array()) {
      read_conversation(fields, *text, columns.prompt, prompt);
    } else {
      if (!text->is_string()) refuse(place, columns.prompt, *text, "a string or a list of messages");
      prompt.text = text->get<std::string>();
      if (prompt.text.empty()) throw BadFile(place + ": field '" + columns.prompt + "' is empty");
    }
    add_system(system, prompt);
    for (const std::string* known : names()) json.erase(*known);
    json.erase(messages);
    if (!json.empty()) prompt.metadata = dump_json(json);
    return prompt;
  }

  /// Refuses a column that is not the default and that no entry had.
  /// @throws BadArgument naming the column.
  void check_found(const std::string& file) const {
    const PromptColumns usual;
    const auto check = [&](const std::string& name, const std::string& standard, std::size_t count,
                           const char* option) {
      if (name.empty() || name == standard || count > 0) return;
      throw BadArgument(file + ": no entry has the key '" + name + "', which --" + option + "-column names");
    };
    check(options_.columns.prompt, usual.prompt, prompt_, "prompt");
    check(options_.columns.messages, usual.messages, messages_, "messages");
    check(options_.columns.system, usual.system, system_, "system");
    check(options_.columns.reference, usual.reference, reference_, "reference");
    check(options_.columns.task, usual.task, task_, "task");
  }

 private:
  std::array<const std::string*, 5> names() const {
    const PromptColumns& c = options_.columns;
    return {&c.prompt, &c.messages, &c.system, &c.reference, &c.task};
  }
  void check_columns() const {
    const auto all = names();
    if (all[0]->empty() && all[1]->empty()) {
      throw BadArgument("prompt columns: the prompt or the messages need a name");
    }
    if (all[3]->empty() || all[4]->empty()) throw BadArgument("prompt columns: reference and task need a name");
    for (std::size_t i = 0; i < all.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (all[i]->empty() || *all[i] != *all[j]) continue;
        throw BadArgument("prompt columns: two columns have the name '" + *all[i] + "'");
      }
    }
  }
  /// Gives the keys of an entry without a prompt, and the option that selects one of them, for a message.
  static std::string missing_remedy(const Json& json) {
    if (json.empty()) return {};
    std::string keys;
    std::size_t listed = 0;
    for (const auto& item : json.items()) {
      if (listed++ < 12) keys.append(keys.empty() ? "" : ", ").append(quote_text(item.key(), 40));
    }
    return "; the line has " + keys + (listed > 12 ? ", ..." : "") +
           "; --prompt-column (PromptColumns::prompt) names the one that holds it";
  }
  [[noreturn]] static void refuse(const std::string& place, const std::string& column, const Json& value,
                                  const std::string& wanted) {
    throw BadFile(place + ": field '" + column + "' must be " + wanted + ", found " + shown(value));
  }
  static const Json* find(const Json& json, const std::string& column, std::size_t& count) {
    const Json* value = find_column(json, column);
    count += value != nullptr ? 1 : 0;
    return value;
  }
  static std::string text_of(const Json& json, const std::string& place, const std::string& column,
                             std::size_t& count) {
    const Json* value = find(json, column, count);
    if (value == nullptr) return {};
    if (!value->is_string()) refuse(place, column, *value, "a string");
    return value->get<std::string>();
  }
  /// Gives the key of the messages, which is different in ShareGPT's files.
  std::string messages_key(const Json& json) const {
    const std::string& name = options_.columns.messages;
    return name == PromptColumns{}.messages && !json.contains(name) && json.contains("conversations") ? "conversations"
                                                                                                      : name;
  }
  void read_conversation(const JsonFields& fields, const Json& list, const std::string& key, Prompt& prompt) const {
    if (!list.is_array() || list.empty()) {
      refuse(fields.file(), key, list, "a list of messages that is not empty");
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      prompt.messages.push_back(
          parse_message(JsonFields(list[i], fields.file(), key + "[" + std::to_string(i) + "].")));
    }
    finish_conversation(fields.file() + ": field '" + key + "'", options_, prompt);
    for (const char* other : {"tools", "images", "image", "chat_template_kwargs"}) {
      if (fields.has(other) && !fields.at(other).empty()) {
        fields.unsupported(other, "which is not implemented for conversations; remove it");
      }
    }
  }
  /// Refuses a prompt that differs from the conversation beside it. It must be the text of its only user, or the same
  /// conversation.
  void check_same(const std::string& place, const Json& text, const Prompt& prompt) const {
    std::size_t users = 0;
    for (const Message& message : prompt.messages) users += message.role == "user" ? 1u : 0u;
    if (users == 1 && text == Json(prompt.text)) return;
    if (text.is_array() && text.size() == prompt.messages.size()) {
      bool same = true;
      for (std::size_t i = 0; i < text.size() && same; ++i) {
        same = text[i].is_object() && parse_message(JsonFields(text[i], place)) == prompt.messages[i];
      }
      if (same) return;
    }
    const PromptColumns& c = options_.columns;
    throw BadFile(place + ": fields '" + c.prompt + "' and '" + c.messages +
                  "' are both there and say different things; --messages-column '' (PromptColumns::messages) reads the "
                  "prompt, --prompt-column '' the conversation");
  }
  static void add_system(const std::string& system, Prompt& prompt) {
    if (system.empty()) return;
    if (prompt.messages.empty()) prompt.messages.push_back({"user", prompt.text});
    if (prompt.messages.front().role == "system") return;
    prompt.messages.insert(prompt.messages.begin(), {"system", system});
  }

  const PromptFileOptions& options_;
  std::size_t prompt_ = 0;
  std::size_t messages_ = 0;
  std::size_t system_ = 0;
  std::size_t reference_ = 0;
  std::size_t task_ = 0;
};

}  // namespace detail

}  // namespace maestro
