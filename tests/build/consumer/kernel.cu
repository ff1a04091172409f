// A user's own kernel body, launched on a stream.

#include "maestro/cuda.hpp"

namespace {

struct SumOfHalves {
  static constexpr unsigned threads = 128;
  std::size_t count;
  double* result;

  std::size_t shared_bytes() const { return 0; }
  template <maestro::gpu::Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t) const {
    double own = 0;
    maestro::gpu::for_each(team, count, [&](std::size_t) { own += 0.5; });
    const double sum = team.reduce(own, maestro::gpu::Add{});
    if (team.rank() == 0) *result = sum;
  }
};

}  // namespace

double sum_of_halves(std::size_t count) {
  const maestro::gpu::Stream stream;
  maestro::gpu::StreamExecutor executor(stream.get());
  maestro::gpu::DeviceBuffer<double> sum;
  sum.reserve(1);
  executor.launch(1, SumOfHalves{count, sum.data()});
  double result = 0;
  executor.download(sum.data(), &result, 1);
  executor.wait();
  return result;
}
