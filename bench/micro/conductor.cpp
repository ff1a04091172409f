// The Conductor's share of a step: decide, observe and update.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/micro/support.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/data/groups.hpp"

namespace maestro::bench {
namespace {

constexpr std::size_t rewards = 5;

/// One step's batch: hidden states (B x d), rewards, meta-rewards.
struct Batch {
  Matrix<float> hidden;
  Matrix<float> scores;
  Groups groups;
  std::vector<std::int64_t> rows;
  std::vector<float> advantages;

  Batch(std::size_t responses, std::size_t d)
      : hidden(responses, d), scores(responses, rewards), groups(Groups::uniform(responses / 8, 8)) {
    fill(hidden.flat());
    fill(scores.flat(), 1.0, 2);
    for (std::size_t g = 0; g < groups.count(); ++g) rows.push_back(static_cast<std::int64_t>(g));
    advantages.resize(responses);
    fill(std::span<float>(advantages), 1.0, 3);
  }
  StepView view(std::uint32_t step) const { return {hidden, scores, groups, rows, 1, step}; }
};

template <class C>
void decide(benchmark::State& state) {
  const Batch batch(size_arg(state, 0), size_arg(state, 1));
  C conductor({.estimator = Estimator::sampled});
  std::uint32_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(conductor.decide(batch.view(step++)));
  report(state, {.items = static_cast<double>(batch.groups.rows())});
}

/// All that a trainer's step asks of it; the update of every third step is in the mean.
template <class C>
void whole_step(benchmark::State& state) {
  const Batch batch(size_arg(state, 0), size_arg(state, 1));
  C conductor({.estimator = Estimator::sampled});
  std::uint32_t step = 0;
  for (auto _ : state) {
    const Decision decision = conductor.decide(batch.view(step));
    conductor.observe({.decision = decision,
                       .hidden = batch.hidden,
                       .groups = batch.groups,
                       .advantages = batch.advantages,
                       .counterfactuals = {},
                       .step = step});
    benchmark::DoNotOptimize(conductor.update());
    ++step;
  }
  report(state, {.items = static_cast<double>(batch.groups.rows())});
}

template <class C>
void register_conductor(const std::string& name) {
  const std::vector<std::vector<std::int64_t>> shapes{{64, 1024}, {128, 896, 4096}};
  add(name + "/decide", decide<C>)->ArgNames({"B", "d"})->ArgsProduct(shapes);
  add(name + "/decide_observe_update", whole_step<C>)->ArgNames({"B", "d"})->ArgsProduct(shapes);
}

const int registered = [] {
  register_conductor<LinearConductor<rewards>>("linear");
  register_conductor<MlpConductor<rewards, 64>>("mlp_64");
  return 0;
}();

}  // namespace
}  // namespace maestro::bench
