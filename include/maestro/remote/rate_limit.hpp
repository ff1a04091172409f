#pragma once

/// @file
/// At most so much in any minute.

#include <cstddef>
#include <deque>
#include <utility>

namespace maestro {

/// RateLimit is a limit on the amounts of any 60 seconds: a sliding window over what was used, in seconds of a clock of
/// the caller's. Not thread-safe.
class RateLimit {
 public:
  static constexpr double window = 60.0;  ///< seconds

  /// @param per_minute  0: no limit
  explicit RateLimit(double per_minute = 0.0) : per_minute_(per_minute) {}

  /// Seconds to wait before `amount` may be used; 0: now. An amount above the limit itself waits for an empty window.
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

  /// Notes the use of `amount`; times do not decrease.
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
