#include "bench/cuda/heads.hpp"
#include "bench/cuda/update.hpp"
#include "bench/cuda/work.hpp"

namespace maestro::bench::device {

Work update_float(const Options& o) { return with_head<Update, float>(o); }

}  // namespace maestro::bench::device
