#pragma once

/// @file
/// What the micro-benchmarks share: registration, rates, and cheap random values.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "maestro/core/random.hpp"

namespace maestro::bench {

/// Work of one iteration; what is 0 is not reported.
struct Work {
  double items = 0.0;  ///< rows, tokens, values or draws
  double flops = 0.0;  ///< floating-point operations that the mathematics needs; a multiply-add is two
  double bytes = 0.0;  ///< bytes that must cross between memory and core at least once
};

/// Reports `work` per second of wall-clock time.
inline void report(benchmark::State& state, const Work& work) {
  using benchmark::Counter;
  const auto rate = [&](const char* name, double value) {
    if (value > 0.0) state.counters[name] = Counter(value, Counter::kIsIterationInvariantRate);
  };
  rate("item/s", work.items);
  rate("FLOP/s", work.flops);
  rate("byte/s", work.bytes);
}

/// Registers body(state). Rates are per second of wall-clock time, since the library's loops use threads of their own;
/// the CPU column is the time of all threads together, which says more where other programs take part of the machine.
template <class Body>
benchmark::internal::Benchmark* add(const std::string& name, Body&& body) {
  return benchmark::RegisterBenchmark(name.c_str(), std::forward<Body>(body))->MeasureProcessCPUTime()->UseRealTime();
}

/// Argument `index` as a size.
inline std::size_t size_arg(const benchmark::State& state, std::size_t index) {
  return static_cast<std::size_t>(state.range(index));
}

/// Normal values with the given deviation. Blocks of 4099 repeat, so that large arrays fill fast.
template <class T>
void fill(std::span<T> values, double std_dev = 1.0, std::uint64_t seed = 1) {
  constexpr std::size_t period = 4099;
  const RandomStream stream({.seed = seed});
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] =
        i < period ? static_cast<T>(std_dev * stream.normal(static_cast<std::uint32_t>(i))) : values[i - period];
  }
}

/// `count` token ids below `vocabulary`.
inline std::vector<std::int32_t> random_tokens(std::size_t count, std::size_t vocabulary, std::uint64_t seed = 2) {
  const RandomStream stream({.seed = seed});
  std::vector<std::int32_t> tokens(count);
  for (std::size_t i = 0; i < count; ++i) {
    tokens[i] = static_cast<std::int32_t>(stream.below(vocabulary, static_cast<std::uint32_t>(i)));
  }
  return tokens;
}

}  // namespace maestro::bench
