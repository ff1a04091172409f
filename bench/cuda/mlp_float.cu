#include "bench/cuda/heads.hpp"
#include "bench/cuda/mlp.hpp"
#include "bench/cuda/work.hpp"

namespace maestro::bench::device {

Work mlp_float(const Options& o) { return with_head<Mlp, float>(o); }

}  // namespace maestro::bench::device
