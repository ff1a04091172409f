// The main function of every micro-benchmark program.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "bench/common/backend.hpp"
#include "examples/common/wait_policy.hpp"
#include "maestro/core/parallel.hpp"

int main(int argc, char** argv) {
  maestro::examples::wait_briefly(argv);
  const char* const policy = std::getenv("OMP_WAIT_POLICY");
  benchmark::AddCustomContext("threads", std::to_string(maestro::max_threads()));
  benchmark::AddCustomContext("gemm_backend", maestro::bench::backend_name);
  benchmark::AddCustomContext("omp_wait_policy", policy != nullptr ? policy : "unset");
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
