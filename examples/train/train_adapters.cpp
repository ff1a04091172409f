#include "train/run.hpp"

namespace maestro::examples {

int train_adapters(const TrainOptions& options, Output output) {
  return train_as<AdapterPolicy<float>>(options, output);
}

}  // namespace maestro::examples
