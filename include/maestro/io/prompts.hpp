#pragma once

/// @file
/// Prompt files: one JSON object per line.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// What a line that is not a prompt does.
enum class OnBadLine : std::uint8_t {
  stop,  ///< throws BadFile naming file and line
  skip,  ///< is left out and counted
};

struct PromptFile {
  std::vector<Prompt> prompts;
  std::size_t skipped = 0;    ///< bad lines left out
  std::string first_skipped;  ///< why the first of them was
};

namespace detail {

inline Prompt parse_prompt(std::string_view line, const std::string& place) {
  Json json = parse_json(line, place);
  const JsonFields fields(json, place);
  Prompt prompt;
  prompt.text = fields.text("prompt");
  if (prompt.text.empty()) throw BadFile(place + ": field 'prompt' is empty");
  prompt.reference = fields.text_or("reference", "");
  prompt.task = fields.text_or("task", "");
  for (const char* known : {"prompt", "reference", "task"}) json.erase(known);
  if (!json.empty()) prompt.metadata = dump_json(json);
  return prompt;
}

}  // namespace detail

/// Reads prompts from the text of a file; `name` is named in messages. Keys of a line: `prompt` (string, required, not
/// empty), `reference` and `task` (strings); all others are kept in Prompt::metadata as one JSON object. A byte order
/// mark at the start, CRLF line ends and blank lines are accepted. Rows count the prompts kept, from 0.
/// @throws BadFile naming file and line, or when no prompt is left.
inline PromptFile parse_prompts(std::string_view text, const std::string& name,
                                OnBadLine on_bad_line = OnBadLine::stop) {
  PromptFile file;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    try {
      file.prompts.push_back(detail::parse_prompt(line, name + ":" + std::to_string(number)));
      file.prompts.back().row = static_cast<std::int64_t>(file.prompts.size() - 1);
    } catch (const BadFile& error) {
      if (on_bad_line == OnBadLine::stop) throw;
      if (file.skipped++ == 0) file.first_skipped = error.what();
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

/// Reads a prompt file.
/// @throws IoError when it cannot be read, BadFile naming file and line.
inline PromptFile load_prompts(const std::string& path, OnBadLine on_bad_line = OnBadLine::stop) {
  return parse_prompts(read_file(path), path, on_bad_line);
}

}  // namespace maestro
