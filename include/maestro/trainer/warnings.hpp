#pragma once

/// @file
/// Warnings about a run that continues but learns little.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// WarningOptions says when RunWarnings warns.
struct WarningOptions {
  std::uint32_t steps = 10;     ///< consecutive steps that a state must last; at least 1
  double varying_groups = 0.1;  ///< share of groups with differing rewards, in [0, 1], below which it warns
};

/// RunWarnings is an observer that warns if, for `steps` steps, a reward had one value in every group, a reward had no
/// value at all, or the rewards differed in few groups. Each warning comes once and names the remedy. After a resume it
/// counts from 0.
class RunWarnings {
 public:
  /// Makes the observer.
  /// @param say  receives each warning, a text without a line end.
  explicit RunWarnings(std::function<void(const std::string&)> say, WarningOptions options = {})
      : say_(std::move(say)), options_(options) {
    if (options_.steps == 0) options_.steps = 1;
  }

  void on_step(const StepReport& report, const StepTrace&) {
    rewards_.resize(report.rewards.size());
    for (std::size_t k = 0; k < rewards_.size(); ++k) look_at(report.rewards[k], rewards_[k]);
    if (!std::isnan(report.frac_reward_zero_std)) look_at_groups(1.0 - report.frac_reward_zero_std);
  }

 private:
  /// Lasting holds for how many steps a state of the run has lasted, and whether it was reported.
  struct Lasting {
    std::uint32_t steps = 0;
    bool said = false;

    /// Counts a step, and gives true the first time that the state has lasted long enough.
    bool due(bool holds, std::uint32_t enough) {
      steps = holds ? steps + 1 : 0;
      if (said || steps < enough) return false;
      return said = true;
    }
  };
  struct RewardStates {
    Lasting constant;
    Lasting missing;
  };

  void look_at(const RewardFigures& reward, RewardStates& states) {
    const std::string start = "reward '" + reward.name + "' ";
    const std::string steps = " for " + std::to_string(options_.steps) + " steps";
    if (states.missing.due(reward.count == 0, options_.steps)) {
      say_(start + "had no value" + steps +
           ": every call failed, or it applies to no response. It teaches nothing until that changes; mend it, or "
           "leave it out");
    }
    const bool constant = reward.count > 0 && reward.frac_group_varies == 0.0;
    if (states.constant.due(constant, options_.steps)) {
      say_(start + "had one value in every group" + steps +
           ", so that it teaches nothing: responses are only compared with their group. Take a finer or easier reward, "
           "other prompts, a higher temperature or more responses a prompt, or leave it out");
    }
  }

  void look_at_groups(double varying) {
    sum_ += varying;
    if (++counted_ % options_.steps != 0) return;
    const double share = std::exchange(sum_, 0.0) / options_.steps;
    if (few_said_ || share >= options_.varying_groups) return;
    few_said_ = true;
    char percent[16];
    std::snprintf(percent, sizeof percent, "%.1f", 100.0 * share);
    say_("the rewards differed in " + std::string(percent) + " % of the groups over " + std::to_string(options_.steps) +
         " steps; the others teach nothing. The prompts are too easy or too hard for this model, or the rewards too "
         "coarse: choose prompts that it solves now and then, more responses a prompt or a higher temperature, or "
         "graded rewards");
  }

  std::function<void(const std::string&)> say_;
  WarningOptions options_;
  std::vector<RewardStates> rewards_;
  double sum_ = 0.0;  ///< shares of groups that vary, of the steps since the last look
  std::uint32_t counted_ = 0;
  bool few_said_ = false;
};

}  // namespace maestro
