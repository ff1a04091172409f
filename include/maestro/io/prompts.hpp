#pragma once

/// @file
/// Prompts from JSONL and JSON files.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"
#include "maestro/io/prompt_entry.hpp"

namespace maestro {

/// PromptFile holds the prompts of a file, and the number of lines that were skipped.
struct PromptFile {
  std::vector<Prompt> prompts;
  std::size_t skipped = 0;    ///< bad lines that were skipped
  std::string first_skipped;  ///< the error of the first of them
};

namespace detail {

/// Calls f(text, number) for the lines of a JSONL text that are not blank. Lines are numbered from 1.
template <class F>
void for_each_line(std::string_view text, F&& f) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != std::string_view::npos) f(line, number);
  }
}

/// Refuses common formats other than JSONL and JSON.
/// @throws Unsupported naming the file, its format, and the remedy.
inline void refuse_other_formats(std::string_view text, const std::string& name) {
  using namespace std::string_view_literals;
  static constexpr std::array<std::array<std::string_view, 3>, 10> starts{
      {{"\x1f\x8b"sv, "compressed by gzip", "decompress it first (gunzip)"},
       {"\x28\xb5\x2f\xfd"sv, "compressed by zstd", "decompress it first (unzstd)"},
       {"\xfd\x37zXZ"sv, "compressed by xz", "decompress it first (unxz)"},
       {"BZh"sv, "compressed by bzip2", "decompress it first (bunzip2)"},
       {"PK\x03\x04"sv, "a zip archive", "unpack it first"},
       {"PAR1"sv, "a Parquet file", "write it as JSONL first (pandas: to_json(..., orient=\"records\", lines=True))"},
       {"ARROW1"sv, "an Arrow file", "write it as JSONL first (datasets: to_json)"},
       {"\xff\xff\xff\xff"sv, "an Arrow stream", "write it as JSONL first (datasets: to_json)"},
       {"\xff\xfe"sv, "UTF-16", "save it as UTF-8"},
       {"\xfe\xff"sv, "UTF-16", "save it as UTF-8"}}};
  for (const auto& [magic, what, remedy] : starts) {
    if (!text.starts_with(magic)) continue;
    throw Unsupported(name + ": is " + std::string(what) + ", which is not implemented; " + std::string(remedy));
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first == std::string_view::npos || text[first] == '{' || text[first] == '[';
  for (const char* ending : {".csv", ".tsv"}) {
    if (json || !name.ends_with(ending)) continue;
    throw Unsupported(name + ": CSV and TSV are not implemented; write the file as JSONL first (pandas: " +
                      "to_json(..., orient=\"records\", lines=True))");
  }
}

}  // namespace detail

/// Reads prompts from the text of a file. The text is JSONL, with one entry per line, or one JSON list of entries.
///
/// An entry has either a text (`prompt`, a string that is not empty) or a conversation (`messages`, `conversations`, or
/// a list under `prompt`). If it has both, they must agree. A conversation is a list of objects with `role` (system,
/// user, assistant) and `content`, or with ShareGPT's `from` (system, human, gpt) and `value`. Its last message is the
/// user's, and the content of this message becomes Prompt::text. `system` is a system message before it. `reference`
/// may also be a number, and `task` is a string. The options may select other columns. All other keys are kept in
/// Prompt::metadata as one JSON object. A byte order mark at the start, CRLF line ends and blank lines are accepted.
/// Rows count the kept prompts from 0.
/// @param name  name of the file, for messages.
/// @throws BadFile naming file and line, or if no prompt remains; Unsupported naming file, line and what is not
///         implemented (compressed files, Parquet, CSV, UTF-16, tools, other roles, contents of several parts);
///         BadArgument for columns of the same name, and for a column that is not the default and that no entry has.
inline PromptFile parse_prompts(std::string_view text, const std::string& name, const PromptFileOptions& options) {
  detail::EntryReader reader(options);
  PromptFile file;
  const auto skip = [&](const Error& error) {
    if (options.on_bad_line == OnBadLine::stop) throw;
    if (file.skipped++ == 0) file.first_skipped = error.what();
  };
  const auto add = [&](std::size_t number, auto&& json) {
    try {
      file.prompts.push_back(reader.read(json(), name + ":" + std::to_string(number)));
      file.prompts.back().row = static_cast<std::int64_t>(file.prompts.size() - 1);
      file.prompts.back().line = number;
    } catch (const BadFile& error) {
      skip(error);
    } catch (const Unsupported& error) {
      skip(error);
    }
  };
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  detail::refuse_other_formats(text, name);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '[') {
    const Json list = parse_json(text, name);
    for (std::size_t i = 0; i < list.size(); ++i) add(i + 1, [&] { return list[i]; });
  } else {
    detail::for_each_line(text, [&](std::string_view line, std::size_t number) {
      add(number, [&] { return parse_json(line, name + ":" + std::to_string(number)); });
    });
  }
  if (file.prompts.empty()) {
    throw BadFile(name + ": holds no prompt" +
                  (file.skipped > 0
                       ? "; all " + std::to_string(file.skipped) + " lines are bad, the first: " + file.first_skipped
                       : std::string()));
  }
  reader.check_found(name);
  if (file.prompts.size() > 0xffffffffu) throw BadFile(name + ": holds more than 2^32 prompts");
  return file;
}
/// Does the same with the default options, except for bad lines.
inline PromptFile parse_prompts(std::string_view text, const std::string& name,
                                OnBadLine on_bad_line = OnBadLine::stop) {
  return parse_prompts(text, name, PromptFileOptions{.on_bad_line = on_bad_line});
}

/// Reads a prompt file.
/// @throws IoError if it cannot be read; what parse_prompts throws.
inline PromptFile load_prompts(const std::string& path, const PromptFileOptions& options) {
  return parse_prompts(read_file(path), path, options);
}
/// Does the same with the default options, except for bad lines.
inline PromptFile load_prompts(const std::string& path, OnBadLine on_bad_line = OnBadLine::stop) {
  return load_prompts(path, PromptFileOptions{.on_bad_line = on_bad_line});
}

}  // namespace maestro
