#pragma once

/// @file
/// The rewards of a run that live elsewhere.

#include <cstddef>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "maestro/remote/command_reward.hpp"
#include "maestro/remote/judge.hpp"
#include "maestro/remote/transport.hpp"
#include "maestro/remote/url_reward.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/reward/fallible.hpp"
#include "maestro/trainer/step_report.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// HTTP, in the one file that is compiled with it.
/// @throws BadArgument if the program was built without.
HttpTransport http_transport();

/// The judge's options as the command line gives them; reads the rubric. A dry run has no cache.
/// @throws BadArgument, IoError
JudgeOptions judge_options(const TrainOptions& o);

/// Adds the rewards from outside. They try again by themselves; what then failed is as --on-reward-error says.
template <class P>
void add_outside_rewards(const TrainOptions& options, std::vector<AnyReward<P>>& rewards) {
  const OutsideOptions& o = options.outside;
  const FallibleOptions treated{.on_error = on_error_of(o.on_error, OnError::missing), .retries = 0};
  const RetryOptions retry{.retries = o.retries};
  for (const std::string& text : o.commands) {
    auto [name, command] = name_and_value("--reward-command", text);
    const CommandRewardOptions settings{.command = command, .timeout_seconds = o.timeout, .retry = retry};
    rewards.emplace_back(Fallible(CommandReward(std::move(name), settings), treated));
  }
  for (const std::string& text : o.urls) {
    auto [name, url] = name_and_value("--reward-url", text);
    const UrlRewardOptions settings{.calls = {.url = url, .timeout_seconds = o.timeout, .retry = retry}};
    rewards.emplace_back(Fallible(UrlReward(std::move(name), settings, http_transport()), treated));
  }
  if (o.judge_url.empty()) return;
  rewards.emplace_back(Fallible(Judge(o.judge_name, judge_options(options), http_transport()), treated));
}

/// Observer that says on standard error which rewards failed in a step, and why the first one did; nothing where as
/// many failed as in the step before, as of a reward that is gone for good.
struct FailureLines {
  std::string last{};

  void on_step(const StepReport& report, const StepTrace& trace) {
    if (report.reward_failure.empty()) {
      last.clear();
      return;
    }
    std::string counts;
    const auto count = [&](const std::string& reward, const auto& figures, std::size_t asked) {
      for (const auto& [name, value] : figures) {
        if (name != "failed" || value == 0.0) continue;
        counts += (counts.empty() ? "" : ", ") + reward + " for " + std::to_string(static_cast<std::size_t>(value)) +
                  " of " + std::to_string(asked);
      }
    };
    for (const RewardFigures& reward : report.rewards) count(reward.name, reward.own, trace.rollouts.size());
    if (report.anchor) count("the anchor", report.anchor->own, report.anchor->calls);
    if (last == counts) return;
    last = counts;
    std::cerr << "\ntrain: step " << report.step << ": rewards failed (" << counts
              << "); the first: " << report.reward_failure << "; steps with as many are not listed" << std::endl;
  }
};

}  // namespace maestro::examples
