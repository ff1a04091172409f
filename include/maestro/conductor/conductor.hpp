#pragma once

/// @file
/// What the trainer needs of a Conductor: the part that chooses, per response, which reward to stress.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// What a Conductor sees when it decides.
struct StepView {
  MatrixView<const float> hidden;      ///< (B x d) terminal hidden states
  MatrixView<const float> rewards;     ///< (B x K), NaN where a reward does not apply
  const Groups& groups;                ///< partition of the B rows
  std::span<const std::int64_t> rows;  ///< (N) data row of each group's prompt: keys the draws
  std::uint64_t seed = 0;              ///< of the run
  std::uint32_t step = 0;              ///< trainer step
};

/// What it learns from.
struct Feedback {
  const Decision& decision;
  MatrixView<const float> hidden;  ///< (B x d), as decided on: the same values, unchanged since
  const Groups& groups;
  std::span<const float> advantages;        ///< (B) meta-reward of the action taken
  MatrixView<const float> counterfactuals;  ///< (B x K) meta-reward of every action; empty unless asked for
  std::uint32_t step = 0;
  MatrixView<const float> weight_gradients{};  ///< (B x K) d meta-reward_i / d w_ik; empty unless asked for
};

/// What an update did; logged under conductor/.
struct ConductorReport {
  std::size_t samples = 0;  ///< buffer entries used
  std::size_t dropped = 0;  ///< entries dropped as too old
  double loss = 0.0;        ///< minus the surrogate, minus the entropy bonus
  double surrogate = 0.0;
  double entropy = 0.0;        ///< mean entropy of p(.|h), nats
  double temperature = 1.0;    ///< tau
  double gradient_norm = 0.0;  ///< global, before clipping
};

/// - `decide(view)`: actions, propensities and weights for every response.
/// - `observe(feedback)`: keeps what the next update needs.
/// - `update()`: called after every step; nullopt when nothing was due (period M not over, or nothing to learn).
/// - `weights(hidden, out)`: deterministic weights (B x K) for use without exploration.
/// - optional `wants_counterfactuals()`: the trainer then fills Feedback::counterfactuals.
/// - optional `wants_weight_gradients()`: the trainer then fills Feedback::weight_gradients.
/// - optional `visit_state(v)` for checkpoints.
template <class C>
concept Conductor = requires(C& conductor, const C& fixed, const StepView& view, const Feedback& feedback,
                             MatrixView<const float> hidden, MatrixView<float> out) {
  { conductor.decide(view) } -> std::same_as<Decision>;
  conductor.observe(feedback);
  { conductor.update() } -> std::same_as<std::optional<ConductorReport>>;
  fixed.weights(hidden, out);
};

/// Whether the trainer must compute the advantages of the actions not taken.
template <Conductor C>
bool wants_counterfactuals(const C& conductor) {
  if constexpr (requires {
                  { conductor.wants_counterfactuals() } -> std::convertible_to<bool>;
                }) {
    return conductor.wants_counterfactuals();
  } else {
    return false;
  }
}

/// Whether the trainer must compute the derivative of each response's advantage by its own weights.
template <Conductor C>
bool wants_weight_gradients(const C& conductor) {
  if constexpr (requires {
                  { conductor.wants_weight_gradients() } -> std::convertible_to<bool>;
                }) {
    return conductor.wants_weight_gradients();
  } else {
    return false;
  }
}

}  // namespace maestro
