#pragma once

/// @file
/// Metrics as JSON lines. One file has a record per step, and another has sample completions.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "maestro/io/json.hpp"
#include "maestro/io/jsonl_writer.hpp"
#include "maestro/trainer/metrics.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// LogTimings says whether wall-clock figures are logged. Without them, two runs of one seed write the same bytes.
enum class LogTimings : std::uint8_t { record, omit };

/// MetricsLog is an observer that appends {"step": ..., "<metric>": ...} to a file after every step. NaN becomes null.
/// In addition to the figures of the step, it logs the mean weight of each reward per task,
/// `conductor/task/<task>/<reward>`.
class MetricsLog {
 public:
  /// Opens the file. To resume, a program first removes later records with truncate_after(path, steps_done).
  /// @throws IoError if the file cannot be opened.
  explicit MetricsLog(const std::string& path, LogTimings timings = LogTimings::record,
                      OpenMode mode = OpenMode::append)
      : writer_(path, mode), timings_(timings) {}

  void on_step(const StepReport& report, const StepTrace& trace) {
    OrderedJson record;
    record["step"] = report.step;
    const auto write = [&](const std::string& name, double value) { record[name] = value; };
    for_each_metric(report, write);
    write_task_weights(report, trace, write);
    if (timings_ == LogTimings::record) for_each_timing(report, write);
    writer_.write(record);
  }
  /// Syncs the file, so that its records survive a crash of the machine.
  /// @throws IoError if that fails.
  void sync() { writer_.sync(); }

 private:
  template <class Write>
  static void write_task_weights(const StepReport& report, const StepTrace& trace, const Write& write) {
    std::map<std::string, std::pair<std::vector<double>, double>> tasks;
    for (std::size_t g = 0; g < trace.rollouts.groups.count(); ++g) {
      auto& [sums, rows] = tasks[trace.rollouts.prompts[g].task];
      sums.resize(report.rewards.size(), 0.0);
      for (std::size_t i = trace.rollouts.groups.begin(g); i < trace.rollouts.groups.end(g); ++i) {
        for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += static_cast<double>(trace.decision.weights(i, k));
        rows += 1.0;
      }
    }
    for (const auto& [task, figures] : tasks) {
      if (task.empty() || figures.second == 0.0) continue;
      for (std::size_t k = 0; k < figures.first.size(); ++k) {
        write("conductor/task/" + task + "/" + report.rewards[k].name, figures.first[k] / figures.second);
      }
    }
  }

  JsonlWriter writer_;
  LogTimings timings_;
};

/// SampleLog is an observer that appends completions of a few prompts of some steps, the first step included, with
/// their rewards, weights and advantages. A response of float actions is written as "actions", a list of D numbers for
/// each step, instead of "completion".
class SampleLog {
 public:
  /// Options says how often samples are written, and for how many prompts.
  struct Options {
    std::uint32_t every = 10;   ///< steps between samples, at least 1
    std::size_t prompts = 3;    ///< prompts of such a step, the first ones
    std::size_t responses = 1;  ///< responses of such a prompt, the first ones
  };

  SampleLog(const std::string& path, Options options, OpenMode mode = OpenMode::append)
      : writer_(path, mode), options_(options) {
    options_.every = std::max<std::uint32_t>(options_.every, 1);
  }

  void on_step(const StepReport& report, const StepTrace& trace) {
    if (report.step % options_.every != 0 && report.step != 1) return;
    const Rollouts& rollouts = trace.rollouts;
    for (std::size_t g = 0; g < std::min(options_.prompts, rollouts.groups.count()); ++g) {
      const std::size_t first = rollouts.groups.begin(g);
      const std::size_t count = std::min(options_.responses, rollouts.groups.size(g));
      for (std::size_t i = first; i < first + count; ++i) write(report, trace, g, i);
    }
  }
  /// Syncs the file, so that its records survive a crash of the machine.
  /// @throws IoError if that fails.
  void sync() { writer_.sync(); }

 private:
  void write(const StepReport& report, const StepTrace& trace, std::size_t g, std::size_t i) {
    const Rollouts& rollouts = trace.rollouts;
    OrderedJson record;
    record["step"] = report.step;
    record["task"] = rollouts.prompts[g].task;
    record["row"] = rollouts.prompts[g].row;
    record["response"] = i - rollouts.groups.begin(g);
    record["prompt"] = rollouts.prompts[g].text;
    if (rollouts.actions.empty()) {
      record["completion"] = rollouts.texts[i];
    } else {
      record["actions"] = steps_of(rollouts.completion(i).actions);
    }
    for (std::size_t k = 0; k < report.rewards.size(); ++k) {
      record["rewards"][report.rewards[k].name] = trace.rewards(i, k);
      record["weights"][report.rewards[k].name] = trace.decision.weights(i, k);
    }
    record["advantage"] = trace.advantages[i];
    writer_.write(record);
  }

  static OrderedJson steps_of(MatrixView<const float> actions) {
    OrderedJson steps = OrderedJson::array();
    for (std::size_t t = 0; t < actions.rows(); ++t) steps.push_back(actions.row(t));
    return steps;
  }

  JsonlWriter writer_;
  Options options_;
};

}  // namespace maestro
