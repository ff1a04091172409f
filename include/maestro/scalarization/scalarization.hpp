#pragma once

/// @file
/// The interface of a scalarization, which computes advantages from rewards, weights and groups.

#include <concepts>
#include <cstdint>
#include <span>

#include "maestro/core/communicator.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// ScalarizationInput holds what a scalarization reads. NaN in `rewards` marks a reward that does not apply.
struct ScalarizationInput {
  MatrixView<const float> rewards;          ///< (B x K)
  const Decision& decision;                 ///< weights (B x K); base and emphasis for the counterfactuals
  const Groups& groups;                     ///< partition of the B rows
  std::span<const float> penalty{};         ///< (B) subtracted from the scalar reward (KL in the reward); may be empty
  std::span<const std::int32_t> lengths{};  ///< (B) tokens of the responses; may be empty for those that need none
};

/// ScalarizationOutput holds what a scalarization writes; it overwrites everything.
struct ScalarizationOutput {
  std::span<float> advantages;          ///< (B)
  std::span<float> scalar_rewards;      ///< (B) normalized, weighted, minus the penalty; NaN if every reward is missing
  MatrixView<float> counterfactuals{};  ///< (B x K) advantage of response i had it drawn action k while the others
                                        ///< keep theirs; not computed if empty
};

/// A Scalarization has a const call operator. It is deterministic, writes every advantage and scalar reward, and
/// computes every batch-wide statistic through the communicator. It may be called more than once in a step, with other
/// weights and without counterfactuals (see draw_noise.hpp).
template <class S, class Comm = SingleProcess>
concept Scalarization = std::move_constructible<S> &&
    requires(const S& scalarization, const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) {
  { scalarization(in, out, comm) } -> std::same_as<void>;
};

}  // namespace maestro
