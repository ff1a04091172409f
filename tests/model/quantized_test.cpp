#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/gguf_blocks.hpp"
#include "maestro/core/random.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/model/frozen_weights.hpp"
#include "maestro/model/lora_model.hpp"
#include "model/model_tools.hpp"
#include "noise.hpp"

// Weights that stay quantized give the bits of the same weights dequantized.
BOOST_AUTO_TEST_SUITE(quantized)

namespace {

using namespace maestro;
using namespace maestro_test;

/// Rows of a type with random bits, and small scales where the type has them.
std::vector<std::byte> random_rows(GgufType type, std::size_t rows, std::size_t cols, std::uint32_t salt) {
  const detail::GgufBlock& block = detail::gguf_block(type);
  std::vector<std::byte> bytes(rows * detail::gguf_row_bytes(type, cols));
  const RandomStream stream({.seed = salt});
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(static_cast<unsigned>(stream.uniform(static_cast<std::uint32_t>(i)) * 256.0));
  }
  // The high bytes of numbers: half-precision ones lie within 1/64 and 1/4 then, plain ones within 1/64 and 2.
  std::vector<std::size_t> highs{1};
  unsigned high = 0x24;
  if (type == GgufType::f32 || type == GgufType::bf16) {
    highs = {block.bytes - 1};
    high = 0x3c;
  }
  if (type == GgufType::q4_1 || type == GgufType::q5_1 || type == GgufType::q4_k || type == GgufType::q5_k) {
    highs = {1, 3};
  }
  if (type == GgufType::q2_k) highs = {81, 83};
  if (type == GgufType::q3_k || type == GgufType::q6_k) highs = {block.bytes - 1};
  for (std::size_t first = 0; first < bytes.size(); first += block.bytes) {
    for (const std::size_t i : highs) {
      std::byte& at = bytes[first + i];
      at = static_cast<std::byte>(high) | (at & std::byte{0x81});
    }
  }
  return bytes;
}

/// Both products with W (rows of several types) as it is and dequantized, by every instruction set.
template <class T>
void check_products(const std::vector<GgufType>& types, std::size_t rows_each, std::size_t cols) {
  std::vector<std::vector<std::byte>> data;
  std::vector<QuantizedRows> runs;
  const std::size_t n = types.size() * rows_each;
  Matrix<T> weight(n, cols);
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::size_t row_bytes = detail::gguf_row_bytes(types[i], cols);
    data.push_back(random_rows(types[i], rows_each, cols, static_cast<std::uint32_t>(i)));
    runs.push_back({.type = types[i], .first = i * rows_each, .row_bytes = row_bytes, .data = data.back().data()});
  }
  const QuantizedView<T> view(runs, cols, n);
  for (std::size_t r = 0; r < n; ++r) view.copy_col(r, weight.row(r));
  for (const std::size_t m : {1u, 7u, 40u}) {
    const auto x = noise<T>(m, cols, 4);
    const auto d_y = noise<T>(m, n, 8);
    Matrix<T> y(m, n), wanted_y(m, n), d_x(m, cols), wanted_d_x(m, cols);
    for (Isa isa = Isa::portable; isa <= best_isa(); isa = static_cast<Isa>(static_cast<int>(isa) + 1)) {
      Gemm<NativeBackend>::run<T>(Transpose::no, Transpose::yes, T(1), x.view(), weight.view(), T(0), wanted_y.view(),
                                  isa);
      Gemm<NativeBackend>::run(T(1), MatrixView<const T>(x.view()), view, T(0), y.view(), isa);
      BOOST_TEST((y == wanted_y));
      Gemm<NativeBackend>::run<T>(Transpose::no, Transpose::no, T(1), d_y.view(), weight.view(), T(0),
                                  wanted_d_x.view(), isa);
      Gemm<NativeBackend>::run_back(T(1), MatrixView<const T>(d_y.view()), view, T(0), d_x.view(), isa);
      BOOST_TEST((d_x == wanted_d_x));
    }
  }
}

/// Weights whose tensors have these types in turn; vectors are 1.
std::shared_ptr<const FrozenWeights<float>> random_frozen(const ModelConfig& config,
                                                          const std::vector<GgufType>& kinds) {
  const ModelLayout layout(config);
  std::vector<GgufType> types;
  for (std::size_t i = 0; i < layout.size(); ++i) types.push_back(kinds[i % kinds.size()]);
  return std::make_shared<const FrozenWeights<float>>(
      config, types,
      [&](std::size_t tensor, std::size_t row, std::span<std::byte> bytes) {
        const auto salt = static_cast<std::uint32_t>(100 * tensor + row);
        std::ranges::copy(random_rows(types[tensor], 1, layout[tensor].cols, salt), bytes.begin());
      },
      [](std::size_t, std::span<float> values) { std::ranges::fill(values, 1.0f); });
}

const std::vector<GgufType> all_types{GgufType::q8_0, GgufType::q4_k, GgufType::q6_k, GgufType::q2_k, GgufType::q3_k,
                                      GgufType::q5_k, GgufType::q4_0, GgufType::q4_1, GgufType::q5_0, GgufType::q5_1,
                                      GgufType::f32,  GgufType::f16,  GgufType::bf16};

}  // namespace

BOOST_AUTO_TEST_CASE(instruction_sets_dequantize_alike_whole_and_in_parts) {
  for (const GgufType type : all_types) {
    const std::vector<std::byte> row = random_rows(type, 1, 768, 3);
    std::vector<float> wanted(768), parts(768);
    detail::dequantize(type, row.data(), 0, 768, wanted.data(), Isa::portable);
    BOOST_TEST(std::ranges::all_of(wanted, [](float x) { return std::abs(x) < 100.0f; }));
    for (const std::size_t step : {32u, 96u, 384u}) {
      for (std::size_t first = 0; first < 768; first += step) {
        detail::dequantize(type, row.data(), first, step, parts.data() + first);
      }
      BOOST_TEST(std::memcmp(parts.data(), wanted.data(), 768 * sizeof(float)) == 0,
                 detail::gguf_block(type).name << " in parts of " << step);
    }
  }
}

BOOST_AUTO_TEST_CASE(products_have_the_bits_of_dequantized_weights) {
  for (const GgufType type : all_types) check_products<float>({type}, 77, 768);
  check_products<float>(all_types, 5, 512);  // a panel has rows of several types
  check_products<float>({GgufType::f32, GgufType::bf16}, 9, 450);
  check_products<float>({GgufType::q8_0}, 1, 32);
  check_products<double>({GgufType::q4_k, GgufType::q8_0}, 21, 512);
}

BOOST_AUTO_TEST_CASE(a_model_has_the_bits_of_dequantized_weights) {
  for (const Architecture architecture : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    ModelConfig config = small_config(architecture);
    config.hidden = 256;
    config.intermediate = 512;
    config.heads = 8;
    config.kv_heads = 4;
    config.head_dim = 32;
    const auto stored = random_frozen(config, all_types);
    const ModelWeights<float> weights = stored->unpacked();
    const auto full = std::make_shared<const FrozenWeights<float>>(weights);
    const PackedBatch batch = odd_batch(config);
    BOOST_TEST(same_bits(hidden_of<float>(*stored, batch), hidden_of<float>(weights, batch)));
    const LoraOptions options{.rank = 2, .alpha = 3.0};
    const LoraModel<float> a(stored, options, 3);
    const LoraModel<float> b(full, options, 3);
    BOOST_TEST(flat_gradients(a, gradients_of<float>(a, batch, Keep::activations)) ==
                   flat_gradients(b, gradients_of<float>(b, batch, Keep::activations)),
               boost::test_tools::per_element());
    BOOST_TEST(stored->bytes() < full->bytes() / 2);
  }
}

BOOST_AUTO_TEST_CASE(rows_of_no_whole_blocks_are_refused) {
  const ModelConfig config = small_config(Architecture::llama);
  BOOST_TEST(refusal<BadArgument>([&] { random_frozen(config, {GgufType::q4_k}); }).find("no whole blocks") !=
             std::string::npos);
  const std::vector<GgufType> none;
  const auto nothing = [](auto&&...) {};
  BOOST_TEST(refusal<BadArgument>([&] {
               FrozenWeights<float>(config, none, nothing, nothing);
             }).find("one element type") != std::string::npos);
  const ModelWeights<float> weights = random_weights<float>(config, 4);
  BOOST_CHECK_THROW(FrozenWeights<float>(weights, FrozenStore::quantized), BadArgument);
  BOOST_CHECK_THROW(FrozenWeights<double>(random_weights<double>(config, 4), FrozenStore::bfloat16), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
