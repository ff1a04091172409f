#pragma once

/// @file
/// The runs of `train`, one for each kind of policy. Each is compiled by itself.

#include <cstdint>

#include "train/options.hpp"
#include "train/ranks.hpp"

namespace maestro::examples {

/// Where progress goes.
enum class Output : std::uint8_t { terminal, file };

/// Every parameter is trained.
int train_all(const TrainOptions& options, Output output, const Ranks& ranks);
/// Adapters beside frozen weights.
int train_adapters(const TrainOptions& options, Output output, const Ranks& ranks);

/// The run that the options ask for; the exit code of the program.
int train(const TrainOptions& options, Output output, const Ranks& ranks);

}  // namespace maestro::examples
