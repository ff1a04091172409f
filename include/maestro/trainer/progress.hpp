#pragma once

/// @file
/// One line of progress per step. On a terminal, the line is overwritten in place. Elsewhere, a plain line is written
/// every few steps.

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ostream>
#include <string>
#include <utility>

#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// ProgressStyle says whether one line is overwritten in place or a new line is written each time.
enum class ProgressStyle { terminal, lines };

/// ProgressOptions holds the options of Progress.
struct ProgressOptions {
  ProgressStyle style = ProgressStyle::lines;
  std::uint32_t total_steps = 0;
  std::uint32_t line_every = 10;  ///< for ProgressStyle::lines
  std::string label{};            ///< printed before each line
  /// The number of columns of a line, for ProgressStyle::terminal. 0 means the width of the terminal of standard
  /// output, or 80 if that is not a terminal.
  std::size_t width = 0;
};

/// Progress is an observer that writes to a stream, in this order: the step, the remaining time, the number of ranks if
/// there are several, tokens per second of all ranks, the mean length, and mean and weight of each reward. On a
/// terminal, parts that do not fit are left out.
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
      *out_ << '\r' << line(report, width()) << "\033[K" << (last ? "\n" : "") << std::flush;
    } else if (last || report.step % options_.line_every == 0) {
      *out_ << line(report, std::string::npos) << '\n' << std::flush;
    }
  }

 private:
  /// Gives the columns that a line may use: one less than the terminal has, since some terminals wrap after the last.
  std::size_t width() const {
    if (options_.width > 0) return options_.width - 1;
    winsize size{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return (known ? size.ws_col : 80u) - 1u;
  }

  /// Gives the parts of the line that fit into `width`. A byte counts as one column.
  std::string line(const StepReport& report, std::size_t width) const {
    std::string text = options_.label + printed("%4u/%u", report.step, options_.total_steps);
    bool full = false;
    const auto add = [&](const std::string& part) {
      full = full || text.size() + 2 + part.size() > width;
      if (!full) text += "  " + part;
    };
    if (options_.total_steps >= report.step && steps_ > 0) {
      const auto left = static_cast<long>(seconds_ / steps_ * static_cast<double>(options_.total_steps - report.step));
      add(left < 3600 ? printed("%ld:%02ld left", left / 60, left % 60)
                      : printed("%ld:%02ld:%02ld left", left / 3600, left / 60 % 60, left % 60));
    }
    if (report.ranks > 1) add(printed("%zu ranks", report.ranks));
    add(printed("%.0f tok/s", seconds_ > 0.0 ? tokens_ / seconds_ : 0.0));
    add(printed("len %.0f", report.mean_length));
    for (const RewardFigures& reward : report.rewards) {
      add(reward.name + printed(" %+.2f x%.2f", reward.mean, reward.weight));
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
