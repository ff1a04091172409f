#pragma once

/// @file
/// The run-time options of a training run, with TRL's defaults.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/data/sampling.hpp"
#include "maestro/objective/importance.hpp"
#include "maestro/objective/objective.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/optimizer/schedule.hpp"

namespace maestro {

/// MaskTruncated says whether responses that were cut at the length limit are masked in the loss.
enum class MaskTruncated : std::uint8_t { no, yes };
inline constexpr std::array<std::string_view, 2> mask_truncated_names{"no", "yes"};

/// ShardOptimizer says whether each rank stores the optimizer's state only for its own share of the parameters
/// (ZeRO-1). Gradients are then reduced to the rank of their share, which steps it, and the values are gathered. The
/// results have the same bits, and each rank stores 1 / ranks of the state. It has no effect on one rank. Source:
/// Rajbhandari et al. 2020.
enum class ShardOptimizer : std::uint8_t { no, yes };
inline constexpr std::array<std::string_view, 2> shard_optimizer_names{"no", "yes"};

/// TrainerOptions holds all run-time options of a Trainer.
struct TrainerOptions {
  std::uint64_t seed = 42;
  std::size_t prompts_per_step = 8;  ///< N, the number of prompts that the loop draws for each step
  Sampling sampling{};
  ObjectiveOptions objective{};
  ImportanceOptions correction{};  ///< for responses drawn by another policy, such as those of a ServedPolicy
  OptimizerOptions optimizer{};    ///< of the policy
  double learning_rate = 1e-6;     ///< multiplied by the schedule's factor of the step
  ScheduleOptions schedule{.kind = ScheduleKind::constant};
  double max_grad_norm = 1.0;             ///< limit of the global norm; 0 for no clipping
  std::size_t num_iterations = 1;         ///< mu, passes over each batch
  std::size_t num_minibatches = 1;        ///< optimizer updates per pass, over consecutive groups
  std::size_t micro_batch_tokens = 2048;  ///< a micro-batch takes whole groups up to this many tokens, one at least
  /// If `yes`, responses that were cut at the length limit are in no loss, as with TRL's mask_truncated_completions
  /// (DAPO's overlong filtering). Their rewards still count in their group.
  MaskTruncated mask_truncated = MaskTruncated::no;
  std::size_t reference_sync_steps = 0;  ///< steps between copies of the policy into the KL reference; 0 for no copies
  ShardOptimizer shard_optimizer = ShardOptimizer::no;
};

/// Lists the trainer's options; see OptionList.
template <OptionsOf<TrainerOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  constexpr std::string_view policy = "Policy";
  f({.name = "seed", .help = "Seed of every random draw", .group = "Run"}, s.seed);
  f({.name = "prompts_per_step", .help = "Prompts of a step (N)", .group = policy}, s.prompts_per_step);
  f({.name = "sampling", .group = "Sampling"}, s.sampling);
  f({.name = "learning_rate", .help = "The optimizer's learning rate", .group = policy}, s.learning_rate);
  f({.name = "schedule", .group = policy}, s.schedule);
  f({.name = "optimizer", .group = policy}, s.optimizer);
  f({.name = "max_grad_norm", .help = "Global-norm clipping; 0: none", .group = policy}, s.max_grad_norm);
  f({.name = "num_iterations", .help = "Passes over each batch (mu)", .group = policy}, s.num_iterations);
  f({.name = "num_minibatches", .help = "Optimizer updates per pass", .group = policy}, s.num_minibatches);
  f({.name = "objective", .group = policy}, s.objective);
  f({.name = "correction", .group = policy, .recorded = Recorded::unless_default}, s.correction);
  f({.name = "mask_truncated_completions",
     .help = "Whether responses cut at --max-completion-length are left out of the loss: {}",
     .group = policy,
     .values = mask_truncated_names,
     .recorded = Recorded::unless_default},
    s.mask_truncated);
  f({.name = "ref_sync_steps",
     .help = "Copy the policy into the KL reference every so many steps; 0: never",
     .group = policy},
    s.reference_sync_steps);
  f({.name = "shard_optimizer",
     .help = "Under mpirun: whether each rank keeps the optimizer's state of its share of the parameters only: {}",
     .group = policy,
     .values = shard_optimizer_names,
     .recorded = Recorded::never},
    s.shard_optimizer);
  f({.name = "micro_batch_tokens", .recorded = Recorded::unless_default}, s.micro_batch_tokens);
}

/// Refuses options outside their domains.
/// @throws BadArgument naming the option, its value's domain and the remedy.
inline void check(const TrainerOptions& options) {
  require(options.prompts_per_step > 0, "trainer: prompts_per_step must be at least 1");
  check(options.sampling);
  require(options.num_iterations > 0, "trainer: num_iterations must be at least 1");
  require(options.num_minibatches > 0, "trainer: num_minibatches must be at least 1");
  require(options.num_minibatches <= options.prompts_per_step,
          "trainer: num_minibatches is larger than prompts_per_step; a mini-batch holds at least one whole group");
  require(options.micro_batch_tokens > 0, "trainer: micro_batch_tokens must be at least 1");
  if (!(options.learning_rate >= 0.0) || !std::isfinite(options.learning_rate)) {
    throw BadArgument("trainer: learning_rate is " + std::to_string(options.learning_rate) +
                      ", expected a finite number of at least 0");
  }
  check(options.objective);
  check(options.correction);
  check(options.schedule);
  require(options.max_grad_norm >= 0.0, "trainer: max_grad_norm must not be negative; 0 switches clipping off");
}

}  // namespace maestro
