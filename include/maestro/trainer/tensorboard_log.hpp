#pragma once

/// @file
/// The metrics of a run for TensorBoard.

#include <optional>
#include <string>
#include <utility>

#include "maestro/io/tensorboard.hpp"
#include "maestro/trainer/metrics.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// TensorBoardLog is an observer that writes the figures of each step, under the names of MetricsLog, into an event
/// file in an existing folder. The file is made at the first step that it sees, so that a resumed run replaces the
/// figures that an earlier one logged after its checkpoint.
class TensorBoardLog {
 public:
  explicit TensorBoardLog(std::string folder) : folder_(std::move(folder)) {}

  /// Writes the figures of a step.
  /// @throws IoError if the file cannot be written.
  void on_step(const StepReport& report, const StepTrace&) {
    if (!file_) file_.emplace(folder_, report.step);
    file_->write_scalars(report.step, [&](const auto& add) {
      for_each_metric(report, add);
      for_each_timing(report, add);
    });
  }

 private:
  std::string folder_;
  std::optional<EventFile> file_;
};

}  // namespace maestro
