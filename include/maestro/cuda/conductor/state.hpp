#pragma once

/// @file
/// The state of a learned Conductor in the host's form, which checkpoints hold. This header compiles without nvcc and
/// without the CUDA toolkit.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "maestro/conductor/buffer.hpp"
#include "maestro/conductor/learned_checks.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/optimizer/layout.hpp"

namespace maestro::gpu {

/// AdamWState holds the state of AdamW under the names that optimizer/adamw.hpp gives it in checkpoints.
struct AdamWState {
  std::uint64_t step = 0;
  std::uint64_t layout = 0;
  AlignedVector<float> first;
  AlignedVector<float> second;

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step);
    v("layout", layout);
    v("first_moments", first);
    v("second_moments", second);
  }
};

/// LearnedState holds what maestro::LearnedConductor<Network> keeps between steps, under the same names, so that each
/// of the two Conductors loads the other's checkpoints.
template <class Network>
struct LearnedState {
  Network network;
  float log_tau = 0.0f;
  AdamWState optimizer;
  ConductorBuffer buffer;
  std::uint32_t last_step = 0;
  std::uint32_t steps_since_update = 0;
  std::uint32_t observed = 0;
  std::uint64_t dropped = 0;

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("network", network);
    v("log_temperature", log_tau);
    v("optimizer", optimizer);
    v("buffer", buffer);
    v("last_step", last_step);
    v("steps_since_update", steps_since_update);
    v("observed", observed);
    v("dropped", dropped);
  }

  /// Gives the network's parameters in visiting order.
  std::vector<float> parameters() {
    std::vector<float> values;
    network.visit([&](auto view) { values.insert(values.end(), view.values.begin(), view.values.end()); });
    return values;
  }
  /// Sets the parameters from the front of `values`.
  void set_parameters(const std::vector<float>& values) {
    std::size_t at = 0;
    network.visit([&](auto view) {
      for (float& value : view.values) value = values[at++];
    });
  }
  /// Gives the layout of the parameters that the optimizer trains, in the order of LearnedConductor::visit.
  ParameterLayout layout(bool with_temperature) {
    ParameterLayout layout = layout_of(network);
    if (with_temperature) layout.add("conductor.log_temperature", 1);
    return layout;
  }

  /// Checks the state.
  /// @throws BadFile naming what does not fit a Conductor of these options.
  void check(const LearnedConductorOptions& options, std::size_t actions) {
    maestro::detail::check_loaded(options, actions, network.input_size(), buffer, static_cast<double>(log_tau));
    if (buffer.size() > options.capacity) throw BadFile("conductor: the stored buffer is larger than the capacity");
    if (optimizer.step == 0) return;
    const ParameterLayout trained = layout(options.temperature_mode == TemperatureMode::learned);
    if (optimizer.layout != trained.fingerprint || optimizer.first.size() != trained.values ||
        optimizer.second.size() != trained.values) {
      throw BadFile("conductor: the stored moments are not those of this head's parameters");
    }
  }
};

}  // namespace maestro::gpu
