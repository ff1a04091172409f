#pragma once

/// @file
/// The options of the Conductors that follow weights given on the command line.

#include <cstdint>
#include <span>
#include <string>

#include "maestro/conductor/any.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// The steps, from 0, between which scheduled weights move.
/// @throws BadArgument where the end does not come after the start.
struct WeightSteps {
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  explicit WeightSteps(const TrainOptions& o) {
    const std::uint32_t end = o.weights_end_step > 0 ? o.weights_end_step : o.steps;
    if (o.weights_start_step == 0) throw BadArgument("--weights-start-step: steps count from 1");
    if (end <= o.weights_start_step) {
      throw BadArgument("--weights-end-step: scheduled weights end at step " + std::to_string(end) +
                        ", which must be after their start, step " + std::to_string(o.weights_start_step));
    }
    first = o.weights_start_step - 1;
    last = end - 1;
  }
};

/// The Conductor that --conductor names, for the rewards of the run. Compiled in conductor.cpp alone.
/// @throws BadArgument where weights are missing or do not fit; BadFile where those of a prompt do.
AnyConductor make_conductor(const TrainOptions& o, std::span<const Prompt> prompts);

}  // namespace maestro::examples
