#pragma once

/// @file
/// Files that are either complete or absent: reading, mapping, and writing under a temporary name.
///
/// A full disk or a size limit gives an IoError, and existing files are kept. At a size limit, the kernel also sends
/// SIGXFSZ, whose default action ends the process. A program that wants the error instead calls `std::signal(SIGXFSZ,
/// SIG_IGN)` once at its start. The library changes no signal handler.

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/core/hash.hpp"

namespace maestro {

namespace detail {

[[noreturn]] inline void throw_io(const std::string& path, const char* what, int code) {
  throw IoError(path + ": cannot " + what + ": " + std::strerror(code));
}

/// Descriptor owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

inline Descriptor open_to_read(const std::string& path, int flags = 0) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags);
  if (fd < 0) throw_io(path, "open", errno);
  return Descriptor(fd);
}

/// RegularFile is an open file and its size.
struct RegularFile {
  Descriptor descriptor;
  std::size_t size = 0;  ///< some system files report 0 and are longer
};

/// Opens a regular file to read. Pipes, devices and folders are refused, since reading them could block or never end.
/// @throws IoError if it cannot be opened; BadFile if it is not a regular file.
inline RegularFile open_regular(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe waits for its writer; regular files ignore it.
  RegularFile file{open_to_read(path, O_NONBLOCK)};
  struct ::stat status {};
  if (::fstat(file.descriptor.get(), &status) != 0) throw_io(path, "read the size of", errno);
  if (!S_ISREG(status.st_mode)) throw BadFile(path + ": not a regular file");
  file.size = static_cast<std::size_t>(status.st_size);
  return file;
}

inline std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

inline void sync_path(const std::string& path, int flags = 0) {
  const Descriptor fd = open_to_read(path, flags);
  if (::fsync(fd.get()) != 0) throw_io(path, "sync", errno);
}
inline void sync_directory(const std::string& path) { sync_path(path, O_DIRECTORY); }

inline void write_all(int fd, const std::byte* data, std::size_t size, const std::string& path) {
  while (size > 0) {
    const ::ssize_t written = ::write(fd, data, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_io(path, "write", errno);
    }
    if (written == 0) throw_io(path, "write", ENOSPC);
    data += written;
    size -= static_cast<std::size_t>(written);
  }
}

/// Gives a suffix that no other temporary name on this machine has now.
inline std::string unique_suffix() {
  static std::atomic<unsigned> counter{0};
  return std::to_string(::getpid()) + "-" + std::to_string(counter.fetch_add(1));
}

}  // namespace detail

/// Computes the 64-bit FNV-1a hash of a file's bytes. It reads the file in pieces.
/// @param hash  the hash of earlier bytes, which this continues.
/// @throws IoError if it cannot be read; BadFile if it is not a regular file.
inline std::uint64_t hash_file(const std::string& path, std::uint64_t hash = fnv1a_start) {
  const detail::RegularFile regular = detail::open_regular(path);
  const detail::Descriptor& file = regular.descriptor;
  std::vector<char> piece(std::size_t{1} << 20);
  while (true) {
    const ::ssize_t read = ::read(file.get(), piece.data(), piece.size());
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) detail::throw_io(path, "read", errno);
    if (read == 0) return hash;
    hash = fnv1a({piece.data(), static_cast<std::size_t>(read)}, hash);
  }
}

/// MappedFile is a regular file, mapped read-only as a whole. It is move-only, and an empty file maps to an empty span.
/// If another process truncates the file while it is mapped, later reads fail with SIGBUS. The library's own writers
/// never do that, since they replace files by renaming.
class MappedFile {
 public:
  MappedFile() = default;
  /// Opens and maps a file.
  /// @throws IoError if the file cannot be opened or mapped; BadFile if it is not a regular file.
  explicit MappedFile(const std::string& path) {
    const detail::RegularFile file = detail::open_regular(path);
    if (file.size == 0) return;
    void* address = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.descriptor.get(), 0);
    if (address == MAP_FAILED) detail::throw_io(path, "map", errno);
    data_ = static_cast<const std::byte*>(address);
    size_ = file.size;
  }
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
  }

  std::span<const std::byte> bytes() const { return {data_, size_}; }

  /// Releases the memory of a part of the file; reading the part loads it again. A part that is not inside the file is
  /// ignored.
  void release(std::span<const std::byte> part) const {
    if (data_ == nullptr || part.empty() || part.data() < data_ || part.data() + part.size() > data_ + size_) return;
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t first = static_cast<std::size_t>(part.data() - data_) / page * page;
    const std::size_t last = static_cast<std::size_t>(part.data() - data_) + part.size();
    // A failure leaves the memory in use, which is harmless.
    static_cast<void>(::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED));
  }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Reads the whole content of a regular file.
/// @throws IoError if it cannot be read; BadFile if it is longer than `max_bytes` or is not a regular file.
inline std::string read_file(const std::string& path, std::size_t max_bytes = std::size_t{1} << 30) {
  const detail::RegularFile file = detail::open_regular(path);
  const auto refuse_size = [&](std::size_t size) {
    if (size <= max_bytes) return;
    throw BadFile(path + ": longer than the " + std::to_string(max_bytes) + " bytes accepted here");
  };
  refuse_size(file.size);
  std::string content;
  std::size_t filled = 0;
  while (true) {
    constexpr std::size_t step = std::size_t{1} << 16;
    // One byte more than the file says finds its end with the first read.
    const std::size_t expected = filled < file.size ? file.size + 1 : filled + step;
    content.resize(expected);
    const ::ssize_t got = ::read(file.descriptor.get(), content.data() + filled, content.size() - filled);
    if (got < 0) {
      if (errno == EINTR) continue;
      detail::throw_io(path, "read", errno);
    }
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
    refuse_size(filled);
  }
  content.resize(filled);
  return content;
}

/// Tells whether there is a file, folder or link at `path`, including a link without a target.
inline bool path_exists(const std::string& path) {
  struct ::stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

/// AtomicFile writes a file under a temporary name in the same folder. `commit` syncs it and renames it to its final
/// name. Before that, and if anything fails, the old file does not change. A writer that is destroyed without commit
/// leaves nothing.
class AtomicFile {
 public:
  /// Makes the temporary file.
  /// @throws IoError if it cannot be made.
  explicit AtomicFile(std::string path)
      : path_(std::move(path)), temporary_(path_ + ".tmp-" + detail::unique_suffix()) {
    const int fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) detail::throw_io(temporary_, "create", errno);
    fd_ = detail::Descriptor(fd);
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    fd_.reset();
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }

  /// Appends bytes.
  /// @throws IoError naming the final path, for a short write, a full disk or a size limit.
  void write(std::span<const std::byte> bytes) { detail::write_all(fd_.get(), bytes.data(), bytes.size(), path_); }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

  /// Syncs the content, renames the file to its final name, and syncs the folder. It may be called once.
  /// @throws IoError naming the final path.
  void commit() {
    if (::fsync(fd_.get()) != 0) detail::throw_io(path_, "sync", errno);
    if (::close(fd_.release()) != 0) detail::throw_io(path_, "close", errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) detail::throw_io(path_, "rename a temporary file to", errno);
    temporary_.clear();
    detail::sync_directory(detail::parent_of(path_));
  }

 private:
  std::string path_;
  std::string temporary_;
  detail::Descriptor fd_;
};

/// Replaces the content of `path`. Afterwards, and after a crash at any moment, the file has either the old or the new
/// content.
/// @throws IoError if that fails; the old content is then kept.
inline void write_file(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

namespace detail {

/// Lists the names in a folder, without '.' and '..'. The list is empty if there is no such folder.
/// @throws IoError if the folder cannot be read.
inline std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  ::DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) {
    if (errno == ENOENT) return names;
    throw_io(path, "list", errno);
  }
  while (const ::dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(folder);
  return names;
}

inline bool is_folder(const std::string& path) {
  struct ::stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/// Removes a file, or a folder with its content. It never follows links.
/// @throws IoError naming what cannot be removed.
inline void remove_tree(const std::string& path) {
  if (is_folder(path)) {
    for (const std::string& name : names_in(path)) remove_tree(path + "/" + name);
    if (::rmdir(path.c_str()) != 0) throw_io(path, "remove", errno);
  } else if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    throw_io(path, "remove", errno);
  }
}

inline void sync_tree(const std::string& path) {
  if (is_folder(path)) {
    for (const std::string& name : names_in(path)) sync_tree(path + "/" + name);
    sync_directory(path);
  } else {
    sync_path(path, O_NOFOLLOW);
  }
}

inline std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace detail

/// Restores a folder that AtomicFolder writes after a crash. If the old folder was moved aside and the new one is not
/// in place yet, the old one is moved back. Incomplete and replaced folders are removed. It must be called before the
/// folder is read, while no process writes it.
/// @throws IoError if that fails.
inline void recover_folder(const std::string& path) {
  const std::string final_path = detail::without_trailing_slashes(path);
  const std::string parent = detail::parent_of(final_path);
  const std::string name = final_path.substr(final_path.find_last_of('/') + 1);
  std::vector<std::string> leftovers;
  for (const std::string& entry : detail::names_in(parent)) {
    const std::string whole = parent + "/" + entry;
    if (entry.starts_with(name + ".old-")) {
      if (path_exists(final_path)) {
        leftovers.push_back(whole);
      } else if (::rename(whole.c_str(), final_path.c_str()) != 0) {
        detail::throw_io(final_path, "restore", errno);
      }
    } else if (entry.starts_with(name + ".tmp-")) {
      leftovers.push_back(whole);
    }
  }
  for (const std::string& whole : leftovers) detail::remove_tree(whole);
}

/// AtomicFolder is a folder of files that appears in one step. It is written beside its final path as
/// `<final>.tmp-...`, synced, and renamed.
///
///     AtomicFolder folder("run/checkpoint");
///     write_file(folder.path("state.json"), text);
///     folder.commit();
///
/// A crash at any moment leaves the old folder complete, the new one complete, or the old one complete under a second
/// name, which `recover_folder` moves back (the constructor calls it too). A final path must have only one writer.
class AtomicFolder {
 public:
  /// Recovers from an earlier crash, and makes the temporary folder.
  /// @throws IoError if that fails.
  explicit AtomicFolder(const std::string& final_path) : final_(detail::without_trailing_slashes(final_path)) {
    recover_folder(final_);
    temporary_ = final_ + ".tmp-" + detail::unique_suffix();
    if (::mkdir(temporary_.c_str(), 0777) != 0) detail::throw_io(temporary_, "create the folder", errno);
  }
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;
  ~AtomicFolder() {
    try {
      if (!temporary_.empty()) detail::remove_tree(temporary_);
    } catch (const Error&) {  // the next recovery removes it
    }
  }

  /// Gives the path at which to write the file `name` before the commit.
  std::string path(const std::string& name) const { return temporary_ + "/" + name; }
  /// Gives the temporary folder.
  const std::string& folder() const { return temporary_; }

  /// Syncs every file, then moves the folder to its final path. An older folder there is replaced and removed.
  /// @throws IoError if that fails; the older folder is then kept.
  void commit() {
    detail::sync_tree(temporary_);
    const std::string parent = detail::parent_of(final_);
    std::string old;
    if (path_exists(final_)) {
      old = final_ + ".old-" + detail::unique_suffix();
      if (::rename(final_.c_str(), old.c_str()) != 0) detail::throw_io(final_, "move aside", errno);
    }
    if (::rename(temporary_.c_str(), final_.c_str()) != 0) {
      const int code = errno;
      if (!old.empty()) static_cast<void>(::rename(old.c_str(), final_.c_str()));
      detail::throw_io(final_, "rename a temporary folder to", code);
    }
    temporary_.clear();
    detail::sync_directory(parent);
    if (!old.empty()) detail::remove_tree(old);
  }

 private:
  std::string final_;
  std::string temporary_;
};

}  // namespace maestro
