#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "maestro/core/parallel.hpp"

#if defined(__has_feature)
#define MAESTRO_TEST_THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define MAESTRO_TEST_THREAD_SANITIZER 0
#endif

using namespace maestro;

namespace {

/// A loop of `count` iterations of each kind visits every index once.
bool loops_work(std::size_t count) {
  std::vector<int> visits(count);
  parallel_for(count, [&](std::size_t i) { ++visits[i]; });
  parallel_for_uneven(count, [&](std::size_t i) { ++visits[i]; });
  return std::ranges::all_of(visits, [](int v) { return v == 2; });
}

/// Two iterations of each kind of loop wait for each other, up to 20 s.
bool iterations_meet() {
  std::atomic<int> arrived = 0;
  std::atomic<int> met = 0;
  const auto meet = [&](std::size_t) {
    ++arrived;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    if (arrived == 2) ++met;
  };
  parallel_for(2, meet);
  arrived = 0;
  parallel_for_uneven(2, meet);
  return met == 4;
}

// Constructed before everything else of this file and destroyed after it: loops work while the program exits.
struct LoopsAtExit {
  ~LoopsAtExit() {
    if (!loops_work(1000)) std::_Exit(70);
  }
} const loops_at_exit;

struct TwoThreadsAgain {
  ~TwoThreadsAgain() { set_threads(2); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(core_parallel, *boost::unit_test::fixture<TwoThreadsAgain>())

BOOST_AUTO_TEST_CASE(loops_visit_each_index_once_whatever_the_number_of_threads) {
  for (const int threads : {2, 1, 7, 3, 16, 2}) {
    set_threads(threads);
    BOOST_TEST(max_threads() == threads);
    for (const std::size_t count : {0u, 1u, 2u, 7u, 1000u}) BOOST_TEST(loops_work(count));
  }
}

BOOST_AUTO_TEST_CASE(a_thread_has_a_share_that_depends_on_the_counts_alone) {
  for (const int threads : {1, 2, 3, 5, 16}) {
    set_threads(threads);
    for (const std::size_t count : {2u, 3u, 16u, 17u, 100u}) {
      const std::size_t members = std::min(count, static_cast<std::size_t>(threads));
      std::vector<int> want;
      for (std::size_t t = 0; t < members; ++t) {
        want.insert(want.end(), count / members + (t < count % members ? 1 : 0), static_cast<int>(t));
      }
      for (int repeat = 0; repeat < 50; ++repeat) {
        std::vector<int> got(count, -1);
        parallel_for(count, [&](std::size_t i) { got[i] = thread_index(); });
        BOOST_TEST(got == want, boost::test_tools::per_element());
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(iterations_run_at_the_same_time) {
  set_threads(2);
  for (int repeat = 0; repeat < 20; ++repeat) BOOST_TEST(iterations_meet());
}

BOOST_AUTO_TEST_CASE(loops_carry_out_the_exception_of_the_lowest_index) {
  for (const int threads : {1, 2, 3}) {
    set_threads(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::vector<int> visits(100);
      const auto body = [&](std::size_t i) {
        ++visits[i];
        if (i == 12 || i == 57 || i == 99) throw std::runtime_error(std::to_string(i));
      };
      const auto is_12 = [](const std::exception& e) { return std::string(e.what()) == "12"; };
      BOOST_CHECK_EXCEPTION(parallel_for(100, body), std::runtime_error, is_12);
      BOOST_CHECK_EXCEPTION(parallel_for_uneven(100, body), std::runtime_error, is_12);
      for (const int v : visits) BOOST_TEST(v == 2);
      BOOST_TEST(!in_parallel_loop());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_loop_in_a_loop_runs_on_its_own_thread) {
  set_threads(3);
  BOOST_TEST(!in_parallel_loop());
  std::array<bool, 6> same{};
  parallel_for(same.size(), [&](std::size_t i) {
    const auto id = std::this_thread::get_id();
    const int index = thread_index();
    bool ok = in_parallel_loop() && max_threads() == 3;
    const auto inner = [&](std::size_t) {
      ok = ok && std::this_thread::get_id() == id && thread_index() == index && in_parallel_loop();
    };
    parallel_for(100, inner);
    parallel_for_uneven(100, inner);
    same[i] = ok;
  });
  for (const bool s : same) BOOST_TEST(s);
  BOOST_TEST(!in_parallel_loop());
  BOOST_TEST(thread_index() == 0);
}

BOOST_AUTO_TEST_CASE(a_loop_inside_throws_to_the_iteration_around_it) {
  set_threads(2);
  std::array<int, 4> caught{};
  parallel_for(caught.size(), [&](std::size_t i) {
    try {
      parallel_for(10, [](std::size_t j) {
        if (j > 2) throw std::runtime_error(std::to_string(j));
      });
    } catch (const std::runtime_error& e) {
      caught[i] = std::stoi(e.what());
    }
  });
  for (const int c : caught) BOOST_TEST(c == 3);
}

BOOST_AUTO_TEST_CASE(no_two_running_iterations_share_an_index) {
  set_threads(4);
  // Plain counters: two threads with one index would race, which ThreadSanitizer sees too.
  std::array<std::size_t, 4> count{};
  std::array<std::atomic<bool>, 4> busy{};
  std::atomic<int> clashes = 0;
  const auto body = [&](std::size_t) {
    const auto t = static_cast<std::size_t>(thread_index());
    if (busy[t].exchange(true)) ++clashes;
    ++count[t];
    busy[t] = false;
  };
  for (int repeat = 0; repeat < 500; ++repeat) {
    parallel_for(40, body);
    parallel_for_uneven(40, body);
  }
  BOOST_TEST(clashes == 0);
  BOOST_TEST(std::accumulate(count.begin(), count.end(), std::size_t{0}) == 500u * 80u);
}

BOOST_AUTO_TEST_CASE(several_callers_at_once) {
  std::array<std::size_t, 5> sums{};
  std::vector<std::thread> callers;
  for (std::size_t c = 0; c < sums.size(); ++c) {
    callers.emplace_back([&sum = sums[c], c] {
      set_threads(static_cast<int>(c) + 1);  // of this thread's loops alone
      for (int repeat = 0; repeat < 400; ++repeat) {
        std::vector<std::size_t> values(97 + c);
        parallel_for(values.size(), [&](std::size_t i) { values[i] += i; });
        parallel_for_uneven(values.size(), [&](std::size_t i) { values[i] += i; });
        for (const std::size_t v : values) sum += v;
        if (max_threads() != static_cast<int>(c) + 1) sum = 0;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (std::size_t c = 0; c < sums.size(); ++c) {
    const std::size_t n = 97 + c;
    BOOST_TEST(sums[c] == 400 * n * (n - 1));
  }
}

BOOST_AUTO_TEST_CASE(exceptions_of_several_callers_stay_with_their_loops) {
  std::array<int, 4> right{};
  std::vector<std::thread> callers;
  for (std::size_t c = 0; c < right.size(); ++c) {
    callers.emplace_back([&mine = right[c], c] {
      set_threads(3);
      for (int repeat = 0; repeat < 100; ++repeat) {
        try {
          parallel_for(50, [&](std::size_t i) {
            if (i >= 10 + c) throw std::runtime_error(std::to_string(i));
          });
        } catch (const std::runtime_error& e) {
          mine += std::string(e.what()) == std::to_string(10 + c) ? 1 : 0;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const int r : right) BOOST_TEST(r == 100);
}

BOOST_AUTO_TEST_CASE(numbers_of_threads_that_make_no_sense_are_refused) {
  set_threads(3);
  BOOST_CHECK_THROW(set_threads(0), BadArgument);
  BOOST_CHECK_THROW(set_threads(-1), BadArgument);
  BOOST_CHECK_THROW(parallel_for(4, [](std::size_t) { set_threads(2); }), BadArgument);
  BOOST_TEST(max_threads() == 3);
}

BOOST_AUTO_TEST_CASE(the_environment_says_how_many_threads) {
  using detail::threads_asked_for;
  BOOST_TEST(threads_asked_for(nullptr, nullptr, 6) == 6);
  BOOST_TEST(threads_asked_for("3", nullptr, 6) == 3);
  BOOST_TEST(threads_asked_for("3", "5", 6) == 3);
  BOOST_TEST(threads_asked_for(nullptr, "5", 6) == 5);
  BOOST_TEST(threads_asked_for("", "5", 6) == 5);
  BOOST_TEST(threads_asked_for(nullptr, "5,2", 6) == 5);
  for (const char* const not_ours : {"", "many", "0", "-2", "99999999999"}) {
    BOOST_TEST(threads_asked_for(nullptr, not_ours, 6) == 6);
  }
  for (const char* const wrong : {"many", "0", "-2", "4,2", "4 ", "1e3", "99999999999"}) {
    BOOST_CHECK_EXCEPTION(threads_asked_for(wrong, "5", 6), BadArgument, [&](const BadArgument& e) {
      return std::string(e.what()).find("MAESTRO_NUM_THREADS is '" + std::string(wrong)) == 0;
    });
  }
  BOOST_TEST(detail::processor_count() >= 1);
  BOOST_TEST(detail::processor_count() <= detail::allowed_processors());
}

BOOST_AUTO_TEST_CASE(a_new_thread_begins_with_the_default) {
  set_threads(7);
  int found = 0;
  std::thread([&] { found = max_threads(); }).join();
  BOOST_TEST(found == detail::default_threads());
}

BOOST_AUTO_TEST_CASE(small_loops_stay_on_their_thread) {
  set_threads(4);
  const auto caller = std::this_thread::get_id();
  int elsewhere = 0;
  const auto body = [&](std::size_t) {
    elsewhere += std::this_thread::get_id() != caller || in_parallel_loop() ? 1 : 0;
  };
  parallel_for(100, parallel_threshold / 101, body);
  parallel_for_uneven(100, parallel_threshold / 101, body);
  parallel_for(1, body);
  BOOST_TEST(elsewhere == 0);
}

BOOST_AUTO_TEST_CASE(threads_that_wait_use_no_processor) {
  set_threads(2);
  BOOST_TEST(iterations_meet());  // so that the other thread has worked
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const std::clock_t before = std::clock();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  BOOST_TEST(used < 0.02);  // a thread that spins on would use up to 0.5, on a busy machine a part of that
}

// ThreadSanitizer lets no child of a process with threads start threads.
#if !MAESTRO_TEST_THREAD_SANITIZER
BOOST_AUTO_TEST_CASE(a_forked_child_runs_loops_too) {
  set_threads(3);
  const auto child_succeeds = [](auto&& work) {
    const pid_t child = fork();
    if (child == 0) _exit(work() ? 0 : 1);
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  const auto with_grandchild = [&] { return loops_work(1000) && child_succeeds([] { return loops_work(1000); }); };
  for (int repeat = 0; repeat < 20; ++repeat) {
    BOOST_TEST(loops_work(1000));
    BOOST_TEST(child_succeeds(with_grandchild));
    BOOST_TEST(child_succeeds([] { return iterations_meet(); }));  // on threads of its own
    BOOST_TEST(loops_work(1000));
  }
  // While another thread's loop is at work, with locks held and workers running.
  std::atomic<bool> stop = false;
  std::thread other([&] {
    set_threads(3);
    while (!stop) loops_work(100);
  });
  for (int repeat = 0; repeat < 20; ++repeat) BOOST_TEST(child_succeeds(with_grandchild));
  stop = true;
  other.join();
}
#endif

BOOST_AUTO_TEST_SUITE_END()
