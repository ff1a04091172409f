#pragma once

/// @file
/// The names under which the figures of a step are logged: TRL's name if TRL has the figure, else our own.

#include <cmath>
#include <cstddef>
#include <string>

#include "maestro/trainer/step_report.hpp"

namespace maestro {

/// Calls write(name, value) for every figure of the step, in a fixed order. Timings are not included, since they differ
/// between runs of one seed (see for_each_timing).
template <class Write>
void for_each_metric(const StepReport& report, Write&& write) {
  write("epoch", report.epoch);
  write("num_tokens", static_cast<double>(report.total_tokens));
  write("learning_rate", report.learning_rate);
  write("loss", report.loss.loss);
  write("grad_norm", report.grad_norm);
  write("reward", report.reward_mean);
  write("reward_std", report.reward_std_dev);
  write("frac_reward_zero_std", report.frac_reward_zero_std);
  write("completions/mean_length", report.mean_length);
  write("completions/min_length", report.min_length);
  write("completions/max_length", report.max_length);
  write("completions/clipped_ratio", report.clipped_fraction);
  write("kl", report.loss.kl());
  write("kl_clamped", report.kl_clamped);
  write("entropy", report.entropy);
  write("policy_loss", report.loss.policy_loss);
  write("ratio/mean", report.loss.ratio_mean());
  write("ratio/max", report.loss.ratio_max);
  write("clip_ratio/low_mean", report.loss.clip_low_fraction());
  write("clip_ratio/high_mean", report.loss.clip_high_fraction());
  write("clip_ratio/region_mean", report.loss.clip_region_fraction());
  write("sampling/sampling_logp_difference/mean", report.rollout_gap_mean);
  write("sampling/sampling_logp_difference/max", report.rollout_gap_max);
  if (report.importance.count > 0) {
    write("sampling/importance_sampling_ratio/mean", report.importance.mean());
    write("sampling/importance_sampling_ratio/min", report.importance.min);
    write("sampling/importance_sampling_ratio/max", report.importance.max);
    write("sampling/importance_sampling_ratio/cut_share", report.importance.cut_share());
  }
  for (const auto& [figure, value] : report.served) write("rollout/" + figure, value);
  for (std::size_t k = 0; k < report.rewards.size(); ++k) {
    const RewardFigures& reward = report.rewards[k];
    write("rewards/" + reward.name + "/mean", reward.mean);
    write("rewards/" + reward.name + "/std", reward.std_dev);
    write("rewards/" + reward.name + "/frac_group_varies", reward.frac_group_varies);
    if (!std::isnan(reward.advantage_correlation)) {
      write("rewards/" + reward.name + "/advantage_correlation", reward.advantage_correlation);
    }
    for (std::size_t later = 0; later < reward.correlations.size(); ++later) {
      if (std::isnan(reward.correlations[later])) continue;
      write("rewards/" + reward.name + "/correlation/" + report.rewards[k + 1 + later].name,
            reward.correlations[later]);
    }
    for (const auto& [figure, value] : reward.own) write("rewards/" + reward.name + "/" + figure, value);
    write("conductor/weight/" + reward.name, reward.weight);
    write("conductor/probability/" + reward.name, reward.probability);
  }
  write("conductor/kl_to_uniform", report.kl_to_uniform);
  if (report.draw_noise_share) write("conductor/draw_noise_share", *report.draw_noise_share);
  if (report.anchor) {
    write("conductor/anchor_rank_correlation", report.anchor->rank_correlation);
    write("judge/groups", static_cast<double>(report.anchor->groups));
    write("judge/calls", static_cast<double>(report.anchor->calls));
    write("judge/calls_total", static_cast<double>(report.anchor->calls_total));
    for (const auto& [figure, value] : report.anchor->own) {
      if (figure == "calls" || figure == "calls_total") {  // of a server: requests, retries included
        write(figure == "calls" ? "judge/requests" : "judge/requests_total", value);
      } else {
        write("judge/" + figure, value);
      }
    }
  }
  if (report.conductor) {
    write("conductor/loss", report.conductor->loss);
    write("conductor/surrogate", report.conductor->surrogate);
    write("conductor/entropy", report.conductor->entropy);
    write("conductor/temperature", report.conductor->temperature);
    write("conductor/grad_norm", report.conductor->gradient_norm);
    write("conductor/samples", static_cast<double>(report.conductor->samples));
    write("conductor/dropped", static_cast<double>(report.conductor->dropped));
  }
}

/// Calls write(name, value) for the seconds of the step's phases, and for the numbers of ranks and threads.
template <class Write>
void for_each_timing(const StepReport& report, Write&& write) {
  write("time/rollout", report.seconds.rollout);
  write("time/rewards", report.seconds.rewards);
  write("time/reference", report.seconds.reference);
  write("time/conductor", report.seconds.conductor);
  write("time/training", report.seconds.training);
  if (report.ranks > 1) write("time/communication", report.seconds.communication);
  if (report.ranks > 1) write("time/exchange", report.seconds.exchange);
  write("time/step", report.seconds.total);
  write("run/ranks", static_cast<double>(report.ranks));
  write("run/threads", static_cast<double>(report.threads));
}

}  // namespace maestro
