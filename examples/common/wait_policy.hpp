#pragma once

/// @file
/// How OpenMP threads wait for each other.

#include <unistd.h>

#include <cstdlib>

namespace maestro::examples {

/// Starts the program anew with OMP_WAIT_POLICY=passive unless the caller's environment says otherwise. Threads that
/// spin while they wait make a small model several times slower as soon as anything else runs on the machine, and the
/// OpenMP runtime reads the variable before main. Goes on as it is where that fails.
inline void wait_passively(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (::setenv("OMP_WAIT_POLICY", "passive", 1) == 0) ::execv("/proc/self/exe", argv);
}

}  // namespace maestro::examples
