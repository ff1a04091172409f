#pragma once

/// @file
/// The interface between the trainer and a Conductor, which chooses the weights of the rewards for each response.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "maestro/core/refusal.hpp"
#include "maestro/core/state.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"

namespace maestro {

/// StepView holds what a Conductor reads to decide.
struct StepView {
  MatrixView<const float> hidden;             ///< (B x d) terminal hidden states
  MatrixView<const float> rewards;            ///< (B x K), NaN if a reward does not apply
  const Groups& groups;                       ///< partition of the B rows
  std::span<const std::int64_t> rows;         ///< (N) data row of each group's prompt: keys the draws
  std::uint64_t seed = 0;                     ///< of the run
  std::uint32_t step = 0;                     ///< trainer step
  std::span<const std::string_view> tasks{};  ///< (N) task of each group's prompt; may be empty
  MatrixView<const float> prompt_hidden{};    ///< (N x d) hidden states at the ends of the prompts; may be empty
};

/// Feedback holds what a Conductor learns from.
struct Feedback {
  const Decision& decision;
  MatrixView<const float> hidden;  ///< (B x d), as decided on: the same values, unchanged since
  const Groups& groups;
  std::span<const float> advantages;        ///< (B) meta-reward of the action taken
  MatrixView<const float> counterfactuals;  ///< (B x K) meta-reward of every action; empty unless asked for
  std::uint32_t step = 0;
  MatrixView<const float> rewards{};            ///< (B x K) as decided on, NaN if a reward does not apply
  std::uint64_t seed = 0;                       ///< of the run
  std::span<const std::string_view> tasks{};    ///< (N) task of each group's prompt; may be empty
  std::span<const float> judged{};              ///< (B) an outside judge's score, NaN if it was not asked; may be empty
  MatrixView<const float> demonstrated{};       ///< (N x K) rewards of a response from outside the policy, NaN without
                                                ///< one; may be empty
  MatrixView<const float> prompt_hidden{};      ///< (N x d) hidden states at the ends of the prompts; may be empty
  MatrixView<const double> reward_gradients{};  ///< (K x K) <g_k, g_l> of the gradients of each reward alone; empty
                                                ///< unless asked for
};

/// ConductorReport holds the figures of a Conductor's update, which are logged under conductor/.
struct ConductorReport {
  std::size_t samples = 0;  ///< buffer entries used
  std::size_t dropped = 0;  ///< entries dropped as too old
  double loss = 0.0;        ///< minus the surrogate, minus the entropy bonus
  double surrogate = 0.0;
  double entropy = 0.0;        ///< mean entropy of p(.|h), nats
  double temperature = 1.0;    ///< tau
  double gradient_norm = 0.0;  ///< global, before clipping
};

namespace detail {

// Optional members: what the trainer can call, and whether there is a member of that name in any form.

template <class C>
concept Observes = requires(C& conductor, const Feedback& feedback) {
  conductor.observe(feedback);
};
template <class C>
concept NamesObserve = requires {
  &C::observe;
};

template <class C>
concept Updates = requires(C& conductor) {
  { conductor.update() } -> std::same_as<std::optional<ConductorReport>>;
};
template <class C>
concept NamesUpdate = requires {
  &C::update;
};

template <class C>
concept GivesWeights = requires(const C& conductor, MatrixView<const float> hidden, MatrixView<float> out) {
  conductor.weights(hidden, out);
};
template <class C>
concept NamesWeights = requires {
  &C::weights;
};

template <class C>
concept AnswersCounterfactuals = requires(const C& conductor) {
  { conductor.wants_counterfactuals() } -> std::convertible_to<bool>;
};
template <class C>
concept NamesCounterfactuals = requires {
  &C::wants_counterfactuals;
};

template <class C>
concept AnswersGradients = requires(const C& conductor) {
  { conductor.wants_reward_gradients() } -> std::convertible_to<bool>;
};
template <class C>
concept NamesGradients = requires {
  &C::wants_reward_gradients;
};

template <class C>
concept GivesUncertainty = requires(const C& conductor, const StepView& view, std::span<double> out) {
  conductor.uncertainty(view, out);
};
template <class C>
concept NamesUncertainty = requires {
  &C::uncertainty;
};

/// A data member of every object, with whose value the compiler cannot compare K.
template <class C>
concept KeepsActions = requires {
  requires std::is_member_object_pointer_v<decltype(&C::actions)>;
};
template <class C>
concept CountsActions = !KeepsActions<C> && requires {
  typename std::integral_constant<std::size_t, C::actions>;
};
template <class C>
concept NamesActions = requires(C& conductor) {
  requires std::integral<std::remove_cvref_t<decltype(conductor.actions)>>;
};

template <class C>
concept TellsActions = requires(const C& conductor) {
  { conductor.num_actions() } -> std::convertible_to<std::size_t>;
};
template <class C>
concept NamesNumActions = requires {
  requires std::is_member_function_pointer_v<decltype(&C::num_actions)>;
};

/// Every optional member that is there can be called.
template <class C>
inline constexpr bool optional_conductor_members_fit =
    absent_or_fit(NamesActions<C>, CountsActions<C>) && absent_or_fit(NamesNumActions<C>, TellsActions<C>) &&
    absent_or_fit(NamesObserve<C>, Observes<C>) && absent_or_fit(NamesUpdate<C>, Updates<C>) &&
    absent_or_fit(NamesWeights<C>, GivesWeights<C>) &&
    absent_or_fit(NamesCounterfactuals<C>, AnswersCounterfactuals<C>) &&
    absent_or_fit(NamesGradients<C>, AnswersGradients<C>) && absent_or_fit(NamesUncertainty<C>, GivesUncertainty<C>);

template <class C>
concept Decides = requires(C& conductor, const StepView& view) {
  { conductor.decide(view) } -> std::same_as<Decision>;
};

/// Says that there is nothing for a checkpoint to hold.
template <class C>
concept DeclaredStateless = requires {
  requires C::stateless;
};
template <class C>
concept SaysItsState = Stateful<C> || DeclaredStateless<C>;

}  // namespace detail

/// A Conductor chooses, for every response, the weights of the K rewards.
///
/// - `decide(view)`: weights for every response, and, if it draws, actions and propensities.
/// - `visit_state(v)` for checkpoints (core/state.hpp), or `static constexpr bool stateless = true` if nothing
///   that it keeps changes what it decides later.
/// - optional `static constexpr std::size_t actions`: K, so that another number of rewards is refused by the compiler;
///   or `num_actions()`: const; K if it is known only at run time.
/// - optional `observe(feedback)`: keeps what the next update needs.
/// - optional `update()`: called after every step; nullopt when nothing was due (period M not over, or nothing to
///   learn).
/// - optional `weights(hidden, out)`: const; deterministic weights (B x K) for use without exploration.
/// - optional `wants_counterfactuals()`: const; the trainer then fills Feedback::counterfactuals.
/// - optional `wants_reward_gradients()`: const; the trainer then fills Feedback::reward_gradients, at the cost of one
///   more pass over the batch for each reward.
/// - optional `uncertainty(view, out)`: const; overwrites out (N) with how little it knows of each group, by which an
///   anchor may choose the groups that an outside judge scores.
///
/// An optional member in another form is refused by the compiler. For a type that is no Conductor, Trainer gives one
/// error that names the missing member (trainer/requirements.hpp).
template <class C>
concept Conductor = std::move_constructible<C> && detail::Decides<C> && detail::SaysItsState<C> &&
    detail::optional_conductor_members_fit<C>;

/// Tells whether the trainer must compute the advantages of the actions not taken.
template <Conductor C>
bool wants_counterfactuals(const C& conductor) {
  if constexpr (detail::AnswersCounterfactuals<C>) {
    return conductor.wants_counterfactuals();
  } else {
    return false;
  }
}

/// Tells whether the trainer must compute the gradients of each reward alone.
template <Conductor C>
bool wants_reward_gradients(const C& conductor) {
  if constexpr (detail::AnswersGradients<C>) {
    return conductor.wants_reward_gradients();
  } else {
    return false;
  }
}

}  // namespace maestro
