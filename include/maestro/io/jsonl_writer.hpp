#pragma once

/// @file
/// A file of records, one JSON object per line. Records are appended, and later ones are removed if a run resumes.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro {

/// OpenMode says what happens to an existing file.
enum class OpenMode : std::uint8_t { append, replace };

/// JsonlWriter appends one line per record and passes it to the system at once, so a reader sees complete lines and a
/// killed process loses none. NaN and infinity become null; broken UTF-8 becomes U+FFFD. Only `sync` syncs records to
/// disk: a run calls it before it saves a checkpoint.
class JsonlWriter {
 public:
  /// Opens the file.
  /// @throws IoError if it cannot be opened.
  explicit JsonlWriter(std::string path, OpenMode mode = OpenMode::append) : path_(std::move(path)) {
    const int truncate = mode == OpenMode::replace ? O_TRUNC : 0;
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | truncate, 0666);
    if (fd < 0) detail::throw_io(path_, "open", errno);
    fd_ = detail::Descriptor(fd);
  }

  const std::string& path() const { return path_; }

  /// Appends `record`, a Json or OrderedJson object.
  /// @throws IoError if that fails; a partly written line is then removed, so the file keeps complete lines.
  template <class AnyJson>
  void write(const AnyJson& record) {
    const std::string line = dump_json(record) + "\n";
    const ::off_t before = ::lseek(fd_.get(), 0, SEEK_END);
    try {
      detail::write_all(fd_.get(), reinterpret_cast<const std::byte*>(line.data()), line.size(), path_);
    } catch (const IoError&) {
      if (before >= 0 && ::ftruncate(fd_.get(), before) != 0) errno = 0;
      throw;
    }
  }

  /// Syncs the file, so that its records survive a crash of the machine.
  /// @throws IoError if that fails.
  void sync() {
    if (::fsync(fd_.get()) != 0) detail::throw_io(path_, "sync", errno);
  }

 private:
  std::string path_;
  detail::Descriptor fd_;
};

/// Removes the records whose integer `step` is above `step`. Records without a step stay. An incomplete last line,
/// which a crash may leave, is removed. If there is no file, nothing happens. No JsonlWriter may have the file open.
/// @throws BadFile naming a broken line that is not the last; IoError.
inline void truncate_after(const std::string& path, std::int64_t step) {
  if (!path_exists(path)) return;
  const std::string content = read_file(path, std::numeric_limits<std::size_t>::max());
  std::string kept;
  kept.reserve(content.size() + 1);
  std::string_view rest = content;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    try {
      const Json record = parse_json(line, path + ":" + std::to_string(number));
      const JsonFields fields(record, path + ":" + std::to_string(number));
      if (fields.has("step")) {
        if (!fields.at("step").is_number_integer()) fields.fail("step", "an integer");
        if (fields.at("step").get<std::int64_t>() > step) continue;
      }
    } catch (const BadFile&) {
      if (rest.empty()) break;
      throw;
    }
    kept.append(line).push_back('\n');
  }
  if (kept != content) write_file(path, kept);
}

}  // namespace maestro
