#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>

#include "maestro/cuda/core/check.hpp"

int main(int count, char** arguments) {
  std::string reason;
  if (!maestro::gpu::has_device(&reason)) {
    std::fprintf(stderr, "no CUDA device here: %s\n", reason.c_str());
    return 1;
  }
  cudaDeviceProp device{};
  MAESTRO_CUDA(cudaGetDeviceProperties(&device, 0));
  benchmark::AddCustomContext("device", device.name);
  benchmark::Initialize(&count, arguments);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
