// The machine's limits: single-precision matrix products by the libraries at hand, and reading memory. Prints JSON.
//   bench_limits [THREADS]
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "bench/common/backend.hpp"
#include "bench/common/inputs.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/gemm/eigen.hpp"
#include "maestro/io/json.hpp"
#if defined(MAESTRO_BENCH_BLAS)
#include "maestro/gemm/cblas.hpp"
#endif

namespace {

using maestro::Matrix;
using maestro::OrderedJson;

struct Shape {
  const char* name;
  std::size_t m, k, n;
};
/// A square, and the rows, input and output widths of a training step (64 + 8 x 128 rows, as in bench/README.md).
constexpr std::array<Shape, 2> shapes{{{"2048x2048x2048", 2048, 2048, 2048}, {"1088x576x1536", 1088, 576, 1536}}};

template <class F>
double seconds_of(const F& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The least seconds of one call, over at least half a second of calls and at least five.
template <class F>
double best_seconds(const F& f) {
  f();
  double best = seconds_of(f);
  double total = best;
  for (int calls = 1; calls < 5 || total < 0.5; ++calls) {
    const double seconds = seconds_of(f);
    best = std::min(best, seconds);
    total += seconds;
  }
  return best;
}

Matrix<float> filled(std::size_t rows, std::size_t cols) {
  Matrix<float> matrix(rows, cols);
  for (std::size_t i = 0; i < matrix.flat().size(); ++i) matrix.flat()[i] = maestro::bench::fixed_value(i) - 0.5f;
  return matrix;
}

/// GFLOP/s of C = A B', as a linear layer multiplies.
template <class Backend>
OrderedJson gemm_rates() {
  OrderedJson rates = OrderedJson::object();
  for (const Shape& shape : shapes) {
    const Matrix<float> a = filled(shape.m, shape.k);
    const Matrix<float> b = filled(shape.n, shape.k);
    Matrix<float> c(shape.m, shape.n);
    const double seconds = best_seconds(
        [&] { maestro::gemm<Backend>(maestro::Transpose::no, maestro::Transpose::yes, 1.0f, a, b, 0.0f, c.view()); });
    rates[shape.name] = 2e-9 * static_cast<double>(shape.m * shape.k * shape.n) / seconds;
  }
  return rates;
}

/// GB/s of summing 1 GiB.
double read_rate() {
  constexpr std::size_t lanes = 64;
  const std::size_t count = std::size_t{1} << 28;
  maestro::AlignedVector<float> values(count, 1.0f);
  const auto threads = static_cast<std::size_t>(maestro::max_threads());
  std::vector<float> sums(threads * lanes);
  const double seconds = best_seconds([&] {
    maestro::parallel_for(threads, [&](std::size_t t) {
      std::array<float, lanes> sum{};
      for (std::size_t i = count / lanes * t / threads; i < count / lanes * (t + 1) / threads; ++i) {
        for (std::size_t l = 0; l < lanes; ++l) sum[l] += values[i * lanes + l];
      }
      std::copy(sum.begin(), sum.end(), sums.begin() + static_cast<std::ptrdiff_t>(t * lanes));
    });
  });
  // Also keeps the sums from being left out.
  if (!(sums.front() > 0.0f)) throw maestro::BadData("limits: the sum of ones is not positive");
  return 1e-9 * static_cast<double>(count * sizeof(float)) / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    maestro::set_threads(argc > 1 ? std::stoi(argv[1]) : 2);
    OrderedJson gemm = OrderedJson::object();
#if defined(MAESTRO_BENCH_BLAS)
    gemm["OpenBLAS"] = gemm_rates<maestro::CblasBackend>();
#endif
    gemm["Eigen"] = gemm_rates<maestro::EigenBackend>();
    gemm["maestro"] = gemm_rates<maestro::bench::Backend>();
    std::cout << maestro::dump_json(OrderedJson{{"threads", maestro::max_threads()},
                                                {"backend", maestro::bench::backend_name},
                                                {"gemm_gflops", gemm},
                                                {"read_gbytes_per_second", read_rate()}})
              << '\n';
  } catch (const std::exception& error) {
    std::cerr << "bench_limits: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
