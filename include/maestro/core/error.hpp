#pragma once

/// @file
/// One exception type per kind of failure, so that a caller can tell a wrong option from a hostile file.
/// Every message names the place (reward, row, file, field) and, if there is one, the remedy.

#include <stdexcept>
#include <string>

namespace maestro {

/// Base of everything the library throws on purpose.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An option or a shape outside its documented domain: the caller's code or command line is wrong.
class BadArgument : public Error {
 public:
  using Error::Error;
};

/// A value met during the run that no formula admits: an infinite reward, a NaN log-prob.
class BadData : public Error {
 public:
  using Error::Error;
};

/// The content of a file is not what its format says, or does not fit the model at hand.
class BadFile : public Error {
 public:
  using Error::Error;
};

/// The operating system refused: open, write, sync, rename.
class IoError : public Error {
 public:
  using Error::Error;
};

/// Recognized, but not implemented here; refused rather than ignored.
class Unsupported : public Error {
 public:
  using Error::Error;
};

/// Throws BadArgument with `message` unless `condition` holds. For messages that cost nothing to build.
inline void require(bool condition, const char* message) {
  if (!condition) throw BadArgument(message);
}

}  // namespace maestro
