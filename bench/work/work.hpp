#pragma once

/// @file
/// The works of bench_work. Each sets up and returns what one repetition does; that returns figures of the repetition.

#include <functional>

#include "bench/work/options.hpp"
#include "maestro/io/json.hpp"

namespace maestro::bench {

using Repetition = std::function<OrderedJson()>;

struct Work {
  OrderedJson info;  ///< printed before `ready`; what both sides must agree on stands under "checks"
  Repetition repetition;
};

/// Forward, GRPO loss, backward, clipping, AdamW.
Work training_step(const WorkOptions& options);
/// Responses to fixed prompts, without a stop token.
Work generation(const WorkOptions& options);
/// A whole step of Trainer: rollouts, rewards, Conductor, update.
Work grpo_step(const WorkOptions& options);
/// Forward and backward of the layers over shared or separate prompt rows.
Work shared_prefix(const WorkOptions& options);
/// Rewards and weights to advantages.
Work scalarization(const WorkOptions& options);

}  // namespace maestro::bench
