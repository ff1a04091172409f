#pragma once

/// @file
/// A folder that only one process at a time may write.

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"

namespace maestro {

/// FolderLock reserves a folder during its lifetime, by a lock on the file `lock` (or another name) in it. The file
/// remains afterwards. The system releases the lock when the process ends for any reason.
class FolderLock {
 public:
  /// Locks the folder.
  /// @param folder  must exist.
  /// @param name    name of the file; locks of different names are independent.
  /// @throws BadArgument naming the process if another FolderLock, of this process or another, has the folder; IoError
  ///         if the file cannot be made, or if the file system has no locks.
  explicit FolderLock(const std::string& folder, const std::string& name = "lock") {
    const std::string path = folder + "/" + name;
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) detail::throw_io(path, "open", errno);
    file_ = detail::Descriptor(fd);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) detail::throw_io(path, "lock", errno);
      throw BadArgument(folder + ": another run" + holder(path) +
                        " is writing this folder; wait for its end, or take another folder");
    }
    // Who holds the lock, for the message to others. A lock without it is as good.
    const std::string text = "process " + std::to_string(::getpid()) + on_this_host();
    if (::ftruncate(fd, 0) == 0) static_cast<void>(::pwrite(fd, text.data(), text.size(), 0));
  }

  /// Tells whether the last holder of the lock in this file ran on this host. Only on the holder's host does a lock
  /// show whether the holder lives, since some shared file systems keep locks per machine. The result is false before
  /// the holder has written its name.
  static bool was_held_here(const std::string& path) {
    try {
      return read_file(path, 1024).ends_with(on_this_host());
    } catch (const Error&) {
      return false;
    }
  }

 private:
  static std::string on_this_host() {
    char host[256] = "";
    static_cast<void>(::gethostname(host, sizeof host - 1));
    return std::string(" on ") + host + "\n";
  }
  /// Gives the holder's own text, for a message.
  static std::string holder(const std::string& path) {
    try {
      std::string text = read_file(path, 1024);
      while (!text.empty() && text.back() == '\n') text.pop_back();
      return text.empty() ? text : " (" + text + ")";
    } catch (const Error&) {
      return {};
    }
  }

  detail::Descriptor file_;
};

}  // namespace maestro
