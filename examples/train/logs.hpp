#pragma once

/// @file
/// What a run of `train` tells beside its metrics: evaluations, TensorBoard's files, the report.

#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/trainer/evaluation_log.hpp"
#include "maestro/trainer/run.hpp"
#include "maestro/trainer/step_report.hpp"
#include "maestro/trainer/tensorboard_log.hpp"
#include "report/report.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// Observer that evaluates on --eval-prompts, if they are given.
template <class TrainerType>
class Evaluations {
 public:
  /// Evaluates before the first step of a run that starts.
  void open(TrainerType& trainer, const TrainOptions& o, std::vector<Prompt> prompts) {
    if (prompts.empty()) return;
    log_.emplace(trainer, std::move(prompts), o.output + "/eval.jsonl",
                 EvaluationLogOptions{.every = o.eval_steps, .total_steps = o.steps});
    if (!Checkpoints::newest_in(Run::checkpoints_in(o.output))) {
      unless_stopped(0, [&] { log_->evaluate(0); });
    }
  }
  void on_step(const StepReport& report, const StepTrace& trace) {
    if (log_) unless_stopped(report.step, [&] { log_->on_step(report, trace); });
  }

 private:
  /// An evaluation that a stop interrupts is left out, and that is said.
  template <class Work>
  static void unless_stopped(std::uint32_t step, const Work& work) {
    try {
      work();
    } catch (const Interrupted&) {
      if (!stop_requested()) throw;
      std::cerr << "\ntrain: the evaluation after step " << step << " is left out, since the run is stopping"
                << std::endl;
    }
  }

  std::optional<EvaluationLog<TrainerType>> log_;
};

/// Observer that writes for TensorBoard, where --tensorboard asks for it.
class TensorBoard {
 public:
  void open(const TrainOptions& o) {
    if (o.tensorboard == TensorBoardFiles::yes) log_.emplace(o.output);
  }
  void on_step(const StepReport& report, const StepTrace& trace) {
    if (log_) log_->on_step(report, trace);
  }

 private:
  std::optional<TensorBoardLog> log_;
};

/// Observer that keeps report.html up to date, at most twice a minute. What hinders it is said, and ends no run.
class Report {
 public:
  explicit Report(const TrainOptions& o) : folder_(o.output), wanted_(o.report == WriteReport::yes) {}

  void on_step(const StepReport&, const StepTrace&) {
    using Clock = std::chrono::steady_clock;
    const auto now = Clock::now();
    if (written_ && now - *written_ < std::chrono::seconds(30)) return;
    written_ = now;
    write();
  }
  /// Writes the page as it is at the end; its path, empty if there is none.
  std::string write() const {
    if (!wanted_) return {};
    try {
      return write_report(folder_);
    } catch (const Error& error) {
      std::cerr << "\ntrain: no report: " << error.what() << std::endl;
      return {};
    }
  }

 private:
  std::string folder_;
  bool wanted_;
  std::optional<std::chrono::steady_clock::time_point> written_{};
};

}  // namespace maestro::examples
