#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda/core_checks.hpp"
#include "maestro/cuda/core/stream_executor.cuh"

using namespace maestro;
using namespace maestro::gpu;

namespace {

/// A stream of its own, and an executor on it.
struct OnStream {
  Stream stream;
  StreamExecutor executor{stream.get()};
};

/// Counts on the device, and how often the sequence that adds to them was recorded.
struct Counter {
  explicit Counter(StreamExecutor& on) : executor(on), counts(on, {0, 0}) {}
  /// Replays "add `by` to both".
  void run(StreamExecutor::Graph& graph, std::uint64_t by) {
    executor.replay(graph, GraphKey(counts.data(), by), [&] {
      ++recorded;
      executor.launch(2, test::count_body(counts.data(), by));
    });
  }
  void expect(std::uint64_t count) {
    const std::vector<std::uint64_t> expected{count, count};
    BOOST_TEST(counts.read() == expected, boost::test_tools::per_element());
  }

  StreamExecutor& executor;
  test::Memory<StreamExecutor, std::uint64_t> counts;
  int recorded = 0;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(device_core)

BOOST_FIXTURE_TEST_CASE(every_member_gets_the_reduction, OnStream) {
  test::check_reductions(executor, test::team_threads);
}
BOOST_FIXTURE_TEST_CASE(sums_of_many_values, OnStream) { test::check_sums(executor, test::team_threads); }
BOOST_FIXTURE_TEST_CASE(scratch_is_shared_by_the_team, OnStream) { test::check_scratch(executor, test::team_threads); }
BOOST_FIXTURE_TEST_CASE(moments_by_a_team_are_those_of_a_loop, OnStream) {
  test::check_moments(executor, test::team_threads);
}
BOOST_FIXTURE_TEST_CASE(layouts_find_the_groups, OnStream) { test::check_group_layouts(executor); }
BOOST_FIXTURE_TEST_CASE(a_record_throws_the_first_row_and_forgets, OnStream) { test::check_fault_record(executor); }
BOOST_FIXTURE_TEST_CASE(replays_repeat, OnStream) { test::check_replays(executor); }
BOOST_FIXTURE_TEST_CASE(nothing_to_do, OnStream) { test::check_nothing(executor); }

BOOST_AUTO_TEST_CASE(the_default_stream_is_as_good) {
  StreamExecutor executor(nullptr);
  test::check_reductions(executor, test::team_threads);
  test::check_replays(executor);
  test::check_fault_record(executor);
}

BOOST_FIXTURE_TEST_CASE(a_sequence_runs_is_recorded_and_then_replayed, OnStream) {
  Counter counter(executor);
  StreamExecutor::Graph graph;
  for (int i = 0; i < 4; ++i) counter.run(graph, 1);
  BOOST_TEST(counter.recorded == 2);  // run as it is, then recorded
  counter.expect(4);
  for (int i = 0; i < 3; ++i) counter.run(graph, 10);
  BOOST_TEST(counter.recorded == 4);
  counter.expect(34);
  counter.run(graph, 1);  // one recording is kept, the last
  BOOST_TEST(counter.recorded == 5);
  counter.run(graph, 1);
  BOOST_TEST(counter.recorded == 6);
  counter.expect(36);
  StreamExecutor::Graph moved = std::move(graph);
  counter.run(moved, 1);
  BOOST_TEST(counter.recorded == 6);
  counter.expect(37);
  counter.run(graph, 1);  // what was moved from is empty
  BOOST_TEST(counter.recorded == 7);
  counter.expect(38);
}

BOOST_FIXTURE_TEST_CASE(an_empty_sequence_does_nothing, OnStream) {
  Counter counter(executor);
  StreamExecutor::Graph graph;
  for (int i = 0; i < 3; ++i) executor.replay(graph, GraphKey(1), [] {});
  counter.expect(0);
}

BOOST_FIXTURE_TEST_CASE(a_recording_that_throws_leaves_everything_usable, OnStream) {
  Counter counter(executor);
  StreamExecutor::Graph graph;
  counter.run(graph, 1);
  const GraphKey key(counter.counts.data(), std::uint64_t{1});
  const auto fails = [&] {
    executor.launch(2, test::count_body(counter.counts.data(), 1000));
    throw std::logic_error("no");
  };
  BOOST_CHECK_THROW(executor.replay(graph, key, fails), std::logic_error);
  counter.expect(1);
  counter.run(graph, 1);
  counter.run(graph, 1);
  BOOST_TEST(counter.recorded == 2);
  executor.launch(2, test::count_body(counter.counts.data(), 5));
  counter.expect(8);
}

BOOST_FIXTURE_TEST_CASE(a_caller_that_records_gets_the_launches, OnStream) {
  Counter counter(executor);
  StreamExecutor::Graph graph;
  cudaGraph_t callers = nullptr;
  MAESTRO_CUDA(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
  counter.run(graph, 1);
  counter.run(graph, 1);
  MAESTRO_CUDA(cudaStreamEndCapture(stream.get(), &callers));
  BOOST_TEST(counter.recorded == 2);
  counter.expect(0);
  cudaGraphExec_t program = nullptr;
  MAESTRO_CUDA(cudaGraphInstantiate(&program, callers, 0));
  for (int i = 0; i < 3; ++i) MAESTRO_CUDA(cudaGraphLaunch(program, stream.get()));
  counter.expect(6);
  MAESTRO_CUDA(cudaGraphExecDestroy(program));
  MAESTRO_CUDA(cudaGraphDestroy(callers));
  counter.run(graph, 1);
  BOOST_TEST(counter.recorded == 3);
  counter.expect(7);
}

BOOST_FIXTURE_TEST_CASE(a_failed_allocation_spoils_no_later_launch, OnStream) {
  DeviceBuffer<unsigned char> buffer;
  BOOST_CHECK_THROW(buffer.reserve(std::size_t{1} << 50), CudaError);
  BOOST_TEST(buffer.capacity() == 0u);
  Counter counter(executor);
  executor.launch(2, test::count_body(counter.counts.data(), 1));
  counter.expect(1);
}

BOOST_FIXTURE_TEST_CASE(scratch_beyond_the_limit_is_refused, OnStream) {
  test::ScratchBody body{.bytes = std::size_t{1} << 20, .wrong = nullptr};
  BOOST_CHECK_THROW(executor.launch(1, body), CudaError);
  test::check_scratch(executor, test::team_threads);
}

BOOST_FIXTURE_TEST_CASE(products_by_the_library_are_part_of_a_sequence, OnStream) {
  constexpr std::size_t size = 32;
  const std::vector<float> ones(size * size, 1.0f);
  test::Memory<StreamExecutor, float> x(executor, ones);
  test::Memory<StreamExecutor, float> weight(executor, ones);
  test::Memory<StreamExecutor, float> bias(executor, std::vector<float>(size, 2.0f));
  test::Memory<StreamExecutor, float> result(executor, std::vector<float>(size * size, -1.0f));
  const LayerProduct<float> product{.kind = LayerProduct<float>::Kind::forward,
                                    .rows = size,
                                    .inputs = size,
                                    .outputs = size,
                                    .x = x.data(),
                                    .weight = weight.data(),
                                    .bias = bias.data(),
                                    .result = result.data()};
  BOOST_TEST(executor.multiply(product));  // plans and workspace are made here, outside of any recording
  StreamExecutor::Graph graph;
  for (int i = 0; i < 2; ++i) {
    executor.clear(result.data(), size * size);
    executor.replay(graph, GraphKey(result.data()), [&] { BOOST_TEST(executor.multiply(product)); });
    for (const float value : result.read()) BOOST_TEST(value == 34.0f);
  }
}

BOOST_AUTO_TEST_SUITE_END()
