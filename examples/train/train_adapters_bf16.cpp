#include "train/run.hpp"

namespace maestro::examples {

int train_adapters_bf16(const TrainOptions& options, Output output, const Ranks& ranks) {
  return train_as<AdapterPolicy<Bfloat16>>(options, output, ranks);
}

}  // namespace maestro::examples
