#include <boost/test/unit_test.hpp>
#include <string>
#include <type_traits>
#include <utility>

#include "maestro/cuda/core/check.hpp"
#include "maestro/cuda/core/matmul.hpp"
#include "maestro/cuda/core/stream.hpp"

using namespace maestro;
using namespace maestro::gpu;

BOOST_AUTO_TEST_SUITE(cuda_toolkit)

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class F>
void throws_naming(const F& f, const std::string& call) {
  BOOST_CHECK_EXCEPTION(f(), CudaError, [&](const CudaError& e) {
    BOOST_TEST_MESSAGE(e.what());
    return contains(e.what(), call);
  });
}

}  // namespace

BOOST_AUTO_TEST_CASE(errors_name_the_call_and_say_what_they_mean) {
  BOOST_CHECK_NO_THROW(check(cudaSuccess, "cudaSomething()"));
  BOOST_CHECK_NO_THROW(check(CUBLAS_STATUS_SUCCESS, "cublasSomething()"));
  throws_naming([] { check(cudaErrorInvalidValue, "cudaSomething(x)"); },
                "cudaSomething(x): cudaErrorInvalidValue, invalid argument");
  throws_naming([] { check(CUBLAS_STATUS_NOT_SUPPORTED, "cublasSomething(x)"); },
                "cublasSomething(x): CUBLAS_STATUS_NOT_SUPPORTED, ");
  throws_naming([] { MAESTRO_CUDA(cudaStreamDestroy(nullptr)); }, "cudaStreamDestroy(nullptr): cudaError");
}

BOOST_AUTO_TEST_CASE(without_a_device_everything_says_so) {
  std::string reason = "untouched";
  if (has_device(&reason)) {
    BOOST_TEST(reason == "untouched");
    return;
  }
  BOOST_TEST_MESSAGE(reason);
  BOOST_TEST((!reason.empty() && reason != "untouched"));
  BOOST_TEST(!has_device());
  throws_naming([] { const Stream stream; }, "cudaStreamCreateWithFlags(");
  throws_naming([] { DeviceBuffer<float>().reserve(1); }, "cudaMalloc(");
  throws_naming([] { const Matmul matmul; }, "cublasLtCreate(");
}

BOOST_AUTO_TEST_CASE(a_buffer_of_nothing_needs_no_device) {
  DeviceBuffer<double> buffer;
  BOOST_TEST(!buffer.reserve(0));
  BOOST_TEST(buffer.data() == nullptr);
  BOOST_TEST(buffer.capacity() == 0u);
  DeviceBuffer<double> other = std::move(buffer);
  BOOST_TEST(other.capacity() == 0u);
  static_assert(!std::is_copy_constructible_v<DeviceBuffer<double>> && !std::is_copy_assignable_v<Stream>);
}

BOOST_AUTO_TEST_CASE(a_size_that_overflows_is_refused) {
  DeviceBuffer<double> buffer;
  BOOST_CHECK_THROW(buffer.reserve(~std::size_t{0} / 4), BadArgument);
}

BOOST_AUTO_TEST_CASE(small_and_unaligned_layers_are_left_to_kernels) {
  const auto suits = [](auto type, std::size_t rows, std::size_t inputs, std::size_t outputs) {
    return Matmul::suits(LayerProduct<decltype(type)>{.rows = rows, .inputs = inputs, .outputs = outputs});
  };
  BOOST_TEST(suits(float{}, 32, 32, 32));
  BOOST_TEST(!suits(float{}, 31, 32, 32));
  BOOST_TEST(!suits(float{}, 32, 34, 32));
  BOOST_TEST(suits(float{}, 33, 36, 44));
  BOOST_TEST(!suits(Bfloat16{}, 33, 36, 48));
  BOOST_TEST(suits(Bfloat16{}, 33, 40, 48));
  BOOST_TEST(!suits(float{}, 32, 32, 4));
}

BOOST_AUTO_TEST_SUITE_END()
