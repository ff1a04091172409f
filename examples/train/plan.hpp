#pragma once

/// @file
/// What steps would cost on other ranks than there are: `train --plan`.

#include <cstddef>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "maestro/data/prompt.hpp"
#include "maestro/distributed/plan.hpp"
#include "train/models.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// Ranks and the threads of each, as --plan names them.
struct PlannedRanks {
  std::size_t ranks = 1;
  std::size_t threads = 1;
};

/// @throws BadArgument for what is not RANKSxTHREADS, such as 64x2.
PlannedRanks parse_planned_ranks(const std::string& text);

/// The network of that name.
/// @throws BadArgument listing those that are known.
const Network& network_named(const std::string& name);

/// The means over the steps of a run's metrics.jsonl but the first, which also warms up, and the prompts of a step from
/// its run.json.
/// @throws IoError, BadFile naming what the folder lacks.
MeasuredRun measured_run(const std::string& folder);

/// Prints the prediction that --plan asks for.
/// @throws BadArgument, BadFile, IoError
void print_prediction(const TrainOptions& o, const PolicyPlan& plan, std::span<const Prompt> prompts,
                      std::ostream& out);

}  // namespace maestro::examples
