#pragma once

/// @file
/// OpenMP loops that carry exceptions out. Without OpenMP they run serially, with the same results.

#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <utility>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace maestro {

/// Threads that a parallel_for may use.
inline int max_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/// Sets the threads used from now on by this thread's parallel loops; no effect without OpenMP.
inline void set_threads(int count) {
#if defined(_OPENMP)
  omp_set_num_threads(count > 0 ? count : 1);
#else
  (void)count;
#endif
}

/// This thread's index in the enclosing parallel loop, 0 outside one.
inline int thread_index() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

namespace detail {

/// Keeps the exception of the lowest index, so that what a loop throws does not depend on timing.
class FirstException {
 public:
  template <class F>
  void run(std::size_t index, F& body) noexcept {
    try {
      body(index);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (index <= index_) {
        index_ = index;
        exception_ = std::current_exception();
      }
    }
  }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  std::size_t index_ = std::numeric_limits<std::size_t>::max();
  std::exception_ptr exception_;
};

}  // namespace detail

/// Calls body(i) for i in [0, count), each once, in parallel with a static schedule (thread t's share depends only on
/// count and the number of threads). All iterations run; then the exception of the lowest index, if any, is rethrown.
template <class F>
void parallel_for(std::size_t count, F&& body) {
  detail::FirstException first;
#if defined(_OPENMP)
#pragma omp parallel for schedule(static)
#endif
  for (std::size_t i = 0; i < count; ++i) first.run(i, body);
  first.rethrow();
}

/// Element operations under which waking a second thread costs more than it saves.
inline constexpr std::size_t parallel_threshold = 32768;

/// As parallel_for, where one iteration is about `cost` element operations: runs on this thread alone when all of them
/// together stay under parallel_threshold. The choice never changes what is computed.
template <class F>
void parallel_for(std::size_t count, std::size_t cost, F&& body) {
  if (count * cost >= parallel_threshold) return parallel_for(count, body);
  for (std::size_t i = 0; i < count; ++i) body(i);
}

/// As parallel_for, with a dynamic schedule: for items of uneven cost whose results do not depend on the thread.
template <class F>
void parallel_for_uneven(std::size_t count, F&& body) {
  detail::FirstException first;
#if defined(_OPENMP)
#pragma omp parallel for schedule(dynamic, 1)
#endif
  for (std::size_t i = 0; i < count; ++i) first.run(i, body);
  first.rethrow();
}

}  // namespace maestro
