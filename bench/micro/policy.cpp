// Drawing tokens from rows of logits.

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/policy/sampler.hpp"

namespace maestro::bench {
namespace {

/// Logits are normal: a deviation of 1 is nearly flat (the filters keep many tokens), one of 4 as peaked as a trained
/// model's.
void draw(benchmark::State& state, const Sampling& sampling) {
  const std::size_t vocabulary = size_arg(state, 0);
  AlignedVector<float> logits(vocabulary);
  fill(std::span<float>(logits), static_cast<double>(state.range(1)));
  Sampler<float> sampler(sampling);
  const RandomStream stream({.seed = 4});
  std::uint32_t position = 0;
  for (auto _ : state) benchmark::DoNotOptimize(sampler.draw(logits, stream, position++));
  report(state, {.items = 1.0, .bytes = static_cast<double>(vocabulary * sizeof(float))});
}

const int registered = [] {
  const auto with = [](const std::string& name, const Sampling& sampling) {
    add("draw/" + name, [sampling](benchmark::State& s) { draw(s, sampling); })
        ->ArgNames({"V", "deviation"})
        ->ArgsProduct({{272, 49152}, {1, 4}});
  };
  with("plain", {});
  with("top_k_50", {.top_k = 50});
  with("top_p_0.9", {.top_p = 0.9});
  with("greedy", {.decoding = Decoding::greedy});
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
