#pragma once

/// @file
/// The interface of a learned Conductor's head, which maps hidden states to logits.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "maestro/core/option.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/state.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// Initialization says how the last layer is initialized. Hidden layers, if there are any, are always normal with
/// standard deviation 1/sqrt(inputs), since zeros would stay zero.
enum class Initialization : std::uint8_t {
  zero,    ///< every action equally likely for every h
  normal,  ///< weights normal with `std_dev`, biases 0
};

/// NetworkInit holds the options of a head's initialization.
struct NetworkInit {
  Initialization head = Initialization::zero;
  double std_dev = 0.02;  ///< of the normal start of the head, above 0
  std::uint64_t seed = 0;
};

/// Lists the options of the initialization; see OptionList.
template <OptionsOf<NetworkInit> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "head"}, s.head);
  f({.name = "std_dev", .key = "deviation"}, s.std_dev);
  f({.name = "seed"}, s.seed);
}

/// ConductorNetwork is a head from hidden states (B x d) to logits (B x K). d is a run-time value, set by `initialize`;
/// K is `actions`.
/// - `scalar_type`: float or double, of the parameters and the logits; `Cache`: what backward needs of forward.
/// - `initialize(d, init)`: sets d and the start of the parameters; `input_size()`: d, 0 before.
/// - `forward(hidden, logits, cache)`: const; overwrites the logits; each row depends on its own hidden state alone, to
///   the bit.
/// - `backward(hidden, logit_gradients, cache)`: adds to the parameter gradients; `cache` is that of the forward pass.
/// - `visit(f)`: the parameters; `zero_gradients()`; `visit_state(v)`: what a checkpoint holds.
template <class N>
concept ConductorNetwork = std::default_initializable<N> && std::copyable<N> && Trainable<N> && Stateful<N> &&
    std::semiregular<typename N::Cache> &&
    requires(N& network, const N& fixed, MatrixView<const float> hidden, MatrixView<typename N::scalar_type> logits,
             MatrixView<const typename N::scalar_type> gradients, typename N::Cache& cache, const NetworkInit& init) {
  typename std::integral_constant<std::size_t, N::actions>;
  network.initialize(std::size_t{}, init);
  { fixed.input_size() } -> std::same_as<std::size_t>;
  fixed.forward(hidden, logits, cache);
  network.backward(hidden, gradients, cache);
  network.zero_gradients();
};

}  // namespace maestro
