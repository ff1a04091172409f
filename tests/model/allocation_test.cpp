#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "model_tools.hpp"

// ThreadSanitizer's runtime has an operator new of its own and takes no other: nothing is counted there.
#if defined(__has_feature)
#define MAESTRO_TEST_THREAD_SANITIZER __has_feature(thread_sanitizer)
#else
#define MAESTRO_TEST_THREAD_SANITIZER 0
#endif

// gcc does not see that these replacements belong together.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

// Counts every allocation of the test program made through operator new (Eigen's own packing buffers come from malloc).
namespace {
std::atomic<std::size_t> allocations = 0;

[[maybe_unused]] void* counted(std::size_t size, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  if (void* memory = std::aligned_alloc(alignment, rounded > 0 ? rounded : alignment)) return memory;
  throw std::bad_alloc();
}
}  // namespace

#if !MAESTRO_TEST_THREAD_SANITIZER
void* operator new(std::size_t size) { return counted(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

using namespace maestro_test;

BOOST_AUTO_TEST_SUITE(model_allocation)

// A thread allocates the blocks of its products once, with its first product, whichever loop that is in: here both
// threads have one, each waiting for the other.
void settle_threads() {
  std::atomic<int> arrived = 0;
  parallel_for(2, [&](std::size_t) {
    maestro::detail::gemm_scratch<float>();
    ++arrived;
    while (arrived < 2) std::this_thread::yield();
  });
}

BOOST_AUTO_TEST_CASE(a_settled_workspace_allocates_nothing) {
  set_threads(2);
  settle_threads();
  using Model = Transformer<float, NativeBackend>;
  for (const Architecture a : {Architecture::llama, Architecture::qwen2, Architecture::qwen3}) {
    const ModelConfig config = small_config(a);
    const ModelWeights<float> weights = random_weights<float>(config, 3);
    ModelWeights<float> gradients(config);
    const Tokens tokens = random_tokens({40, 7}, {{30, 21, 4}, {50, 0}}, config.vocabulary);
    PackedBatch batch;
    TransformerWorkspace<float> ws;
    Matrix<float> d_hidden;
    const auto step = [&](std::size_t first, std::size_t last) {
      batch.pack(tokens.prompts, tokens.responses, tokens.groups, first, last);
      d_hidden.assign(batch.rows(), config.hidden, 0.1f);
      Model::forward(weights, batch, ws, Keep::activations);
      Model::backward(weights, batch, ws, d_hidden, gradients);
    };
    step(0, 2);
    const std::size_t before = allocations;
    step(0, 2);
    step(1, 2);
    step(0, 1);
    step(0, 2);
    BOOST_TEST(allocations - before == 0u);
    BOOST_TEST((before > 0u || MAESTRO_TEST_THREAD_SANITIZER));
  }
}

BOOST_AUTO_TEST_SUITE_END()
