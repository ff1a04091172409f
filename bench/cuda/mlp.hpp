#pragma once

/// @file
/// Forward and backward of a head alone. Compiled once for each type of hidden states, in a file of its own.

#include <cstddef>
#include <vector>

#include "bench/cuda/heads.hpp"
#include "bench/cuda/inputs.hpp"
#include "bench/cuda/place.hpp"
#include "maestro/cuda/conductor/head.hpp"

namespace maestro::bench::device {

/// Logits of hidden states, then the parameters' gradients from fixed gradients of the logits. Recorded once and
/// replayed, as the Conductor does.
template <class E, class Network, class S>
struct Mlp {
  explicit Mlp(const Options& o) : rows(o.rows), head(place.executor) {
    head.resize(o.inputs);
    std::vector<float> values = fixed_parameters<Network>(o.inputs);
    values.push_back(log_temperature);
    place.executor.upload(values.data(), head.values(), values.size());
    head.values_changed();
    place.executor.wait();
    head.prepare(rows, true);
    hidden = place.upload(centered_values<S>(Purpose::hidden, rows * o.inputs));
    by_logits = place.upload(centered_values<float>(Purpose::logit_gradients, rows * num_actions));
    logits = place.template room<float>(rows * num_actions);
    run();
    place.dump(o.dump, "logits", logits.data(), rows * num_actions);
    place.dump(o.dump, "gradients", head.gradients(), head.count() - 1);
  }

  void run() {
    place.executor.replay(graph, gpu::GraphKey(hidden.data(), logits.data(), rows), [&] {
      head.forward(hidden.data(), rows, gpu::StoreValues{logits.data(), num_actions}, place.faults.data());
      head.backward(hidden.data(), rows, by_logits.data());
    });
  }

  Place<E> place{};
  std::size_t rows;
  gpu::Head<E, Network, S> head;
  typename E::Graph graph{};
  typename E::template Buffer<S> hidden{};
  typename E::template Buffer<float> by_logits{};
  typename E::template Buffer<float> logits{};
};

}  // namespace maestro::bench::device
