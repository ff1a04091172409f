// What the hardware could do: the yardsticks for all other micro-benchmarks.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"

namespace maestro::bench {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t vector_bytes = 64;
#else
constexpr std::size_t vector_bytes = 32;
#endif
typedef float Vector __attribute__((vector_size(vector_bytes)));
constexpr std::size_t lanes = vector_bytes / sizeof(float);
constexpr std::size_t chains = 12;  // independent multiply-adds in flight, more than latency times pipes

/// `rounds` dependent multiply-adds in each of `chains` registers.
float multiply_adds(std::size_t rounds, float factor, float addend) {
  Vector value[chains];
  for (std::size_t c = 0; c < chains; ++c) value[c] = Vector{} + static_cast<float>(c);  // equal ones would be merged
  const Vector scale = Vector{} + factor;
  const Vector shift = Vector{} + addend;
  for (std::size_t r = 0; r < rounds; ++r) {
    for (Vector& v : value) v = v * scale + shift;
  }
  float sum = 0.0f;
  for (const Vector& v : value) {
    for (std::size_t l = 0; l < lanes; ++l) sum += v[l];
  }
  return sum;
}

/// body(t) for every thread; without a loop for one.
template <class Body>
void on_threads(std::size_t threads, const Body& body) {
  if (threads == 1) return body(0);
  parallel_for(threads, body);
}

void fma_peak(benchmark::State& state) {
  constexpr std::size_t rounds = 1'000'000;
  const std::size_t threads = size_arg(state, 0);
  std::vector<float> sums(threads * 64);
  float factor = 0.5f;
  for (auto _ : state) {
    benchmark::DoNotOptimize(factor);
    on_threads(threads, [&](std::size_t t) { sums[t * 64] = multiply_adds(rounds, factor, 1.0f); });
    benchmark::ClobberMemory();
  }
  report(state, {.flops = static_cast<double>(2 * rounds * chains * lanes * threads)});
}

/// sum of `count` values per thread: read bandwidth of the level that holds them.
void read_bandwidth(benchmark::State& state) {
  const std::size_t threads = size_arg(state, 0);
  const std::size_t count = size_arg(state, 1) / sizeof(float) / threads;
  std::vector<AlignedVector<float>> arrays(threads, AlignedVector<float>(count, 1.0f));
  std::vector<float> sums(threads * 64);
  for (auto _ : state) {
    on_threads(threads, [&](std::size_t t) {
      Vector part[8] = {};
      const float* const from = arrays[t].data();
      for (std::size_t i = 0; i + 8 * lanes <= count; i += 8 * lanes) {
        for (std::size_t k = 0; k < 8; ++k) part[k] += *reinterpret_cast<const Vector*>(from + i + k * lanes);
      }
      for (std::size_t k = 1; k < 8; ++k) part[0] += part[k];
      sums[t * 64] = part[0][0];
    });
    benchmark::ClobberMemory();
  }
  report(state, {.bytes = static_cast<double>(threads * count * sizeof(float))});
}

/// a = b + 2 c; the bytes are those named here, not the line that the store reads first.
void triad(benchmark::State& state) {
  const std::size_t count = size_arg(state, 0);
  AlignedVector<float> a(count, 0.0f);
  AlignedVector<float> b(count, 1.0f);
  AlignedVector<float> c(count, 2.0f);
  constexpr std::size_t block = 16384;
  for (auto _ : state) {
    parallel_for((count + block - 1) / block, [&](std::size_t part) {
      const std::size_t end = std::min(count, (part + 1) * block);
      for (std::size_t i = part * block; i < end; ++i) a[i] = b[i] + 2.0f * c[i];
    });
    benchmark::ClobberMemory();
  }
  report(state, {.bytes = static_cast<double>(3 * count * sizeof(float))});
}

/// What waking the threads for one loop costs.
void parallel_region(benchmark::State& state) {
  const auto threads = static_cast<std::size_t>(max_threads());
  std::vector<std::size_t> out(threads * 64);
  for (auto _ : state) {
    parallel_for(threads, [&](std::size_t t) { out[t * 64] = t; });
    benchmark::ClobberMemory();
  }
  report(state, {.items = 1.0});
}

const int registered = [] {
  const int all = max_threads();
  auto* const peak = add("fma_peak", fma_peak)->ArgName("threads")->Arg(1);
  auto* const read = add("read_bandwidth", read_bandwidth)->ArgNames({"threads", "bytes"});
  for (const int bytes : {16 << 10, 512 << 10, 8 << 20, 512 << 20}) read->Args({1, bytes});
  if (all > 1) {
    peak->Arg(all);
    read->Args({all, 512 << 20});
  }
  add("triad", triad)->ArgName("values")->Arg(1 << 16)->Arg(50'000'000);
  add("parallel_region", parallel_region);
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
