#pragma once

/// @file
/// One exception type per kind of failure, so that a caller can tell a wrong option from a hostile file.
/// Every message names the place (reward, row, file, field) and, if there is one, the remedy.

#include <stdexcept>
#include <string>

namespace maestro {

/// Error is the base of every exception that the library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// BadArgument reports an option or a shape outside its documented domain: the caller's code or command line is wrong.
class BadArgument : public Error {
 public:
  using Error::Error;
};

/// BadData reports a value, met during the run, that no formula admits: an infinite reward, a NaN log-prob.
class BadData : public Error {
 public:
  using Error::Error;
};

/// BadFile reports a file whose content is not what its format says, or does not fit the model at hand.
class BadFile : public Error {
 public:
  using Error::Error;
};

/// IoError reports that the operating system refused to open, write, sync or rename.
class IoError : public Error {
 public:
  using Error::Error;
};

/// Interrupted reports that work was given up because the user asked for a stop. Results written before it are
/// complete.
class Interrupted : public Error {
 public:
  using Error::Error;
};

/// Unsupported reports a request that is recognized but not implemented; it is refused rather than ignored.
class Unsupported : public Error {
 public:
  using Error::Error;
};

/// Throws BadArgument with `message` unless `condition` holds. It serves messages that cost nothing to build.
inline void require(bool condition, const char* message) {
  if (!condition) throw BadArgument(message);
}

}  // namespace maestro
