#pragma once

/// @file
/// The number of threads that the library uses unless set_threads was called: the number that the environment asks for,
/// else the number of processors that this process may use.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <thread>

#include "maestro/core/error.hpp"

#if defined(__linux__)
#include <sched.h>
#endif

namespace maestro::detail {

/// A number of threads above this is a mistake in the environment.
inline constexpr int max_thread_count = 65536;

/// Gives the number of processors that the scheduler lets this thread run on, at least 1.
inline int allowed_processors() {
#if defined(__linux__)
  // The kernel refuses a set smaller than its own, so the size doubles until it is taken.
  for (std::size_t size = 1024; size <= std::size_t(max_thread_count); size *= 2) {
    cpu_set_t* const set = CPU_ALLOC(size);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(size);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// Reads two numbers of a file, the second from `second` if that is given. Gives false if one is not a number ("max").
inline bool read_two_numbers(const char* first, const char* second, double& a, double& b) {
  std::FILE* const file = std::fopen(first, "r");
  if (file == nullptr) return false;
  int read = second == nullptr ? std::fscanf(file, "%lf %lf", &a, &b) : std::fscanf(file, "%lf", &a);
  std::fclose(file);
  if (second == nullptr || read != 1) return read == 2;
  std::FILE* const other = std::fopen(second, "r");
  if (other == nullptr) return false;
  read = std::fscanf(other, "%lf", &b);
  std::fclose(other);
  return read == 1;
}

/// Gives the CPU quota of a container's control group (version 2, else version 1) as a number of processors, rounded
/// up; the largest int if there is no quota.
inline int granted_processors() {
  double quota = 0;
  double period = 0;
  const bool limited =
      read_two_numbers("/sys/fs/cgroup/cpu.max", nullptr, quota, period) ||
      read_two_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us", quota, period);
  if (!limited || !(quota > 0) || !(period > 0) || quota / period >= max_thread_count) {
    return std::numeric_limits<int>::max();
  }
  const int whole = static_cast<int>(quota / period);
  return static_cast<double>(whole) * period < quota ? whole + 1 : whole;
}

/// Gives the number of processors that this process may use, at least 1. The number is read once per process.
inline int processor_count() {
  static const int count = std::max(1, std::min(allowed_processors(), granted_processors()));
  return count;
}

/// Gives the number at the beginning of `text`, and 0 if there is none from 1 to max_thread_count. `rest` becomes what
/// follows it.
inline int leading_count(std::string_view text, std::string_view& rest) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  rest = text.substr(static_cast<std::size_t>(end - text.data()));
  return error == std::errc() && count >= 1 && count <= max_thread_count ? count : 0;
}

/// Gives the number of threads that the two environment variables (null: not set) ask for, else `processors`.
/// @param ours    MAESTRO_NUM_THREADS: a number.
/// @param openmp  OMP_NUM_THREADS, which many environments set: its first number is taken; it is ignored if it does not
///   begin with one.
/// @throws BadArgument if `ours` is not a number from 1 to 65536.
inline int threads_asked_for(const char* ours, const char* openmp, int processors) {
  std::string_view rest;
  if (ours != nullptr && *ours != '\0') {
    const int count = leading_count(ours, rest);
    if (count == 0 || !rest.empty()) {
      throw BadArgument("MAESTRO_NUM_THREADS is '" + std::string(ours) +
                        "'; it must be a number of threads, 1 to 65536, or not be set");
    }
    return count;
  }
  const int count = openmp == nullptr ? 0 : leading_count(openmp, rest);
  return count > 0 ? count : processors;
}

/// Gives threads_asked_for() of this process's environment as it is at the first call.
inline int default_threads() {
  static const int count =
      threads_asked_for(std::getenv("MAESTRO_NUM_THREADS"), std::getenv("OMP_NUM_THREADS"), processor_count());
  return count;
}

}  // namespace maestro::detail
