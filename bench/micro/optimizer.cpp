// AdamW and clipping. Their bound is memory: AdamW reads four values and writes three per parameter.

#include <cstddef>
#include <limits>

#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/clip.hpp"

namespace maestro::bench {
namespace {

struct Parameters {
  AlignedVector<float> values;
  AlignedVector<float> gradients;

  explicit Parameters(std::size_t count) : values(count), gradients(count) {
    fill(std::span<float>(values));
    fill(std::span<float>(gradients), 1.0, 2);
  }
  template <class F>
  void visit(F&& f) {
    f(ParameterView<float>{"all", values, gradients, 1, values.size()});
  }
};

void adamw_step(benchmark::State& state) {
  Parameters part(size_arg(state, 0));
  AdamW<float> optimizer({.weight_decay = 0.01});
  optimizer.step(part, 1e-4);  // allocates the moments
  for (auto _ : state) optimizer.step(part, 1e-4);
  const auto count = static_cast<double>(part.values.size());
  report(state, {.items = count, .bytes = 7 * sizeof(float) * count});
}

void norm_only(benchmark::State& state) {
  Parameters part(size_arg(state, 0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(clip_global_norm(part, std::numeric_limits<double>::infinity()));
  }
  const auto count = static_cast<double>(part.values.size());
  report(state, {.items = count, .bytes = sizeof(float) * count});
}

/// Measures and scales: every call clips a little below the norm it finds, which stays far from underflow.
void clip(benchmark::State& state) {
  Parameters part(size_arg(state, 0));
  double most = global_norm(part);
  for (auto _ : state) {
    most *= 0.9999;
    benchmark::DoNotOptimize(clip_global_norm(part, most));
  }
  const auto count = static_cast<double>(part.values.size());
  report(state, {.items = count, .bytes = 3 * sizeof(float) * count});
}

const int registered = [] {
  add("adamw", adamw_step)->ArgName("values")->Arg(1'000'000)->Arg(25'000'000);
  add("global_norm", norm_only)->ArgName("values")->Arg(1'000'000)->Arg(25'000'000);
  add("clip", clip)->ArgName("values")->Arg(1'000'000)->Arg(25'000'000);
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
