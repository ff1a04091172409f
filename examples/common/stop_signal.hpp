#pragma once

/// @file
/// SIGINT, SIGTERM and SIGHUP as a request that the training loop honors between steps.

#include <atomic>
#include <csignal>

namespace maestro::examples {

/// Exit code of a run that saved its state and stopped on a signal.
inline constexpr int exit_stopped = 130;

inline std::atomic<int> stop_requests{0};

/// The first signal asks the loop to save and stop; a second one ends the process at once, as without a handler.
inline void catch_stop_signals() {
  const auto handler = [](int signal) {
    if (stop_requests.fetch_add(1) > 0) {
      std::signal(signal, SIG_DFL);
      std::raise(signal);
    }
  };
  std::signal(SIGINT, handler);
  std::signal(SIGTERM, handler);
  // The terminal is gone; under nohup the signal is ignored, and stays so.
  if (std::signal(SIGHUP, handler) == SIG_IGN) std::signal(SIGHUP, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a full disk then shows as a failing write, which the library reports
}

inline bool stop_requested() { return stop_requests.load() > 0; }

}  // namespace maestro::examples
