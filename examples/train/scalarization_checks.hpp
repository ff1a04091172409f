#pragma once

/// @file
/// Runs whose scalarization would make nothing of what they ask for.

#include "maestro/core/error.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/trial.hpp"
#include "train/options.hpp"
#include "train/run_rewards.hpp"

namespace maestro::examples {

/// @throws BadArgument for one response a prompt under a scalarization that makes nothing of it.
inline void refuse_lone_responses(const TrainOptions& o, const AnyScalarization& scalarization) {
  if (o.trainer.sampling.num_generations > 1) return;
  if (learns_from_lone_responses(scalarization, run_rewards(o).size())) return;
  throw BadArgument("--num-generations 1: with --scalarization " + o.scalarization + " and --normalize " + o.normalize +
                    " a response is compared with its group alone, every advantage would be 0, and nothing would be "
                    "learned; take at least 2, or --preset flash_reinforce, which compares with the whole batch");
}

/// @throws BadArgument for weights that are scaled by what was reached, under a scalarization that takes scales out.
inline void refuse_lost_scale(const TrainOptions& o, const AnyScalarization& scalarization) {
  if (o.conductor != "hypervolume_guided" || keeps_scale_of_weights(scalarization, run_rewards(o).size())) return;
  throw BadArgument("--conductor hypervolume_guided scales all weights alike, and --scalarization " + o.scalarization +
                    " divides by the size of their sum again, so that it would have no effect; take one that keeps "
                    "it, such as dr_grpo or rloo");
}

}  // namespace maestro::examples
