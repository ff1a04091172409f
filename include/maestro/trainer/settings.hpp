#pragma once

/// @file
/// Run-time settings of a training run, with TRL's defaults.

#include <cstddef>
#include <cstdint>

#include "maestro/core/error.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/optimizer/schedule.hpp"

namespace maestro {

/// Settings of Trainer. Everything that a type need not know.
struct TrainerSettings {
  std::uint64_t seed = 42;
  std::size_t prompts_per_step = 8;  ///< N; the loop draws that many prompts for each step
  Sampling sampling{};
  ObjectiveSettings objective{};
  OptimizerSettings optimizer{};  ///< of the policy
  double learning_rate = 1e-6;    ///< times the schedule's factor of the step
  ScheduleSettings schedule{.kind = ScheduleKind::constant};
  double max_grad_norm = 1.0;             ///< global-norm clipping; 0: none
  std::size_t num_iterations = 1;         ///< passes over each batch (mu)
  std::size_t num_minibatches = 1;        ///< optimizer updates per pass, over consecutive groups
  std::size_t micro_batch_tokens = 2048;  ///< groups are added to a micro-batch until it holds this many tokens
  std::size_t reference_sync_steps = 0;   ///< copy the policy into the KL reference every so many steps; 0: never
};

/// Refuses settings outside their domains.
/// @throws BadArgument naming the setting, its value's domain and the remedy.
inline void validate(const TrainerSettings& settings) {
  require(settings.prompts_per_step > 0, "trainer: prompts_per_step must be at least 1");
  check(settings.sampling);
  require(settings.num_iterations > 0, "trainer: num_iterations must be at least 1");
  require(settings.num_minibatches > 0, "trainer: num_minibatches must be at least 1");
  require(settings.num_minibatches <= settings.prompts_per_step,
          "trainer: num_minibatches is larger than prompts_per_step; a mini-batch holds at least one whole group");
  require(settings.micro_batch_tokens > 0, "trainer: micro_batch_tokens must be at least 1");
  require(settings.learning_rate >= 0.0, "trainer: learning_rate must not be negative");
  check(settings.objective);
  check(settings.schedule);
  require(settings.max_grad_norm >= 0.0, "trainer: max_grad_norm must not be negative; 0 switches clipping off");
}

}  // namespace maestro
