// A library to preload (LD_PRELOAD) that makes one call on files go wrong. Only calls that change files under one
// folder count, in the order in which the program makes them. From the environment:
//
//   IO_FAULT_UNDER   the folder
//   IO_FAULT_KIND    count: nothing goes wrong
//                    eio: call number IO_FAULT_AT fails once with EIO
//                    enospc: it and every later call that needs room fail with ENOSPC
//                    short: from it on, a write writes half of what it is given
//                    slow: from it on, a sync takes 2 ms
//                    before, after: SIGKILL before or after it
//                    torn: half of a write, a rename without what comes after it; then SIGKILL
//                    power: SIGKILL; of files that were never synced half is lost, and so are renames whose folder was
//                    not
//   IO_FAULT_COUNT   file for the number of calls, written at the end of the program
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

template <class F>
F* real(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

std::string text_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// What a power failure would lose, and which call goes wrong.
struct Faults {
  std::mutex mutex{};
  std::string under = text_of("IO_FAULT_UNDER");
  std::string kind = text_of("IO_FAULT_KIND");
  long at = std::atol(text_of("IO_FAULT_AT").c_str());
  long calls = 0;
  std::map<std::string, ::off_t> unsynced{};                   // files, and how much of each a sync has made durable
  std::vector<std::pair<std::string, std::string>> renames{};  // from, to; their folder is not synced yet

  ~Faults() {
    const std::string path = text_of("IO_FAULT_COUNT");
    if (path.empty()) return;
    if (std::FILE* file = std::fopen(path.c_str(), "w")) {
      std::fprintf(file, "%ld\n", calls);
      std::fclose(file);
    }
  }
};
Faults& faults() {
  static Faults all;
  return all;
}

std::string path_of(int fd) {
  char target[PATH_MAX];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ::ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : std::string();
}

bool counts(const std::string& path) {
  const std::string& under = faults().under;
  return !under.empty() && path.starts_with(under);
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();
}

/// Loses what no sync has made durable.
[[noreturn]] void lose_power() {
  Faults& f = faults();
  for (const auto& [path, durable] : f.unsynced) {
    struct ::stat status {};
    if (::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size > durable) {
      static_cast<void>(::truncate(path.c_str(), durable + (status.st_size - durable) / 2));
    }
  }
  for (auto rename = f.renames.rbegin(); rename != f.renames.rend(); ++rename) {
    struct ::stat status {};
    if (::lstat(rename->first.c_str(), &status) == 0) continue;  // another one has taken its old name
    real<int(const char*, const char*)>("rename")(rename->second.c_str(), rename->first.c_str());
  }
  die();
}

enum class Verdict { pass, fail, half, slow, kill_after, torn };

/// Counts a call, and says what happens to it; errno is set where it fails.
Verdict judge(bool needs_room, bool writes, bool syncs) {
  Faults& f = faults();
  const long number = ++f.calls;
  if (number < f.at || f.at <= 0) return Verdict::pass;
  if (f.kind == "short") return writes ? Verdict::half : Verdict::pass;
  if (f.kind == "slow") return syncs ? Verdict::slow : Verdict::pass;
  if (f.kind == "enospc" && needs_room) {
    errno = ENOSPC;
    return Verdict::fail;
  }
  if (number > f.at) return Verdict::pass;
  if (f.kind == "eio") {
    errno = EIO;
    return Verdict::fail;
  }
  if (f.kind == "before") die();
  if (f.kind == "power") lose_power();
  if (f.kind == "after") return Verdict::kill_after;
  return f.kind == "torn" ? Verdict::torn : Verdict::pass;
}

/// Makes a call that changes names, or does to it what the verdict says.
template <class F>
int name_call(const std::string& path, bool needs_room, F&& call) {
  if (!counts(path)) return call();
  const std::lock_guard<std::mutex> lock(faults().mutex);
  const Verdict verdict = judge(needs_room, false, false);
  if (verdict == Verdict::fail) return -1;
  const int result = call();
  if (verdict == Verdict::kill_after || verdict == Verdict::torn) die();
  return result;
}

int open_call(const char* name, const char* path, int flags, ::mode_t mode) {
  const auto call = [&] { return real<int(const char*, int, ...)>(name)(path, flags, mode); };
  return (flags & O_CREAT) != 0 ? name_call(path, true, call) : call();
}

std::string renamed(std::string path, const std::string& from, const std::string& to) {
  if (path == from) return to;
  if (path.starts_with(from + "/")) return to + path.substr(from.size());
  return path;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<::mode_t>((flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0);
  va_end(rest);
  return open_call("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const auto mode = static_cast<::mode_t>((flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0);
  va_end(rest);
  return open_call("open64", path, flags, mode);
}

::ssize_t write(int fd, const void* data, std::size_t size) {
  static auto* const call = real<::ssize_t(int, const void*, std::size_t)>("write");
  const std::string path = fd > 2 ? path_of(fd) : std::string();
  if (!counts(path)) return call(fd, data, size);
  const std::lock_guard<std::mutex> lock(faults().mutex);
  const Verdict verdict = judge(true, true, false);
  if (verdict == Verdict::fail) return -1;
  struct ::stat status {};
  if (::fstat(fd, &status) == 0) faults().unsynced.emplace(path, status.st_size);
  const bool half = verdict == Verdict::half || verdict == Verdict::torn;
  const ::ssize_t written = call(fd, data, half ? (size + 1) / 2 : size);
  if (verdict == Verdict::kill_after || verdict == Verdict::torn) die();
  return written;
}

int fsync(int fd) {
  static auto* const call = real<int(int)>("fsync");
  const std::string path = path_of(fd);
  if (!counts(path)) return call(fd);
  const std::lock_guard<std::mutex> lock(faults().mutex);
  const Verdict verdict = judge(false, false, true);
  if (verdict == Verdict::fail) return -1;
  if (verdict == Verdict::slow) ::usleep(2000);
  const int result = call(fd);
  Faults& f = faults();
  f.unsynced.erase(path);
  std::erase_if(f.renames,
                [&](const auto& rename) { return rename.second.substr(0, rename.second.find_last_of('/')) == path; });
  if (verdict == Verdict::kill_after || verdict == Verdict::torn) die();
  return result;
}

int rename(const char* from, const char* to) noexcept {
  static auto* const call = real<int(const char*, const char*)>("rename");
  struct ::stat status {};
  const bool replaces = ::lstat(to, &status) == 0;
  return name_call(to, false, [&] {
    const int result = call(from, to);
    if (result != 0) return result;
    Faults& f = faults();
    std::map<std::string, ::off_t> unsynced;
    for (const auto& [path, durable] : f.unsynced) unsynced.emplace(renamed(path, from, to), durable);
    f.unsynced = std::move(unsynced);
    // The content that a rename replaced is gone here, so that such a rename cannot be taken back.
    if (!replaces) f.renames.emplace_back(from, to);
    return result;
  });
}

int mkdir(const char* path, ::mode_t mode) noexcept {
  return name_call(path, true, [&] { return real<int(const char*, ::mode_t)>("mkdir")(path, mode); });
}

int unlink(const char* path) noexcept {
  return name_call(path, false, [&] { return real<int(const char*)>("unlink")(path); });
}

int rmdir(const char* path) noexcept {
  return name_call(path, false, [&] { return real<int(const char*)>("rmdir")(path); });
}

int ftruncate(int fd, ::off_t size) noexcept {
  return name_call(path_of(fd), false, [&] { return real<int(int, ::off_t)>("ftruncate")(fd, size); });
}

}  // extern "C"
