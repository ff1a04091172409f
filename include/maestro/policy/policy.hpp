#pragma once

/// @file
/// What the trainer needs of a policy. No base class: any type with these members fits.

#include <concepts>
#include <cstddef>
#include <span>

#include "maestro/core/parameter.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"

namespace maestro {

/// A trainable distribution over responses.
///
/// - `hidden_size()`: d, the length of a terminal hidden state.
/// - `generate(prompts, sampling, key)`: G responses per prompt with log-probs, entropies and terminal hidden states;
///   a data row may come twice, its responses then have draws of their own (token_stream).
/// - `forward(rollouts, range, log_probs, entropies)`: log-probs (and entropies, where that span is not empty) of every
///   response token of the groups in range, in packed order, at rollouts.temperature; keeps what backward needs.
/// - `backward(d_log_probs, d_entropies)`: adds the gradient of sum(d_log_probs * log_probs) + sum(d_entropies *
///   entropies) of the last forward to the parameters' gradients; d_entropies may be empty. Once per forward.
/// - `log_probs(rollouts, range, out)`: the values of forward without keeping anything; const.
/// - `zero_gradients()`, and `visit(f)` over the parameters.
/// - optional `check_prompts(prompts, sampling)`: const; throws for a prompt that generate would refuse, so that a run
///   is refused before its first step.
///
/// Copying a policy copies its parameters; workspaces and gradients need not be copied.
template <class P>
concept Policy = std::copy_constructible<P> && Visitable<P> &&
    requires(P& policy, const P& fixed, const Rollouts& rollouts, GroupRange range, std::span<const Prompt> prompts,
             const Sampling& sampling, const DrawKey& key, std::span<float> values, std::span<const float> gradients) {
  { fixed.hidden_size() } -> std::convertible_to<std::size_t>;
  { policy.generate(prompts, sampling, key) } -> std::same_as<Rollouts>;
  policy.forward(rollouts, range, values, values);
  policy.backward(gradients, gradients);
  fixed.log_probs(rollouts, range, values);
  policy.zero_gradients();
};

}  // namespace maestro
