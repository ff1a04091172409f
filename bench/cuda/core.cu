// What the executor costs by itself: launches one by one, the same launches as a recorded sequence, and the memory that
// a reduction reads.

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>

#include "maestro/cuda/core/stream_executor.cuh"

using namespace maestro;
using namespace maestro::gpu;

namespace {

constexpr std::int64_t launches = 10;

struct Add1 {
  static constexpr unsigned threads = 128;
  float* values;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    values[t * threads + team.rank()] += 1.0f;
  }
};

struct MomentsOfRows {
  static constexpr unsigned threads = 256;
  const float* values;
  std::size_t count;
  Moments* results;

  std::size_t shared_bytes() const { return 0; }
  template <Team T>
  MAESTRO_HD void operator()(const T& team, std::size_t t) const {
    const float* own = values + t * count;
    const Moments moments = team_moments(team, count, [own](std::size_t i) { return own[i]; });
    if (team.rank() == 0) results[t] = moments;
  }
};

/// A stream, an executor and `count` zeros.
struct Setting {
  explicit Setting(std::size_t count) {
    values.reserve(count);
    executor.clear(values.data(), count);
    executor.wait();
  }
  Stream stream;
  StreamExecutor executor{stream.get()};
  DeviceBuffer<float> values;
};

void one_by_one(benchmark::State& state) {
  Setting setting(128);
  for (auto _ : state) {
    for (std::int64_t i = 0; i < launches; ++i) setting.executor.launch(1, Add1{setting.values.data()});
    setting.executor.wait();
  }
  state.SetItemsProcessed(state.iterations() * launches);
}
BENCHMARK(one_by_one)->UseRealTime();

void replayed(benchmark::State& state) {
  Setting setting(128);
  StreamExecutor::Graph graph;
  for (auto _ : state) {
    setting.executor.replay(graph, GraphKey(setting.values.data()), [&] {
      for (std::int64_t i = 0; i < launches; ++i) setting.executor.launch(1, Add1{setting.values.data()});
    });
    setting.executor.wait();
  }
  state.SetItemsProcessed(state.iterations() * launches);
}
BENCHMARK(replayed)->UseRealTime();

/// Rows of 1024 values. The bytes are those of one reading; two passes are made, the second from the caches.
void moments(benchmark::State& state) {
  const auto rows = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t count = 1024;
  Setting setting(rows * count);
  DeviceBuffer<Moments> results;
  results.reserve(rows);
  for (auto _ : state) {
    setting.executor.launch(rows, MomentsOfRows{setting.values.data(), count, results.data()});
    setting.executor.wait();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(rows * count * sizeof(float)));
}
BENCHMARK(moments)->Arg(64)->Arg(4096)->Arg(65536)->UseRealTime();

}  // namespace
