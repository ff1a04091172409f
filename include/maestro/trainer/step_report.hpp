#pragma once

/// @file
/// The result of a step: the figures that observers write, and the data from which they were computed.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/core/refusal.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/objective/importance.hpp"
#include "maestro/objective/report.hpp"

namespace maestro {

/// RewardFigures holds the figures of one reward in a step. Mean and standard deviation (ddof 1) are over the responses
/// of the batch that have a value; without one the mean is NaN.
struct RewardFigures {
  std::string name;
  double mean = 0.0;
  double std_dev = 0.0;
  std::size_t count = 0;                              ///< responses the reward applied to
  double weight = 0.0;                                ///< mean weight that the Conductor gave it
  double probability = 0.0;                           ///< mean propensity of its action
  double frac_group_varies = 0.0;                     ///< share of groups in which it is not constant
  double advantage_correlation = 0.0;                 ///< with the advantage, inside the groups; NaN: it does not vary
  std::vector<double> correlations{};                 ///< with each of the later rewards: see reward_conflict.hpp
  std::vector<std::pair<std::string, double>> own{};  ///< what the reward itself counted: see RewardSet::visit_figures
};

/// AnchorFigures holds what an anchor was asked in a step, and how far it agreed with the rewards.
struct AnchorFigures {
  std::size_t groups = 0;         ///< judged
  std::size_t calls = 0;          ///< responses judged
  std::uint64_t calls_total = 0;  ///< the same since the run began
  double rank_correlation = 0.0;  ///< of mixture and judge, before the step learns: see anchor_rank_correlation; NaN if
                                  ///< there is none
  std::vector<std::pair<std::string, double>> own{};  ///< what the anchor itself counted
};

/// StepTimings holds wall-clock seconds by phase. They are the only figures that differ between two runs of one seed.
struct StepTimings {
  double rollout = 0.0;
  double rewards = 0.0;
  double reference = 0.0;  ///< the KL reference's log-probs, and the penalty if the KL sits in the reward
  double conductor = 0.0;  ///< decide, scalarize, observe, update
  double training = 0.0;
  double communication = 0.0;  ///< part of the others: with the other ranks, waiting for them included; 0 on one rank
  double exchange = 0.0;       ///< part of communication: gradients summed, parameters gathered
  double total = 0.0;
};

/// StepReport holds the figures of one step. For a policy with float actions, a step of a response counts as a token.
/// A trainer that has done no step yet, as after a resume, reports step 0, and K rewards with their names and no value
/// (mean NaN, count 0).
struct StepReport {
  std::uint32_t step = 0;  ///< from 1: the number of steps done, this one included; 0: no step yet
  std::size_t ranks = 1;   ///< that shared the step; all figures but the seconds are those of all of them
  int threads = 1;         ///< of this rank
  double epoch = 0.0;      ///< passes over the prompts so far; 0 if the caller of Trainer::step gave none
  double learning_rate = 0.0;
  LossReport loss;
  double kl_clamped = 0.0;   ///< tokens whose |log pi_ref - log pi| was cut at 20: in the loss, over all updates, or in
                             ///< the penalty if the KL sits in the reward
  double grad_norm = 0.0;    ///< global norm before clipping, of the step's last optimizer update
  double reward_mean = 0.0;  ///< of the scalar rewards
  double reward_std_dev = 0.0;
  double frac_reward_zero_std = 0.0;  ///< share of groups in which no reward varies, of those in which one has a value;
                                      ///< NaN if there are none
  double mean_length = 0.0;           ///< tokens of a response, the stop token included
  double min_length = 0.0;
  double max_length = 0.0;
  double clipped_fraction = 0.0;  ///< share of responses cut at the length limit
  double entropy = 0.0;  ///< mean over the drawn tokens, nats, before top-k / top-p; of float actions it may be
                         ///< negative
  double rollout_gap_mean = 0.0;  ///< |log-prob of the training pass - log-prob of the rollout|, nats
  double rollout_gap_max = 0.0;
  ImportanceFigures importance{};  ///< of the importance correction; nothing counted if there is none
  std::vector<std::pair<std::string, double>>
      served{};  ///< what the policy itself counted: ServedPolicy::visit_figures
  std::size_t response_tokens = 0;
  std::size_t prompt_tokens = 0;
  std::uint64_t total_tokens = 0;      ///< prompt and response tokens since the run began
  std::vector<RewardFigures> rewards;  ///< (K)
  std::string reward_failure;          ///< why the first response that a reward failed for has no score; empty: none
  double kl_to_uniform = 0.0;          ///< of the Conductor's propensities, nats; see probability.hpp
  std::optional<double> draw_noise_share;    ///< of the advantages, in [0, 1]: see scalarization/draw_noise.hpp; absent
                                             ///< if no weights were drawn
  std::optional<AnchorFigures> anchor{};     ///< present if the rewards have an anchor
  std::optional<ConductorReport> conductor;  ///< present in steps in which the Conductor updated
  StepTimings seconds;
};

/// StepTrace is the data behind a report. It is valid until the next step.
struct StepTrace {
  const Rollouts& rollouts;
  MatrixView<const float> rewards;  ///< (B x K)
  const Decision& decision;
  std::span<const float> scalar_rewards;  ///< (B)
  std::span<const float> advantages;      ///< (B)
};

namespace detail {

template <class O>
concept TakesSteps = requires(O& observer, const StepReport& report, const StepTrace& trace) {
  observer.on_step(report, trace);
};

template <class O>
concept Begins = requires(O& observer, std::uint32_t steps_done) {
  observer.on_begin(steps_done);
};
template <class O>
concept NamesBegin = requires {
  &O::on_begin;
};

}  // namespace detail

/// Observer is a type whose on_step is called after each step. Its optional on_begin(steps_done) is called before the
/// first of them, so that an observer can take back what it wrote about steps that a resumed run does again.
template <class O>
concept Observer = detail::TakesSteps<O> && detail::absent_or_fit(detail::NamesBegin<O>, detail::Begins<O>);

namespace detail {

/// Gives one error for a type that is passed to a run as an observer and is not one.
template <class O>
constexpr void require_observer() {
  if constexpr (!TakesSteps<O>) {
    static_assert(refused<O>,
                  "maestro: an observer needs void on_step(const maestro::StepReport&, const maestro::StepTrace&)");
  } else if constexpr (!Observer<O>) {
    static_assert(refused<O>,
                  "maestro: an observer's on_begin, if there is one, is void on_begin(std::uint32_t steps_done)");
  }
}

/// Tells an observer how many steps are done, if it wants to know.
template <class O>
void begin_observer(O& observer, std::uint32_t steps_done) {
  if constexpr (Begins<O>) observer.on_begin(steps_done);
}

}  // namespace detail

}  // namespace maestro
