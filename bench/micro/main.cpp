// The main function of every micro-benchmark program.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <type_traits>

#include "bench/common/backend.hpp"
#include "examples/common/wait_policy.hpp"
#include "maestro/core/parallel.hpp"

int main(int argc, char** argv) {
  maestro::examples::wait_passively(argv);
  const bool eigen = std::is_same_v<maestro::bench::Backend, maestro::EigenBackend>;
  const char* const policy = std::getenv("OMP_WAIT_POLICY");
  benchmark::AddCustomContext("threads", std::to_string(maestro::max_threads()));
  benchmark::AddCustomContext("gemm_backend", eigen ? "Eigen" : "cblas");
  benchmark::AddCustomContext("omp_wait_policy", policy != nullptr ? policy : "unset");
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
