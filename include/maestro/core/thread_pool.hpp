#pragma once

/// @file
/// The threads behind core/parallel.hpp. A thread starts when a loop first needs it and lives until the process ends.
/// While it waits, it spins for some tens of microseconds and then sleeps.
///
/// The way of waiting decides how fast small loops are. A thread that sleeps at once must be woken for every loop. A
/// thread that spins for long takes the processor from other work on the machine, the loop's own other threads
/// included.

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

#include "maestro/core/thread_count.hpp"

namespace maestro::detail {

/// LoopState holds what the calling thread knows of parallel loops.
struct LoopState {
  int threads = 0;      ///< number for its loops; 0: default_threads()
  int index = 0;        ///< place among the threads of the loop that it works in
  bool inside = false;  ///< whether it works in a loop of more than one thread
};
inline constinit thread_local LoopState loop_state;

/// spin_time is the time that a thread spins before it sleeps.
inline constexpr std::chrono::microseconds spin_time{50};

/// Tells the processor that this thread waits.
inline void spin_once() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

/// WaitingPlace lets one thread wait for an action of another one.
class WaitingPlace {
 public:
  /// Returns once ready() holds. `ready` must read atomics in sequentially consistent order.
  template <class Ready>
  void wait_until(const Ready& ready, bool spin) {
    // Spins again after each sleep: a worker that wakes too late for one short loop is awake for the next.
    while (!(spin ? spin_until(ready) : ready())) {
      std::unique_lock lock(mutex_);
      asleep_.store(true);
      if (!ready()) changed_.wait(lock);
      asleep_.store(false);
    }
  }
  /// Wakes the waiting thread. It must be called after a sequentially consistent store has made ready() true. Then
  /// either this load sees that the thread sleeps, or that thread sees the store.
  void wake() {
    if (!asleep_.load()) return;
    { const std::lock_guard lock(mutex_); }
    changed_.notify_one();
  }

 private:
  template <class Ready>
  static bool spin_until(const Ready& ready) {
    constexpr int looks_per_clock = 32;
    const auto end = std::chrono::steady_clock::now() + spin_time;
    do {
      for (int i = 0; i < looks_per_clock; ++i) {
        if (ready()) return true;
        spin_once();
      }
    } while (std::chrono::steady_clock::now() < end);
    return false;
  }

  std::atomic<bool> asleep_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

/// Job is one loop: run(body, m) does the work of its member m.
struct Job {
  void (*run)(void* body, std::size_t member) noexcept;
  void* body;
  int threads;  ///< max_threads() of the loop's caller, and so of its members
  bool spin;    ///< whether there are processors enough to spin

  void work(std::size_t member) const noexcept {
    loop_state.index = static_cast<int>(member);
    run(body, member);
  }
};

/// Worker is a thread of the pool with the place where a caller puts a job for it. It is never destroyed.
class alignas(64) Worker {
 public:
  /// Starts the thread. It belongs to the caller until release().
  Worker() {
    // Signals go to the program's own threads, except those that a thread causes itself and a profiler's.
    sigset_t blocked;
    sigset_t before;
    sigfillset(&blocked);
    for (const int own : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGPROF, SIGSEGV, SIGTRAP}) sigdelset(&blocked, own);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    try {
      std::thread([this] { serve(); }).detach();
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  bool acquire() {
    return !owned_.load(std::memory_order_relaxed) && !owned_.exchange(true, std::memory_order_acquire);
  }
  void release() { owned_.store(false, std::memory_order_release); }

  /// Gives the thread a member's work. The caller owns the worker, and `job` must outlive finish().
  void post(const Job& job, std::size_t member) {
    job_ = &job;
    member_ = member;
    state_.store(State::posted);
    posted_.wake();
  }
  /// Does the work on the calling thread if the worker has not begun it, so that a worker that wakes late delays
  /// nobody.
  void take_back() {
    State expected = State::posted;
    if (state_.compare_exchange_strong(expected, State::idle)) job_->work(member_);
  }
  /// Returns as soon as the worker has finished the work that it began.
  void finish(bool spin) {
    done_.wait_until([this] { return state_.load() == State::idle; }, spin);
  }

  std::atomic<Worker*> next = nullptr;  ///< in the pool's list
  Worker* next_of_loop = nullptr;       ///< in the list of the loop that owns it

 private:
  enum class State { idle, posted, running };

  void serve() {
    bool spin = true;
    for (;;) {
      posted_.wait_until([this] { return state_.load() == State::posted; }, spin);
      State expected = State::posted;
      if (!state_.compare_exchange_strong(expected, State::running)) continue;
      spin = job_->spin;
      loop_state.threads = job_->threads;
      loop_state.inside = true;
      job_->work(member_);
      state_.store(State::idle);
      done_.wake();
    }
  }

  std::atomic<State> state_ = State::idle;
  const Job* job_ = nullptr;
  std::size_t member_ = 0;
  WaitingPlace posted_;
  WaitingPlace done_;
  std::atomic<bool> owned_ = true;
};

/// ThreadPool holds all threads of the process. Loops of several callers share them: each takes idle ones.
class ThreadPool {
 public:
  /// Gives the process's pool. The pool is never destroyed, so that loops work during exit. A forked child has none of
  /// its parent's threads and gets a pool of its own.
  static ThreadPool& instance() {
    ThreadPool* const pool = current_.load(std::memory_order_acquire);
    return pool != nullptr ? *pool : create();
  }

  /// Does the work of members 0 to `members` - 1. The calling thread does that of member 0, and idle threads, as far as
  /// there are any, do that of the others. When the caller has finished its own share, it also runs the shares that no
  /// thread has begun.
  void run(const Job& job, std::size_t members) noexcept {
    const LoopState before = loop_state;
    loop_state.inside = true;
    Worker* const first = post(job, members);
    job.work(0);
    for (Worker* w = first; w != nullptr; w = w->next_of_loop) w->take_back();
    std::size_t posted = 1;
    for (Worker* w = first; w != nullptr; w = w->next_of_loop) ++posted;
    for (std::size_t member = posted; member < members; ++member) job.work(member);
    for (Worker* w = first; w != nullptr;) {
      Worker* const next = w->next_of_loop;
      w->finish(job.spin);
      w->release();
      w = next;
    }
    loop_state = before;
  }

 private:
  ThreadPool() = default;

  static ThreadPool& create() {
    [[maybe_unused]] static const int registered = pthread_atfork(nullptr, nullptr, [] { forget(); });
    auto* const made = new ThreadPool;
    ThreadPool* other = nullptr;
    if (current_.compare_exchange_strong(other, made)) return *made;
    delete made;
    return *other;
  }
  // This runs in a forked child: the old pool's threads do not exist there, and its locks may be held for ever.
  static void forget() {
    ThreadPool* const old = current_.exchange(nullptr);
    if (old == nullptr) return;
    old->forgotten_ = forgotten_pools_;
    forgotten_pools_ = old;
  }

  // Gives members 1 and on to idle threads. A member goes to the same thread loop after loop if nobody else is at work,
  // since its data lie in that thread's cache. Returns the list of the threads.
  Worker* post(const Job& job, std::size_t members) noexcept {
    Worker* first = nullptr;
    Worker* last = nullptr;
    Worker* candidate = first_.load(std::memory_order_acquire);
    for (std::size_t member = 1; member < members; ++member) {
      while (candidate != nullptr && !candidate->acquire()) candidate = candidate->next.load(std::memory_order_acquire);
      Worker* const worker = candidate != nullptr ? candidate : start(members);
      if (worker == nullptr) break;
      candidate = worker->next.load(std::memory_order_acquire);
      worker->next_of_loop = nullptr;
      (last == nullptr ? first : last->next_of_loop) = worker;
      last = worker;
      worker->post(job, member);
    }
    return first;
  }

  // Starts a new thread, unless there are as many as the processors or this loop can use, or the system has none left.
  Worker* start(std::size_t members) noexcept {
    const std::lock_guard lock(growth_);
    if (count_ + 1 >= std::max(members, static_cast<std::size_t>(processor_count()))) return nullptr;
    try {
      auto* const worker = new Worker;
      (last_ == nullptr ? first_ : last_->next).store(worker, std::memory_order_release);
      last_ = worker;
      ++count_;
      return worker;
    } catch (...) {
      return nullptr;
    }
  }

  std::atomic<Worker*> first_ = nullptr;
  std::mutex growth_;
  Worker* last_ = nullptr;
  std::size_t count_ = 0;
  ThreadPool* forgotten_ = nullptr;

  inline static std::atomic<ThreadPool*> current_ = nullptr;
  inline static ThreadPool* forgotten_pools_ = nullptr;
};

}  // namespace maestro::detail
