#pragma once

/// @file
/// How OpenMP threads wait for each other.

#include <unistd.h>

#include <cstdlib>

namespace maestro::examples {

/// Starts the program anew with OMP_WAIT_POLICY=passive and GOMP_SPINCOUNT=3000 unless the caller's environment says
/// otherwise. Threads that spin for long make a small model several times slower as soon as anything else runs on the
/// machine; threads that sleep at once cost a quarter of the time of a large model's decoding steps. gcc's runtime
/// takes the count, some tens of microseconds, other runtimes the policy; both read them before main. Goes on as it is
/// where that fails.
inline void wait_briefly(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (::setenv("OMP_WAIT_POLICY", "passive", 1) == 0 && ::setenv("GOMP_SPINCOUNT", "3000", 1) == 0) {
    ::execv("/proc/self/exe", argv);
  }
}

}  // namespace maestro::examples
