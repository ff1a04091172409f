#pragma once

/// @file
/// The heads that update and mlp measure, with fixed parameters.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <vector>

#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "maestro/cuda/conductor/head.hpp"

namespace maestro::bench::device {

inline constexpr std::size_t num_actions = 5;

/// Of every layer, in the order of Network::visit.
template <class Network>
std::vector<float> fixed_parameters(std::size_t inputs) {
  std::vector<float> values;
  for (const std::size_t outputs : gpu::NetworkShape<Network>::outputs) {
    append_layer(inputs, outputs, values);
    inputs = outputs;
  }
  return values;
}

/// The work of State<executor, network, S>, by the width of the hidden layer.
template <template <class, class, class> class State, class S>
Work with_head(const Options& o) {
  require(o.rewards == num_actions, "update and mlp: --rewards is 5");
  return on_executor(o, [&](auto* executor) -> Work {
    using E = std::remove_pointer_t<decltype(executor)>;
    if (o.width == 0) return work_of(std::make_shared<State<E, LinearNetwork<num_actions>, S>>(o));
    if (o.width == 64) return work_of(std::make_shared<State<E, MlpNetwork<num_actions, 64>, S>>(o));
    if (o.width == 256) return work_of(std::make_shared<State<E, MlpNetwork<num_actions, 256>, S>>(o));
    throw BadArgument("update and mlp: --width is 0, 64 or 256");
  });
}

}  // namespace maestro::bench::device
