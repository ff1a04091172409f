#pragma once

/// @file
/// A Conductor's whole update. Compiled once for each type of hidden states, in a file of its own.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/cuda/heads.hpp"
#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "maestro/cuda/conductor/learned.hpp"

namespace maestro::bench::device {

/// Remembers three steps, then one optimizer step over them, as the paper's period of 3 does.
template <class E, class Network, class S>
struct Update {
  static constexpr std::size_t steps = 3;

  explicit Update(const Options& o) : rows(o.rows / steps), inputs(o.inputs), conductor(place.executor, options_of(o)) {
    require(o.rows % steps == 0, "update: --rows is a multiple of 3");
    gpu::LearnedState<Network> state;
    state.network.initialize(inputs, {});
    state.set_parameters(fixed_parameters<Network>(inputs));
    state.log_tau = log_temperature;
    conductor.load(state);
    hidden = place.upload(centered_values<S>(Purpose::hidden, o.rows * inputs));
    meta = place.upload(centered_values<float>(Purpose::meta, o.rows));
    actions = place.upload(fixed_actions(o.rows, num_actions));
    propensities = place.upload(fixed_propensities(o.rows));
    observe();
    const ConductorReport report = conductor.differentiate(place.faults.data());
    place.write(o.dump, "figures", std::vector<double>{report.loss, report.gradient_norm});
    place.dump(o.dump, "gradients", conductor.gradients(), conductor.parameter_count());
    conductor.update(place.faults.data());
    gpu::LearnedState<Network> after = conductor.save();
    std::vector<float> values = after.parameters();
    values.push_back(after.log_tau);
    place.write(o.dump, "parameters", values);
  }

  static LearnedConductorOptions options_of(const Options& o) {
    LearnedConductorOptions options;
    options.estimator = Estimator::sampled;
    options.period = 1;  // update() is called once for three calls of observe()
    options.hidden_size = o.inputs;
    return options;
  }
  /// (B x K) positive, rows of sum 1.
  static std::vector<float> fixed_propensities(std::size_t count) {
    std::vector<float> values =
        filled<float>(count * num_actions, [](std::size_t i) { return 0.25f + uniform(Purpose::propensities, i); });
    for (std::size_t i = 0; i < count; ++i) {
      float* const row = values.data() + i * num_actions;
      float sum = 0.0f;
      for (std::size_t k = 0; k < num_actions; ++k) sum += row[k];
      for (std::size_t k = 0; k < num_actions; ++k) row[k] /= sum;
    }
    return values;
  }

  void observe() {
    for (std::size_t s = 0; s < steps; ++s) {
      const std::size_t first = s * rows;
      const gpu::DecisionView decision{.actions = actions.data() + first,
                                       .probabilities = propensities.data() + first * num_actions};
      conductor.observe(decision, hidden.data() + first * inputs, meta.data() + first, rows, step++,
                        place.faults.data());
    }
  }
  void run() {
    observe();
    conductor.update(place.faults.data());
  }

  using Floats = typename E::template Buffer<float>;

  Place<E> place{};
  std::size_t rows;  // of a step
  std::size_t inputs;
  gpu::LearnedConductor<E, Network, S> conductor;
  std::uint32_t step = 0;
  typename E::template Buffer<S> hidden{};
  Floats meta{};
  typename E::template Buffer<std::int32_t> actions{};
  Floats propensities{};
};

}  // namespace maestro::bench::device
