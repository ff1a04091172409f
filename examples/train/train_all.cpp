#include "train/run.hpp"

namespace maestro::examples {

int train_all(const TrainOptions& options, Output output, const Ranks& ranks) {
  return train_as<FullPolicy>(options, output, ranks);
}

int train(const TrainOptions& options, Output output, const Ranks& ranks) {
  if (!options.model_options.trains_adapters()) return train_all(options, output, ranks);
  return holds_bf16(options) ? train_adapters_bf16(options, output, ranks) : train_adapters(options, output, ranks);
}

}  // namespace maestro::examples
