#pragma once

/// @file
/// Prompt files: one JSON object per line.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// OnBadLine says what happens to a line that is not a prompt.
enum class OnBadLine : std::uint8_t {
  stop,  ///< throws BadFile or Unsupported naming file and line
  skip,  ///< leaves the line out and counts it
};

/// LastAnswer says what happens to an assistant's message at the end of a conversation.
enum class LastAnswer : std::uint8_t {
  refuse,     ///< the line is a bad one
  reference,  ///< the message becomes the reference, and leaves the conversation
};

inline constexpr std::array<std::string_view, 2> on_bad_line_names{"stop", "skip"};
inline constexpr std::array<std::string_view, 2> last_answer_names{"refuse", "reference"};

/// PromptColumns holds the keys under which a line has its parts. No two may be the same, and none may be empty.
struct PromptColumns {
  std::string prompt = "prompt";        ///< a text, or a list of messages
  std::string messages = "messages";    ///< a list of messages
  std::string reference = "reference";  ///< a text
  std::string task = "task";            ///< a text
};

/// PromptFileOptions say how the lines of a prompt file are read.
struct PromptFileOptions {
  OnBadLine on_bad_line = OnBadLine::stop;
  LastAnswer last_answer = LastAnswer::refuse;
  PromptColumns columns{};
};

/// Lists the columns; see OptionList.
template <OptionsOf<PromptColumns> S, class F>
constexpr void visit_options(S& c, const F& f) {
  f({.name = "prompt_column", .help = "Key of the prompt in a line of --prompts"}, c.prompt);
  f({.name = "messages_column", .help = "Key of a conversation there"}, c.messages);
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

/// PromptFile holds the prompts of a file, and says what was left out.
struct PromptFile {
  std::vector<Prompt> prompts;
  std::size_t skipped = 0;    ///< bad lines left out
  std::string first_skipped;  ///< why the first of them was
};

namespace detail {

/// Reads one message of a conversation. Keys that no chat template here reads are left out; keys that one would read
/// are refused.
inline Message parse_message(const JsonFields& fields) {
  for (const char* key : {"tool_calls", "tool_call_id", "function_call", "reasoning_content", "thinking", "images"}) {
    if (fields.has(key) && !fields.at(key).empty()) fields.unsupported(key, "which is not implemented; remove it");
  }
  Message message{fields.text("role"), {}};
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    fields.unsupported("role", "but only system, user and assistant are implemented");
  }
  if (fields.has("content") && fields.at("content").is_array()) {
    fields.unsupported("content", "a list of parts, which is not implemented; give one text");
  }
  message.content = fields.text("content");
  return message;
}

/// Reads the conversation in field `key`. Its last message must be the user's, and becomes the prompt's text.
inline void parse_conversation(const JsonFields& fields, const std::string& key, const PromptFileOptions& options,
                               Prompt& prompt) {
  const Json& list = fields.at(key);
  if (!list.is_array() || list.empty()) fields.fail(key, "a list of messages that is not empty");
  for (std::size_t i = 0; i < list.size(); ++i) {
    prompt.messages.push_back(parse_message(JsonFields(list[i], fields.file(), key + "[" + std::to_string(i) + "].")));
  }
  const std::string place = fields.file() + ": field '" + key + "'";
  if (prompt.messages.back().role == "assistant" && options.last_answer == LastAnswer::reference) {
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
                       ? "; an answer at its end can be taken as the reference (LastAnswer::reference)"
                       : ""));
  }
  prompt.text = prompt.messages.back().content;
  if (prompt.text.empty()) throw BadFile(place + ": the last message is empty");
  for (const char* other : {"tools", "images", "image", "chat_template_kwargs"}) {
    if (fields.has(other) && !fields.at(other).empty()) {
      fields.unsupported(other, "which is not implemented for conversations; remove it");
    }
  }
}

inline Prompt parse_prompt(std::string_view line, const std::string& place, const PromptFileOptions& options) {
  const PromptColumns& columns = options.columns;
  Json json = parse_json(line, place);
  const JsonFields fields(json, place);
  Prompt prompt;
  prompt.reference = fields.text_or(columns.reference, "");
  prompt.task = fields.text_or(columns.task, "");
  const bool has_prompt = fields.has(columns.prompt);
  if (has_prompt && fields.has(columns.messages)) {
    throw BadFile(place + ": fields '" + columns.prompt + "' and '" + columns.messages + "' are both there; keep one");
  }
  if (!has_prompt && fields.has(columns.messages)) {
    parse_conversation(fields, columns.messages, options, prompt);
  } else if (!has_prompt) {
    throw BadFile(place + ": field '" + columns.prompt + "' is missing (or '" + columns.messages + "')");
  } else if (fields.at(columns.prompt).is_array()) {
    parse_conversation(fields, columns.prompt, options, prompt);
  } else {
    if (fields.at(columns.prompt).is_object()) fields.fail(columns.prompt, "a string or a list of messages");
    prompt.text = fields.text(columns.prompt);
    if (prompt.text.empty()) throw BadFile(place + ": field '" + columns.prompt + "' is empty");
  }
  for (const std::string* known : {&columns.prompt, &columns.messages, &columns.reference, &columns.task}) {
    json.erase(*known);
  }
  if (!json.empty()) prompt.metadata = dump_json(json);
  return prompt;
}

inline void check_columns(const PromptColumns& c) {
  const std::array<const std::string*, 4> names{&c.prompt, &c.messages, &c.reference, &c.task};
  for (std::size_t i = 0; i < names.size(); ++i) {
    require(!names[i]->empty(), "prompt columns: a column needs a name");
    for (std::size_t j = 0; j < i; ++j) {
      if (*names[i] == *names[j]) throw BadArgument("prompt columns: two columns have the name '" + *names[i] + "'");
    }
  }
}

}  // namespace detail

/// Reads prompts from the text of a file; `name` is named in messages. A line holds either a text (`prompt`, a string
/// that is not empty) or a conversation (`messages`, or a list under `prompt`). A conversation is a list of objects
/// with `role` (system, user, assistant) and `content`; the last one is the user's, and its content becomes
/// Prompt::text. `reference` and `task` are strings; the options may name other columns. All other keys are kept in
/// Prompt::metadata as one JSON object. A byte order mark at the start, CRLF line ends and blank lines are accepted.
/// Rows count the prompts kept, from 0.
/// @throws BadFile naming file and line, or if no prompt is left; Unsupported naming file, line and what is not
///   implemented (tools, other roles, contents of several parts); BadArgument for columns of one name.
inline PromptFile parse_prompts(std::string_view text, const std::string& name, const PromptFileOptions& options) {
  detail::check_columns(options.columns);
  PromptFile file;
  const auto skip = [&](const Error& error) {
    if (file.skipped++ == 0) file.first_skipped = error.what();
  };
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    try {
      file.prompts.push_back(detail::parse_prompt(line, name + ":" + std::to_string(number), options));
      file.prompts.back().row = static_cast<std::int64_t>(file.prompts.size() - 1);
      file.prompts.back().line = number;
    } catch (const BadFile& error) {
      if (options.on_bad_line == OnBadLine::stop) throw;
      skip(error);
    } catch (const Unsupported& error) {
      if (options.on_bad_line == OnBadLine::stop) throw;
      skip(error);
    }
  }
  if (file.prompts.empty()) {
    throw BadFile(name + ": holds no prompt" +
                  (file.skipped > 0
                       ? "; all " + std::to_string(file.skipped) + " lines are bad, the first: " + file.first_skipped
                       : std::string()));
  }
  if (file.prompts.size() > 0xffffffffu) throw BadFile(name + ": holds more than 2^32 prompts");
  return file;
}
/// Does the same with the default options, except for bad lines.
inline PromptFile parse_prompts(std::string_view text, const std::string& name,
                                OnBadLine on_bad_line = OnBadLine::stop) {
  return parse_prompts(text, name, PromptFileOptions{.on_bad_line = on_bad_line});
}

/// Reads a prompt file.
/// @throws IoError if it cannot be read, otherwise as parse_prompts.
inline PromptFile load_prompts(const std::string& path, const PromptFileOptions& options) {
  return parse_prompts(read_file(path), path, options);
}
/// Does the same with the default options, except for bad lines.
inline PromptFile load_prompts(const std::string& path, OnBadLine on_bad_line = OnBadLine::stop) {
  return load_prompts(path, PromptFileOptions{.on_bad_line = on_bad_line});
}

}  // namespace maestro
