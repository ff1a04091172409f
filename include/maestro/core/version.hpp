#pragma once

/// @file
/// The library's version, read by CMake from this file.

#define MAESTRO_VERSION_MAJOR 0
#define MAESTRO_VERSION_MINOR 1
#define MAESTRO_VERSION_PATCH 0

namespace maestro {

/// Version is the semantic version of the headers.
struct Version {
  int major;
  int minor;
  int patch;
};

/// version is the version of these headers.
inline constexpr Version version{MAESTRO_VERSION_MAJOR, MAESTRO_VERSION_MINOR, MAESTRO_VERSION_PATCH};

}  // namespace maestro
