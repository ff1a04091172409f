#pragma once

/// @file
/// Parallel loops that carry exceptions out, on the library's own threads (core/thread_pool.hpp).
///
/// The number of threads comes from set_threads(), else from the environment variable MAESTRO_NUM_THREADS, else from
/// OMP_NUM_THREADS; without any of them it is the number of processors that this process may use. Any thread of a
/// program may run loops, and several threads may do so at once. A loop inside a loop runs on the calling thread alone.
/// A loop's body must not fork, unless the child calls exec or _exit next. Outside a loop a program may fork, and the
/// child may run loops.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <limits>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

#include "maestro/core/error.hpp"
#include "maestro/core/thread_count.hpp"
#include "maestro/core/thread_pool.hpp"

namespace maestro {

/// Gives the number of threads that a loop of this thread may use. Inside a loop this is the number of that loop's
/// caller.
/// @throws BadArgument if MAESTRO_NUM_THREADS decides and is not a number.
inline int max_threads() {
  const int own = detail::loop_state.threads;
  return own > 0 ? own : detail::default_threads();
}

/// Sets the number of threads for the loops that the calling thread runs from now on; other threads keep their number.
/// The function may be called at any time outside a loop.
/// @throws BadArgument for a count below 1, and inside a loop.
inline void set_threads(int count) {
  if (count < 1) throw BadArgument("set_threads: " + std::to_string(count) + " threads were asked for; 1 is the least");
  require(!detail::loop_state.inside, "set_threads: called inside a parallel loop; call it before the loop");
  detail::loop_state.threads = count;
}

/// Gives this thread's index among the threads of the outermost parallel loop that it works in, in [0, max_threads());
/// 0 outside a loop. Two iterations that run at the same time in one loop never have the same index.
inline int thread_index() { return detail::loop_state.index; }

/// Tells whether this thread works in a parallel loop of more than one thread; a further loop would then run on it
/// alone.
inline bool in_parallel_loop() { return detail::loop_state.inside; }

namespace detail {

/// FirstException keeps the exception of the lowest index, so that what a loop throws does not depend on timing.
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

/// Gives the number of threads for a loop of `count` iterations that starts here.
inline std::size_t loop_threads(std::size_t count) {
  if (count < 2 || in_parallel_loop()) return 1;
  return std::min(count, static_cast<std::size_t>(max_threads()));
}

/// Calls work(t) for t in [0, threads), each on a thread of its own as far as idle threads exist.
template <class Work>
void run_on_threads(std::size_t threads, Work& work) {
  const auto run = [](void* body, std::size_t member) noexcept { (*static_cast<Work*>(body))(member); };
  const bool spin = threads <= static_cast<std::size_t>(processor_count());
  ThreadPool::instance().run({.run = run, .body = &work, .threads = max_threads(), .spin = spin}, threads);
}

}  // namespace detail

/// Calls body(i) once for each i in [0, count), in parallel with a static schedule: thread t runs a contiguous range of
/// iterations, which depends only on count and the number of threads. All iterations run; then the exception of the
/// lowest index, if any, is rethrown. Iterations must not wait for each other: if the other threads are late or busy
/// with other callers, this thread runs their shares.
template <class F>
void parallel_for(std::size_t count, F&& body) {
  detail::FirstException first;
  const std::size_t threads = detail::loop_threads(count);
  auto work = [&, share = count / threads, longer = count % threads](std::size_t t) {
    const std::size_t begin = t * share + std::min(t, longer);
    const std::size_t end = begin + share + (t < longer ? 1 : 0);
    for (std::size_t i = begin; i < end; ++i) first.run(i, body);
  };
  if (threads == 1) {
    work(0);
  } else {
    detail::run_on_threads(threads, work);
  }
  first.rethrow();
}

/// parallel_threshold is the number of element operations below which a second thread costs more than it saves.
inline constexpr std::size_t parallel_threshold = 32768;

/// Runs the same loop as parallel_for, for iterations of about `cost` element operations each. The loop runs on this
/// thread alone if all iterations together stay under parallel_threshold. The choice never changes what is computed.
template <class F>
void parallel_for(std::size_t count, std::size_t cost, F&& body) {
  if (count * cost >= parallel_threshold) return parallel_for(count, body);
  for (std::size_t i = 0; i < count; ++i) body(i);
}

/// Runs the same loop as parallel_for with a dynamic schedule. It serves items of uneven cost whose results do not
/// depend on the thread.
template <class F>
void parallel_for_uneven(std::size_t count, F&& body) {
  detail::FirstException first;
  const std::size_t threads = detail::loop_threads(count);
  std::atomic<std::size_t> next = 0;
  auto work = [&](std::size_t) {
    for (std::size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) first.run(i, body);
  };
  if (threads == 1) {
    for (std::size_t i = 0; i < count; ++i) first.run(i, body);
  } else {
    detail::run_on_threads(threads, work);
  }
  first.rethrow();
}

/// Runs the same loop as parallel_for_uneven, but on this thread alone if `count` iterations of about `cost` element
/// operations stay under parallel_threshold.
template <class F>
void parallel_for_uneven(std::size_t count, std::size_t cost, F&& body) {
  if (count * cost >= parallel_threshold) return parallel_for_uneven(count, body);
  for (std::size_t i = 0; i < count; ++i) body(i);
}

}  // namespace maestro
