#include "bench/cuda/heads.hpp"
#include "bench/cuda/mlp.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/core/bfloat16.hpp"

namespace maestro::bench::device {

Work mlp_bf16(const Options& o) { return with_head<Mlp, Bfloat16>(o); }

}  // namespace maestro::bench::device
