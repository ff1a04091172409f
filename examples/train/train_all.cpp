#include "train/run.hpp"

namespace maestro::examples {

int train_all(const TrainOptions& options, Output output, const Ranks& ranks) {
  return train_as<FullPolicy>(options, output, ranks);
}

int train(const TrainOptions& options, Output output, const Ranks& ranks) {
  if (!options.model_options.trains_adapters()) return train_all(options, output, ranks);
#if defined(MAESTRO_TRAIN_WITHOUT_ADAPTERS)
  throw BadArgument(
      "this build of train has no adapters: configure with -DMAESTRO_TRAIN_ADAPTERS=ON and build it again");
#else
  return train_adapters(options, output, ranks);
#endif
}

}  // namespace maestro::examples
