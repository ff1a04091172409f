// The reward side of MAESTRO in a CUDA program of your own. Hidden states, rewards and groups are already on the
// device; actions, weights, advantages and the Conductor's update are computed there.

#include <cstdio>
#include <random>
#include <vector>

#include "maestro/cuda.hpp"

using namespace maestro;

constexpr std::size_t K = 3;  // rewards

/// RewardSide holds what the reward side keeps between steps, and works on one stream. From libtorch, pass
/// at::cuda::getCurrentCUDAStream() to it, and hidden.data_ptr<float>() and the like to step().
class RewardSide {
 public:
  RewardSide(cudaStream_t stream, std::size_t hidden_size)
      : executor_(stream),
        conductor_(executor_, {.period = 2, .learning_rate = 1e-2, .hidden_size = hidden_size}),
        scalarize_(executor_),
        record_(executor_) {}

  /// Enqueues a step and returns; `advantages` (B) is valid once the stream has done this work.
  gpu::DecisionView step(const float* hidden, const float* rewards, gpu::GroupLayout groups,
                         const std::int64_t* data_rows, std::uint32_t number, float* advantages) {
    counterfactuals_.reserve(groups.rows * K);
    const gpu::DecisionView d =
        conductor_.decide({hidden, rewards, groups, data_rows, /*seed=*/1, number}, record_.data());
    scalarize_(DefaultScalarization{},
               {.rewards = rewards,
                .weights = d.weights,
                .groups = groups,
                .base = d.base,
                .emphasis = d.emphasis,
                .actions = d.actions},
               {.advantages = advantages, .counterfactuals = counterfactuals_.data()}, record_.data());
    conductor_.observe(d, hidden, counterfactuals_.data(), groups.rows, number, record_.data());
    conductor_.update(record_.data());
    return d;
  }
  /// Waits for the stream, and throws for bad data that the kernels found, such as an infinite reward.
  void check() { record_.check(executor_); }
  ConductorReport report() { return conductor_.report(); }

 private:
  gpu::StreamExecutor executor_;
  gpu::LearnedConductor<gpu::StreamExecutor, LinearNetwork<K>> conductor_;
  gpu::Scalarizer<gpu::StreamExecutor, K> scalarize_;
  gpu::FaultRecord<gpu::StreamExecutor> record_;
  gpu::DeviceBuffer<float> counterfactuals_;
};

template <class T>
gpu::DeviceBuffer<T> on_device(const std::vector<T>& values) {
  gpu::DeviceBuffer<T> buffer;
  buffer.reserve(values.size());
  MAESTRO_CUDA(cudaMemcpy(buffer.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
  return buffer;
}

int main() try {
  std::string reason;
  if (!gpu::has_device(&reason)) {
    std::printf("No CUDA device here (%s): nothing to show.\n", reason.c_str());
    return 77;
  }
  // There are 64 prompts with 8 responses each. Every response is good at one of the rewards, which its hidden state
  // shows, so the Conductor gains by stressing that reward.
  constexpr std::size_t prompts = 64, group = 8, rows = prompts * group, width = 256;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> hidden(rows * width), rewards(rows * K);
  std::vector<std::int64_t> data_rows(prompts);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t kind = i % K;
    for (std::size_t j = 0; j < width; ++j) hidden[i * width + j] = 0.1f * normal(random) + (j == kind ? 1.0f : 0.0f);
    for (std::size_t k = 0; k < K; ++k) rewards[i * K + k] = 0.1f * normal(random) + (k == kind ? 1.0f : 0.0f);
  }
  for (std::size_t p = 0; p < prompts; ++p) data_rows[p] = static_cast<std::int64_t>(p);

  const gpu::Stream stream;
  RewardSide side(stream.get(), width);
  const auto h = on_device(hidden);
  const auto r = on_device(rewards);
  const auto ids = on_device(data_rows);
  gpu::DeviceBuffer<float> advantages;
  advantages.reserve(rows);
  for (std::uint32_t step = 0; step < 100; ++step) {
    const gpu::DecisionView d =
        side.step(h.data(), r.data(), gpu::GroupLayout::uniform(prompts, group), ids.data(), step, advantages.data());
    side.check();
    if (step % 20 != 19) continue;
    std::vector<std::int32_t> actions(rows);
    MAESTRO_CUDA(cudaMemcpy(actions.data(), d.actions, rows * sizeof(std::int32_t), cudaMemcpyDeviceToHost));
    std::size_t own = 0;
    for (std::size_t i = 0; i < rows; ++i) own += static_cast<std::size_t>(actions[i]) == i % K ? 1u : 0u;
    std::printf("step %3u   stress what they are good at: %5.1f %%   entropy %.3f nats\n", step + 1,
                100.0 * static_cast<double>(own) / rows, side.report().entropy);
  }
} catch (const Error& error) {
  std::fprintf(stderr, "device_step: %s\n", error.what());
  return 1;
}
