#include "train/run.hpp"

namespace maestro::examples {

int train_all(const TrainOptions& options, Output output) { return train_as<FullPolicy>(options, output); }

int train(const TrainOptions& options, Output output) {
  if (!options.model_options.trains_adapters()) return train_all(options, output);
  return holds_bf16(options) ? train_adapters_bf16(options, output) : train_adapters(options, output);
}

}  // namespace maestro::examples
