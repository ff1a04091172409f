#pragma once

/// @file
/// One line of progress per step. On a terminal it is overwritten in place; elsewhere a plain line comes every so
/// often.

#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>

#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// ProgressStyle says whether one line is overwritten in place, or lines follow each other.
enum class ProgressStyle { terminal, lines };

/// ProgressOptions say how Progress writes.
struct ProgressOptions {
  ProgressStyle style = ProgressStyle::lines;
  std::uint32_t total_steps = 0;
  std::uint32_t line_every = 10;  ///< for ProgressStyle::lines
  std::string label{};            ///< printed before each line
};

/// Progress is an observer that writes step, mean of each reward, weights, tokens per second and time left to a stream.
class Progress {
 public:
  Progress(std::ostream& out, ProgressOptions options) : out_(&out), options_(std::move(options)) {
    if (options_.line_every == 0) options_.line_every = 1;
  }

  void on_step(const StepReport& report, const StepTrace&) {
    seconds_ += report.seconds.total;
    tokens_ += static_cast<double>(report.response_tokens + report.prompt_tokens);
    ++steps_;
    const bool last = report.step == options_.total_steps;
    if (options_.style == ProgressStyle::terminal) {
      *out_ << '\r' << line(report) << "\033[K" << (last ? "\n" : "") << std::flush;
    } else if (last || report.step % options_.line_every == 0) {
      *out_ << line(report) << '\n' << std::flush;
    }
  }

 private:
  std::string line(const StepReport& report) const {
    std::string text = options_.label;
    text += printed("%4u/%u", report.step, options_.total_steps);
    for (const RewardFigures& reward : report.rewards) {
      text += "  " + reward.name + printed(" %+.2f x%.2f", reward.mean, reward.weight);
    }
    text += printed("  len %.0f  %.0f tok/s", report.mean_length, seconds_ > 0.0 ? tokens_ / seconds_ : 0.0);
    if (options_.total_steps >= report.step && steps_ > 0) {
      const double left = seconds_ / steps_ * static_cast<double>(options_.total_steps - report.step);
      text += printed("  %d:%02d left", static_cast<int>(left) / 60, static_cast<int>(left) % 60);
    }
    return text;
  }

  template <class... Values>
  static std::string printed(const char* format, Values... values) {
    char buffer[160];
    const int length = std::snprintf(buffer, sizeof buffer, format, values...);
    return length > 0 ? std::string(buffer) : std::string();
  }

  std::ostream* out_;
  ProgressOptions options_;
  double seconds_ = 0.0;
  double tokens_ = 0.0;
  double steps_ = 0.0;
};

}  // namespace maestro
