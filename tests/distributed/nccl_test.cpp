// NcclCommunicator without a device: NCCL's and CUDA's functions that it calls are written here, over threads and the
// host's memory. What the real ones do is tests/cuda/device/nccl_test.cpp's affair.

#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/distributed/nccl.hpp"
#include "maestro/distributed/thread.hpp"
#include "message_of.hpp"

namespace {

thread_local maestro::ThreadCommunicator* fake_ranks = nullptr;  // of the thread's rank
thread_local ncclResult_t fake_answer = ncclSuccess;             // to the next collective
thread_local cudaError_t fake_device = cudaSuccess;              // when it is touched first
thread_local ncclResult_t fake_state = ncclSuccess;              // of those under way
thread_local int fake_busy = 0;                                  // queries of a stream that are answered by "not ready"
thread_local int fake_groups = 0;                                // open
std::atomic<int> fake_alive = 0;                                 // communicators
std::atomic<int> fake_aborted = 0;

const cudaStream_t fake_stream = reinterpret_cast<cudaStream_t>(0x8);

ncclResult_t answer() { return std::exchange(fake_answer, ncclSuccess); }

template <class T>
std::span<T> span_of(void* data, std::size_t count) {
  return {static_cast<T*>(data), count};
}

/// Calls f(values of the right type).
template <class F>
void with_type(ncclDataType_t type, void* data, std::size_t count, const F& f) {
  if (type == ncclFloat32) {
    f(span_of<float>(data, count));
  } else {
    BOOST_REQUIRE(type == ncclFloat64);
    f(span_of<double>(data, count));
  }
}

std::size_t width(ncclDataType_t type) { return type == ncclFloat32 ? 4 : 8; }

}  // namespace

// Who joins by another id than rank 0's, or passes other arguments than a collective in place has, fails.
struct ncclComm {
  std::size_t rank;
};

extern "C" {

const char* ncclGetErrorString(ncclResult_t code) { return code == ncclRemoteError ? "remote error" : "some error"; }
const char* cudaGetErrorString(cudaError_t) { return "some error of CUDA"; }
cudaError_t cudaFree(void*) { return std::exchange(fake_device, cudaSuccess); }
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (stream != fake_stream) return cudaErrorInvalidResourceHandle;
  return fake_busy-- > 0 ? cudaErrorNotReady : cudaSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::strcpy(id->internal, "the id of rank 0");
  return answer();
}
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int size, ncclUniqueId id, int rank) {
  if (std::string_view(id.internal) != "the id of rank 0" || static_cast<std::size_t>(size) != fake_ranks->size()) {
    return ncclInvalidArgument;
  }
  if (const ncclResult_t code = answer(); code != ncclSuccess) return code;
  *comm = new ncclComm{static_cast<std::size_t>(rank)};
  ++fake_alive;
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  --fake_alive;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  ++fake_aborted;
  return ncclCommDestroy(comm);
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* state) {
  *state = fake_state;
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t, cudaStream_t stream) {
  if (from != to || operation != ncclSum || stream != fake_stream) return ncclInvalidArgument;
  with_type(type, to, count, [](auto values) { fake_ranks->all_reduce_sum(values); });
  return answer();
}
ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t share, ncclDataType_t type,
                               ncclRedOp_t operation, ncclComm_t comm, cudaStream_t stream) {
  void* const whole = static_cast<char*>(to) - comm->rank * share * width(type);
  if (from != whole || operation != ncclSum || stream != fake_stream) return ncclInvalidArgument;
  with_type(type, whole, share * fake_ranks->size(), [](auto values) { reduce_scatter_sum(values, *fake_ranks); });
  return answer();
}
ncclResult_t ncclAllGather(const void* from, void* to, std::size_t share, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  if (from != static_cast<char*>(to) + comm->rank * share * width(type) || stream != fake_stream) {
    return ncclInvalidArgument;
  }
  with_type(type, to, share * fake_ranks->size(), [](auto values) { all_gather_shares(values, *fake_ranks); });
  return answer();
}
ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type, int root, ncclComm_t,
                           cudaStream_t stream) {
  if (from != to || stream != fake_stream) return ncclInvalidArgument;
  with_type(type, to, count, [&](auto values) {
    using T = typename decltype(values)::value_type;
    const std::vector<T> all = gather_values(std::span<const T>(values), *fake_ranks);
    std::copy_n(all.data() + static_cast<std::size_t>(root) * count, count, values.data());
  });
  return answer();
}
ncclResult_t ncclGroupStart() {
  ++fake_groups;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  --fake_groups;
  return answer();
}

}  // extern "C"

BOOST_AUTO_TEST_SUITE(nccl)

namespace {

using maestro::DeviceSpan;
using maestro::NcclCommunicator;
using test::message_of;

static_assert(!std::is_convertible_v<std::span<float>, DeviceSpan<float>>);
static_assert(!std::is_copy_constructible_v<NcclCommunicator>);

/// Runs `work` on every rank of three.
template <class Work>
void on_ranks(const Work& work) {
  maestro::run_on_threads(3, [&](maestro::ThreadCommunicator& hosts) {
    fake_ranks = &hosts;
    NcclCommunicator devices(hosts);
    work(devices);
  });
  BOOST_TEST(fake_alive == 0);
}

template <class T>
void check_collectives(NcclCommunicator& devices) {
  const auto own = static_cast<T>(devices.rank() + 1);
  std::vector<T> values{own, 2 * own, 3 * own, 4 * own, 5 * own, 6 * own};
  const DeviceSpan<T> span(values.data(), values.size());
  devices.all_reduce_sum(span, fake_stream);
  const std::vector<T> sums{6, 12, 18, 24, 30, 36};
  maestro::require(values == sums, "all_reduce_sum");
  values = {own, 2 * own, 3 * own, 4 * own, 5 * own, 6 * own};
  devices.reduce_scatter_sum(span, fake_stream);
  const std::size_t first = 2 * devices.rank();
  maestro::require(values[first] == sums[first] && values[first + 1] == sums[first + 1], "reduce_scatter_sum");
  devices.all_gather_shares(span, fake_stream);
  maestro::require(values == sums, "all_gather_shares");
  values[0] = own;
  devices.broadcast(span, 1, fake_stream);
  maestro::require(values[0] == 2 && values[5] == 36, "broadcast");
}

}  // namespace

BOOST_AUTO_TEST_CASE(collectives_are_made_in_place_on_the_stream) {
  on_ranks([](NcclCommunicator& devices) {
    check_collectives<float>(devices);
    check_collectives<double>(devices);
    maestro::require(devices.size() == 3, "size");
    NcclCommunicator moved(std::move(devices));
    moved.grouped([&] {
      maestro::require(fake_groups == 1, "in a group");
      check_collectives<float>(moved);
    });
    maestro::require(fake_groups == 0, "after the group");
    devices = std::move(moved);
    check_collectives<float>(devices);
  });
}

BOOST_AUTO_TEST_CASE(a_group_ends_whatever_its_work_throws) {
  on_ranks([](NcclCommunicator& devices) {
    try {
      devices.grouped([] { throw maestro::BadData("the work"); });
    } catch (const maestro::BadData&) {
    }
    maestro::require(fake_groups == 0, "after the group");
    const std::string text = message_of([&] { devices.check(); });
    maestro::require(text.find("an earlier collective has failed") != std::string::npos, text.c_str());
  });
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_refused_or_told) {
  on_ranks([](NcclCommunicator& devices) {
    std::vector<float> values(4);
    const DeviceSpan<float> span(values.data(), values.size());
    const auto told = [](const std::string& text, const char* part) {
      maestro::require(text.find(part) != std::string::npos, text.c_str());
    };
    told(message_of([&] { devices.reduce_scatter_sum(span, fake_stream); }), "shared evenly");
    told(message_of([&] { devices.all_gather_shares(span, fake_stream); }), "shared evenly");
    told(message_of([&] { devices.broadcast(span, 3, fake_stream); }), "a rank that is not there");
    told(message_of([&] { devices.all_reduce_sum(span, nullptr); }), "NCCL: ncclAllReduce: some error");
    told(message_of([&] { devices.wait(nullptr); }), "CUDA: cudaStreamQuery: some error of CUDA");
  });
}

BOOST_AUTO_TEST_CASE(a_rank_that_cannot_start_ends_all) {
  std::array<std::string, 3> said;
  maestro::run_on_threads(3, [&](maestro::ThreadCommunicator& hosts) {
    fake_ranks = &hosts;
    if (hosts.rank() == 1) fake_answer = ncclSystemError;
    said[hosts.rank()] = message_of([&] { NcclCommunicator devices(hosts); });
  });
  BOOST_TEST(said[1] == "NCCL: ncclCommInitRank: some error");
  BOOST_TEST(said[0] == "rank 1 of 3 failed: NCCL: ncclCommInitRank: some error");
  BOOST_TEST(said[2] == said[0]);
  BOOST_TEST(fake_alive == 0);
}

BOOST_AUTO_TEST_CASE(a_rank_without_a_device_fails_before_the_others_wait_for_it) {
  std::array<std::string, 3> said;
  maestro::run_on_threads(3, [&](maestro::ThreadCommunicator& hosts) {
    fake_ranks = &hosts;
    if (hosts.rank() == 1) fake_device = cudaErrorNoDevice;
    said[hosts.rank()] = message_of([&] { NcclCommunicator devices(hosts); });
  });
  BOOST_TEST(said[1] == "CUDA: cudaFree: some error of CUDA");
  BOOST_TEST(said[0] == "rank 1 of 3 failed: CUDA: cudaFree: some error of CUDA");
  BOOST_TEST(fake_alive == 0);
}

BOOST_AUTO_TEST_CASE(waiting_ends_with_the_stream_a_failure_or_the_time) {
  const int before = fake_aborted;
  on_ranks([](NcclCommunicator& devices) {
    fake_busy = 2000;
    devices.wait(fake_stream);
    if (devices.rank() == 0) return;
    std::string text;
    fake_busy = 1'000'000'000;
    if (devices.rank() == 1) {
      text = message_of([&] { devices.wait(fake_stream, 0.01); });
      maestro::require(text.find("NCCL: no end of the collectives in 0.01") == 0, text.c_str());
    } else {
      fake_state = ncclRemoteError;
      text = message_of([&] { devices.wait(fake_stream); });
      maestro::require(text == "NCCL: a collective: remote error", text.c_str());
      fake_state = ncclSuccess;
    }
    fake_busy = 0;
    text = message_of([&] { devices.check(); });
    maestro::require(text.find("an earlier collective has failed") != std::string::npos, text.c_str());
  });
  BOOST_TEST(fake_aborted - before == 2);
}

BOOST_AUTO_TEST_SUITE_END()
