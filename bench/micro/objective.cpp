// The clipped surrogate with KL, and its gradient with respect to per-token log-probs.

#include <cstddef>
#include <string>
#include <vector>

#include "bench/micro/support.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/objective/loss.hpp"

namespace maestro::bench {
namespace {

void loss(benchmark::State& state, const ObjectiveOptions& options) {
  const std::size_t rows = size_arg(state, 0);
  const std::size_t length = size_arg(state, 1);
  const std::size_t tokens = rows * length;
  std::vector<float> now(tokens);
  std::vector<float> old(tokens);
  std::vector<float> reference(tokens);
  std::vector<float> gradients(tokens);
  fill(std::span<float>(now), 0.1, 1);
  fill(std::span<float>(old), 0.1, 2);
  fill(std::span<float>(reference), 0.1, 3);
  std::vector<std::size_t> offsets(rows + 1);
  for (std::size_t i = 0; i <= rows; ++i) offsets[i] = i * length;
  std::vector<float> advantages(rows);
  fill(std::span<float>(advantages));
  SingleProcess comm;
  const Objective objective(options);
  const BatchCounts counts = count_batch(std::span<const std::size_t>(offsets), comm);
  for (auto _ : state) {
    benchmark::DoNotOptimize(objective(LossInput<float>{.log_probs = now,
                                                        .old_log_probs = old,
                                                        .reference_log_probs = reference,
                                                        .entropies = {},
                                                        .offsets = offsets,
                                                        .advantages = advantages,
                                                        .batch = counts,
                                                        .first_row = 0},
                                       LossGradient<float>{.d_log_probs = gradients, .d_entropies = {}}));
  }
  report(state, {.items = static_cast<double>(tokens)});
}

const int registered = [] {
  const auto both = [](const std::string& name, const ObjectiveOptions& options) {
    add(name, [options](benchmark::State& s) { loss(s, options); })
        ->ArgNames({"B", "T"})
        ->Args({64, 160})
        ->Args({1024, 160});
  };
  both("token_ratio_k3", {.beta = 0.05});
  both("sequence_ratio_k3", {.ratio_level = RatioLevel::sequence, .beta = 0.05});
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
