#pragma once

/// @file
/// A folder that only one process at a time writes.

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <string>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"

namespace maestro {

/// FolderLock holds a folder for its own lifetime by a lock on the file `lock` in it, which stays there afterwards. The
/// system releases the lock when the process ends, however it ends.
class FolderLock {
 public:
  /// Takes the folder.
  /// @param folder  must exist.
  /// @throws BadArgument if another FolderLock, of this process or another, holds the folder; IoError if the file
  ///   cannot be made, or if the file system has no locks.
  explicit FolderLock(const std::string& folder) {
    const std::string path = folder + "/lock";
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) detail::throw_io(path, "open", errno);
    file_ = detail::Descriptor(fd);
    while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) detail::throw_io(path, "lock", errno);
      throw BadArgument(folder + ": another run is writing this folder; wait for its end, or take another folder");
    }
  }

 private:
  detail::Descriptor file_;
};

}  // namespace maestro
