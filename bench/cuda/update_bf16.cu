#include "bench/cuda/heads.hpp"
#include "bench/cuda/update.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/core/bfloat16.hpp"

namespace maestro::bench::device {

Work update_bf16(const Options& o) { return with_head<Update, Bfloat16>(o); }

}  // namespace maestro::bench::device
