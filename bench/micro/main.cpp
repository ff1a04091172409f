// The main function of every micro-benchmark program.

#include <benchmark/benchmark.h>

#include <string>

#include "bench/common/backend.hpp"
#include "maestro/core/parallel.hpp"

int main(int argc, char** argv) {
  benchmark::AddCustomContext("threads", std::to_string(maestro::max_threads()));
  benchmark::AddCustomContext("gemm_backend", maestro::bench::backend_name);
  benchmark::AddCustomContext("compiler", __VERSION__);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
