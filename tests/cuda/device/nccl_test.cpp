// NcclCommunicator on one device, as one rank of one: what NCCL itself makes of the calls.

#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/cuda/core/stream.hpp"
#include "maestro/distributed/nccl.hpp"

BOOST_AUTO_TEST_SUITE(device_nccl)

namespace {

template <class T>
void check_collectives(maestro::NcclCommunicator& devices, cudaStream_t stream) {
  const std::vector<T> values{1, 2, 3, 4, 5};
  maestro::gpu::DeviceBuffer<T> buffer;
  buffer.reserve(values.size());
  const maestro::DeviceSpan<T> span(buffer.data(), values.size());
  MAESTRO_CUDA(cudaMemcpy(buffer.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  devices.all_reduce_sum(span, stream);
  devices.grouped([&] {
    devices.reduce_scatter_sum(span, stream);
    devices.all_gather_shares(span, stream);
  });
  devices.broadcast(span, 0, stream);
  devices.wait(stream, 60.0);
  std::vector<T> back(values.size());
  MAESTRO_CUDA(cudaMemcpy(back.data(), buffer.data(), values.size() * sizeof(T), cudaMemcpyDeviceToHost));
  BOOST_TEST(back == values, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_rank_keeps_its_values) {
  maestro::SingleProcess hosts;
  maestro::NcclCommunicator devices(hosts);
  const maestro::gpu::Stream stream;
  BOOST_TEST(devices.rank() == 0u);
  BOOST_TEST(devices.size() == 1u);
  check_collectives<float>(devices, stream.get());
  check_collectives<double>(devices, stream.get());
  devices.check();
}

BOOST_AUTO_TEST_SUITE_END()
