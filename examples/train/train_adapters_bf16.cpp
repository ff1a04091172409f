#include "train/run.hpp"

namespace maestro::examples {

int train_adapters_bf16(const TrainOptions& options, Output output) {
  return train_as<AdapterPolicy<Bfloat16>>(options, output);
}

}  // namespace maestro::examples
