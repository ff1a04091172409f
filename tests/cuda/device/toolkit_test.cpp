// Streams, buffers and layer products, by the host's compiler.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/core/bfloat16.hpp"
#include "maestro/cuda/core/matmul.hpp"
#include "maestro/cuda/core/stream.hpp"

using namespace maestro;
using namespace maestro::gpu;

namespace {

/// Values on the device.
template <class T>
class Array {
 public:
  explicit Array(const std::vector<T>& values) : count_(values.size()) {
    buffer_.reserve(count_);
    MAESTRO_CUDA(cudaMemcpy(buffer_.data(), values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  T* data() { return buffer_.data(); }
  /// Waits for the device.
  std::vector<T> read() {
    std::vector<T> values(count_);
    MAESTRO_CUDA(cudaDeviceSynchronize());
    MAESTRO_CUDA(cudaMemcpy(values.data(), buffer_.data(), count_ * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  std::size_t count_;
  DeviceBuffer<T> buffer_;
};

/// In [-1, 1), the same on every run.
template <class T>
std::vector<T> values_of(std::size_t count, std::uint32_t seed) {
  std::vector<T> values;
  std::uint32_t state = seed * 2654435761u + 1u;
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back(static_cast<T>(static_cast<float>(state >> 8) / 8388608.0f - 1.0f));
  }
  return values;
}

struct Shape {
  std::size_t rows;
  std::size_t inputs;
  std::size_t outputs;
};

/// One layer and its three products, in double and by the library.
template <class S>
class Layer {
 public:
  using Kind = typename LayerProduct<S>::Kind;

  explicit Layer(Shape shape)
      : shape_(shape),
        x_(values_of<S>(shape.rows * shape.inputs, 1)),
        weight_(values_of<S>(shape.outputs * shape.inputs, 2)),
        y_(values_of<S>(shape.rows * shape.outputs, 3)),
        bias_(values_of<float>(shape.outputs, 4)),
        on_x_(x_),
        on_weight_(weight_),
        on_y_(y_) {}

  void check(Matmul& matmul, cudaStream_t stream, Kind kind) {
    std::vector<double> expected(result_count(kind), 0.0);
    std::vector<double> expected_bias(shape_.outputs, 0.0);
    compute(kind, expected, expected_bias);
    const Run first = run(matmul, stream, kind);
    const Run second = run(matmul, stream, kind);  // with other memory for bias and result
    // A sum of n products of values in [-1, 1]: single precision rounds each to about 6e-8 of what is summed so far.
    const double bound = 2e-5 * std::sqrt(static_cast<double>(shape_.rows + shape_.inputs + shape_.outputs));
    expect_near(first.result, expected, bound);
    if (kind == Kind::weights) expect_near(first.bias, expected_bias, bound);
    BOOST_TEST((std::memcmp(first.result.data(), second.result.data(), first.result.size() * sizeof(float)) == 0));
    BOOST_TEST((std::memcmp(first.bias.data(), second.bias.data(), first.bias.size() * sizeof(float)) == 0));
  }

 private:
  struct Run {
    std::vector<float> result;
    std::vector<float> bias;
  };

  std::size_t result_count(Kind kind) const {
    if (kind == Kind::forward) return shape_.rows * shape_.outputs;
    return kind == Kind::weights ? shape_.outputs * shape_.inputs : shape_.rows * shape_.inputs;
  }
  Run run(Matmul& matmul, cudaStream_t stream, Kind kind) {
    Array<float> result(std::vector<float>(result_count(kind), 99.0f));
    Array<float> bias(bias_);
    const LayerProduct<S> product{.kind = kind,
                                  .rows = shape_.rows,
                                  .inputs = shape_.inputs,
                                  .outputs = shape_.outputs,
                                  .x = on_x_.data(),
                                  .weight = on_weight_.data(),
                                  .y = on_y_.data(),
                                  .bias = bias.data(),
                                  .result = result.data()};
    BOOST_TEST(matmul(product, stream));
    return {result.read(), bias.read()};
  }
  void compute(Kind kind, std::vector<double>& result, std::vector<double>& bias) const {
    const auto [rows, inputs, outputs] = shape_;
    for (std::size_t r = 0; r < rows; ++r) {
      for (std::size_t o = 0; o < outputs; ++o) {
        if (kind == Kind::forward) result[r * outputs + o] = static_cast<double>(bias_[o]);
        const auto y = static_cast<double>(y_[r * outputs + o]);
        bias[o] += y;
        for (std::size_t i = 0; i < inputs; ++i) {
          const auto x = static_cast<double>(x_[r * inputs + i]);
          const auto weight = static_cast<double>(weight_[o * inputs + i]);
          if (kind == Kind::forward) result[r * outputs + o] += x * weight;
          if (kind == Kind::weights) result[o * inputs + i] += y * x;
          if (kind == Kind::input) result[r * inputs + i] += y * weight;
        }
      }
    }
  }
  static void expect_near(const std::vector<float>& found, const std::vector<double>& expected, double bound) {
    BOOST_TEST_REQUIRE(found.size() == expected.size());
    double worst = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const double error = std::abs(static_cast<double>(found[i]) - expected[i]);
      if (!(error <= worst)) worst = error;
    }
    BOOST_TEST(worst <= bound);
  }

  Shape shape_;
  std::vector<S> x_;
  std::vector<S> weight_;
  std::vector<S> y_;
  std::vector<float> bias_;
  Array<S> on_x_;
  Array<S> on_weight_;
  Array<S> on_y_;
};

template <class S>
void check_products() {
  const Stream stream;
  Matmul matmul;
  using Kind = typename LayerProduct<S>::Kind;
  for (const Shape shape : {Shape{32, 32, 32}, {37, 64, 40}, {64, 128, 256}, {300, 40, 136}}) {
    Layer<S> layer(shape);
    for (const Kind kind : {Kind::forward, Kind::weights, Kind::input}) {
      BOOST_TEST_CONTEXT(shape.rows << " rows, " << shape.inputs << " inputs, " << shape.outputs << " outputs, kind "
                                    << static_cast<int>(kind)) {
        layer.check(matmul, stream.get(), kind);
      }
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(device_toolkit)

BOOST_AUTO_TEST_CASE(streams_and_buffers_own_what_they_hold) {
  Stream stream;
  const cudaStream_t handle = stream.get();
  BOOST_TEST(handle != nullptr);
  Stream moved = std::move(stream);
  BOOST_TEST(moved.get() == handle);
  BOOST_TEST(stream.get() == nullptr);
  stream = std::move(moved);
  BOOST_TEST(stream.get() == handle);
  BOOST_CHECK_NO_THROW(stream.wait());

  DeviceBuffer<int> buffer;
  BOOST_TEST(buffer.reserve(100));
  const int* at = buffer.data();
  BOOST_TEST(!buffer.reserve(100));
  BOOST_TEST(!buffer.reserve(1));
  BOOST_TEST(buffer.data() == at);
  DeviceBuffer<int> other = std::move(buffer);
  BOOST_TEST(other.data() == at);
  BOOST_TEST(buffer.data() == nullptr);
  BOOST_TEST(other.reserve(1000));
  BOOST_TEST(other.capacity() == 1000u);
}

BOOST_AUTO_TEST_CASE(products_in_single_precision) { check_products<float>(); }
BOOST_AUTO_TEST_CASE(products_of_bfloat16) { check_products<Bfloat16>(); }

BOOST_AUTO_TEST_CASE(a_layer_that_does_not_suit_is_left_alone) {
  const Stream stream;
  Matmul matmul;
  Array<float> result(std::vector<float>(16 * 32, 7.0f));
  BOOST_TEST(
      !matmul(LayerProduct<float>{.rows = 16, .inputs = 32, .outputs = 32, .result = result.data()}, stream.get()));
  for (const float value : result.read()) BOOST_TEST(value == 7.0f);
}

BOOST_AUTO_TEST_SUITE_END()
