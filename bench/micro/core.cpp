// Matrix products, moments and random draws.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "bench/common/backend.hpp"
#include "bench/micro/support.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/groups.hpp"

namespace maestro::bench {
namespace {

/// The three products of a linear layer y = x W', W (out x in), x (rows x in).
enum class Product { forward, backward_input, backward_weight };

void linear_product(benchmark::State& state, Product product) {
  const std::size_t rows = size_arg(state, 0);
  const std::size_t in = size_arg(state, 1);
  const std::size_t out = size_arg(state, 2);
  Matrix<float> x(rows, in);
  Matrix<float> weight(out, in);
  Matrix<float> y(rows, out);
  for (Matrix<float>* m : {&x, &weight, &y}) fill(m->flat());
  for (auto _ : state) {
    switch (product) {
      case Product::forward:
        gemm<Backend>(Transpose::no, Transpose::yes, 1.0f, x.view(), weight.view(), 0.0f, y.view());
        break;
      case Product::backward_input:
        gemm<Backend>(Transpose::no, Transpose::no, 1.0f, y.view(), weight.view(), 0.0f, x.view());
        break;
      case Product::backward_weight:
        gemm<Backend>(Transpose::yes, Transpose::no, 1.0f, y.view(), x.view(), 0.0f, weight.view());
        break;
    }
    benchmark::ClobberMemory();
  }
  report(state, {.flops = 2.0 * static_cast<double>(rows * in * out),
                 .bytes = static_cast<double>((rows * in + rows * out + in * out) * sizeof(float))});
}

/// Moments of each group of 8, as every scalarization takes them.
void group_moments(benchmark::State& state) {
  const std::size_t rows = size_arg(state, 0);
  const Groups groups = Groups::uniform(rows / 8, 8);
  std::vector<double> values(rows);
  fill(std::span<double>(values));
  std::vector<Moments> moments(groups.count());
  for (auto _ : state) {
    for (std::size_t g = 0; g < groups.count(); ++g) {
      moments[g] = moments_of(values.data() + groups.begin(g), groups.size(g));
    }
    benchmark::ClobberMemory();
  }
  report(state, {.items = static_cast<double>(rows)});
}

template <class Draw>
void random_draws(benchmark::State& state, Draw draw) {
  const RandomStream stream({.seed = 3});
  constexpr std::uint32_t count = 4096;
  for (auto _ : state) {
    double sum = 0.0;
    for (std::uint32_t i = 0; i < count; ++i) sum += draw(stream, i);
    benchmark::DoNotOptimize(sum);
  }
  report(state, {.items = count});
}

/// Layers of the shipped model (d 128) and of a model of 135 million parameters (d 576); rows as in decoding (1 to 16)
/// and in training (1024).
void register_products() {
  const std::vector<std::pair<std::string, Product>> products{{"forward", Product::forward},
                                                              {"backward_input", Product::backward_input},
                                                              {"backward_weight", Product::backward_weight}};
  for (const auto& [name, product] : products) {
    auto* const bench = add("gemm/" + name, [product = product](benchmark::State& s) { linear_product(s, product); });
    bench->ArgNames({"rows", "in", "out"});
    const bool decodes = product == Product::forward;
    const std::vector<std::int64_t> rows =
        decodes ? std::vector<std::int64_t>{1, 4, 8, 16, 64, 1024} : std::vector<std::int64_t>{1024};
    for (const std::int64_t r : rows) {
      for (const auto& [in, out] : {std::pair{128, 256}, {128, 768}, {384, 128}, {576, 3072}, {1536, 576}}) {
        bench->Args({r, in, out});
      }
      if (r <= 64) bench->Args({r, 576, 49152});
    }
  }
}

const int registered = [] {
  register_products();
  add("group_moments", group_moments)->ArgName("B")->Arg(64)->Arg(1024)->Arg(100'000);
  add("random/uniform", [](benchmark::State& s) {
    random_draws(s, [](const RandomStream& stream, std::uint32_t i) { return stream.uniform(i); });
  });
  add("random/normal", [](benchmark::State& s) {
    random_draws(s, [](const RandomStream& stream, std::uint32_t i) { return stream.normal(i); });
  });
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
