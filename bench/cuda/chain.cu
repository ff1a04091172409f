// Hidden states and rewards to actions, weights and advantages.
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "bench/cuda/work.hpp"
#include "maestro/core/bfloat16.hpp"
#include "maestro/cuda/conductor/learned.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"

namespace maestro::bench::device {

namespace {

template <class E, std::size_t K, class S>
struct Chain {
  explicit Chain(const Options& o)
      : groups(gpu::GroupLayout::uniform(o.rows / o.group, o.group)),
        conductor(place.executor, options_of(o)),
        scalarizer(place.executor) {
    gpu::LearnedState<LinearNetwork<K>> state;
    state.network.initialize(o.inputs, {});
    std::vector<float> values;
    append_layer(o.inputs, K, values);
    state.set_parameters(values);
    state.log_tau = log_temperature;
    conductor.load(state);
    hidden = place.upload(centered_values<S>(Purpose::hidden, o.rows * o.inputs));
    rewards = place.upload(uniform_values(Purpose::rewards, o.rows * K));
    data_rows = place.upload(filled<std::int64_t>(groups.groups, [](std::size_t g) { return g; }));
    advantages = place.template room<float>(o.rows);
    run();
    place.dump(o.dump, "actions", decision.actions, o.rows);
    place.dump(o.dump, "probabilities", decision.probabilities, o.rows * K);
    place.dump(o.dump, "weights", decision.weights, o.rows * K);
    place.dump(o.dump, "advantages", advantages.data(), o.rows);
  }

  static LearnedConductorOptions options_of(const Options& o) {
    LearnedConductorOptions options;
    options.emphasis = o.variant == "blended" ? Emphasis::blended_policy : Emphasis::one_hot;
    options.estimator = Estimator::sampled;
    options.hidden_size = o.inputs;
    return options;
  }

  void run() {
    decision =
        conductor.decide({hidden.data(), rewards.data(), groups, data_rows.data(), 7, step++}, place.faults.data());
    scalarizer(GroupRelative{},
               {.rewards = rewards.data(),
                .weights = decision.weights,
                .groups = groups,
                .base = decision.base,
                .emphasis = decision.emphasis,
                .actions = decision.actions},
               {.advantages = advantages.data()}, place.faults.data());
  }

  Place<E> place{};
  gpu::GroupLayout groups;
  gpu::LearnedConductor<E, LinearNetwork<K>, S> conductor;
  gpu::Scalarizer<E, K> scalarizer;
  gpu::DecisionView decision{};
  std::uint32_t step = 0;
  typename E::template Buffer<S> hidden{};
  typename E::template Buffer<float> rewards{};
  typename E::template Buffer<std::int64_t> data_rows{};
  typename E::template Buffer<float> advantages{};
};

template <class E>
Work chain_on(const Options& o) {
  if (o.type == "bf16") {
    require(o.rewards == 5, "chain: with bf16, --rewards is 5");
    return work_of(std::make_shared<Chain<E, 5, Bfloat16>>(o));
  }
  if (o.rewards == 2) return work_of(std::make_shared<Chain<E, 2, float>>(o));
  if (o.rewards == 5) return work_of(std::make_shared<Chain<E, 5, float>>(o));
  if (o.rewards == 16) return work_of(std::make_shared<Chain<E, 16, float>>(o));
  throw BadArgument("chain: --rewards is 2, 5 or 16");
}

}  // namespace

Work chain(const Options& o) {
  require(o.variant == "one_hot" || o.variant == "blended", "chain: --variant is one_hot or blended");
  return on_executor(o, [&](auto* executor) { return chain_on<std::remove_pointer_t<decltype(executor)>>(o); });
}

}  // namespace maestro::bench::device
