#pragma once

/// @file
/// The runs of `train`, one for each kind of policy. Each is compiled by itself.

#include <cstdint>

#include "train/options.hpp"

namespace maestro::examples {

/// Where progress goes.
enum class Output : std::uint8_t { terminal, file };

/// Every parameter is trained.
int train_all(const TrainOptions& options, Output output);
/// Adapters beside frozen weights in float32.
int train_adapters(const TrainOptions& options, Output output);
/// Adapters beside frozen weights in bfloat16.
int train_adapters_bf16(const TrainOptions& options, Output output);

/// The run that the options ask for; the exit code of the program.
int train(const TrainOptions& options, Output output);

}  // namespace maestro::examples
