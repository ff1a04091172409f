#pragma once

/// @file
/// A limit of an amount per minute.

#include <cstddef>
#include <deque>
#include <utility>

namespace maestro {

/// RateLimit limits the sum of amounts in any 60 seconds, by a sliding window. Times are seconds of the caller's clock.
/// It is not thread-safe.
class RateLimit {
 public:
  static constexpr double window = 60.0;  ///< seconds

  /// Makes an unused limit.
  /// @param per_minute  no limit if 0.
  explicit RateLimit(double per_minute = 0.0) : per_minute_(per_minute) {}

  /// Gives the seconds to wait before `amount` may be used; 0 if it may be used now. An amount above the limit waits
  /// until the window is empty.
  double wait(double now, double amount) {
    if (per_minute_ <= 0.0) return 0.0;
    while (!used_.empty() && used_.front().first <= now - window) {
      sum_ -= used_.front().second;
      used_.pop_front();
    }
    if (used_.empty()) sum_ = 0.0;
    double left = sum_;
    for (const auto& [time, past] : used_) {
      if (left + amount <= per_minute_) return 0.0;
      left -= past;
      if (left + amount <= per_minute_) return time + window - now;
    }
    return used_.empty() ? 0.0 : used_.back().first + window - now;
  }

  /// Records the use of `amount`. Times must not decrease.
  void use(double now, double amount) {
    if (per_minute_ <= 0.0) return;
    used_.emplace_back(now, amount);
    sum_ += amount;
  }

 private:
  double per_minute_;
  std::deque<std::pair<double, double>> used_;  // time, amount
  double sum_ = 0.0;
};

}  // namespace maestro
