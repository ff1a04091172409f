#include "train/run.hpp"

namespace maestro::examples {

int train_adapters(const TrainOptions& options, Output output, const Ranks& ranks) {
  return train_as<AdapterPolicy>(options, output, ranks);
}

}  // namespace maestro::examples
