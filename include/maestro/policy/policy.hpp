#pragma once

/// @file
/// The interface between the trainer and a policy. There is no base class: any type with these members is a policy.

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <type_traits>

#include "maestro/core/parameter.hpp"
#include "maestro/core/refusal.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/data/hooks.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/data/sampling.hpp"

namespace maestro {

namespace detail {

template <class P>
concept HasHiddenSize = requires(const P& policy) {
  { policy.hidden_size() } -> std::convertible_to<std::size_t>;
};
template <class P>
concept Generates = requires(P& policy, std::span<const Prompt> prompts, const Sampling& sampling, const DrawKey& key) {
  { policy.generate(prompts, sampling, key) } -> std::same_as<Rollouts>;
};
template <class P>
concept RunsForward = requires(P& policy, const Rollouts& rollouts, GroupRange range, std::span<float> values) {
  policy.forward(rollouts, range, values, values);
};
template <class P>
concept RunsBackward = requires(P& policy, std::span<const float> gradients) {
  policy.backward(gradients, gradients);
};
template <class P>
concept GivesLogProbs = requires(const P& policy, const Rollouts& rollouts, GroupRange range, std::span<float> out) {
  policy.log_probs(rollouts, range, out);
};
template <class P>
concept ZeroesGradients = requires(P& policy) {
  policy.zero_gradients();
};

// For each optional member: can the trainer call it, and is there a member of that name in any form?

template <class P>
concept GivesBase = requires(const P& policy) {
  { policy.without_adapters() } -> std::convertible_to<P>;
};
template <class P>
concept NamesWithoutAdapters = requires {
  &P::without_adapters;
};

template <class P>
concept Saves = requires(const P& policy, const std::string& folder) {
  policy.save(folder);
};
template <class P>
concept NamesSave = requires {
  requires std::is_member_function_pointer_v<decltype(&P::save)>;
};
/// Is true if every optional member that exists can be called.
template <class P>
inline constexpr bool optional_policy_members_fit = absent_or_fit(NamesSave<P>, Saves<P>) &&
                                                    absent_or_fit(NamesFigures<P>, VisitsFigures<P>) &&
                                                    absent_or_fit(NamesCheckPrompts<P>, ChecksPrompts<P>) &&
                                                    absent_or_fit(NamesWithoutAdapters<P>, GivesBase<P>);

}  // namespace detail

/// Policy is a trainable distribution over responses.
///
/// - `scalar_type`: float or double, the type of the parameters and of the optimizer's moments. All values that cross
///   this interface (log-probs, entropies, their gradients, hidden states) are float in both cases.
/// - `hidden_size()`: d, the length of a terminal hidden state.
/// - `generate(prompts, sampling, key)`: draws G responses per prompt, with log-probs, entropies (nats) and terminal
///   hidden states (B x d). If a data row occurs twice, the responses of each occurrence have their own draws
///   (token_stream).
/// - `forward(rollouts, range, log_probs, entropies)`: computes log-probs, and entropies if that span is not empty, of
///   every response token of the groups in range, in packed order, at rollouts.temperature. It keeps what backward
///   needs.
/// - `backward(d_log_probs, d_entropies)`: adds the gradient of sum(d_log_probs * log_probs) + sum(d_entropies *
///   entropies) of the last forward pass to the gradients of the parameters. d_entropies may be empty. It is called
///   once per forward pass.
/// - `log_probs(rollouts, range, out)`: computes the log-probs of forward without keeping anything; const.
/// - `zero_gradients()`: sets the gradients of the parameters to zero.
/// - `visit(f)`: calls f(ParameterView<scalar_type>) for each parameter, always in the same order.
/// - optional `check_prompts(prompts, sampling)`: const; throws for a prompt that generate would refuse, so that a run
///   is refused before its first step.
/// - optional `without_adapters()`: const; gives the policy before any training, for the KL reference.
/// - optional `save(folder)`: const; writes the trained model. Run calls it at the end.
/// - optional `visit_figures(f)`: const; calls f(name, value) for what the policy counts itself, such as a server's
/// failures;
///   they go to the metrics.
///
/// An optional member in another form is refused by the compiler.
/// Copying a policy copies its parameters; workspaces and gradients need not be copied. If a type is not a policy,
/// Trainer gives one error that names what is missing (trainer/requirements.hpp).
template <class P>
concept Policy = std::copy_constructible<P> && Trainable<P> && detail::HasHiddenSize<P> && detail::Generates<P> &&
    detail::RunsForward<P> && detail::RunsBackward<P> && detail::GivesLogProbs<P> && detail::ZeroesGradients<P> &&
    detail::optional_policy_members_fit<P>;

}  // namespace maestro
