#pragma once

/// @file
/// The requirements of a Trainer on its parts together, and the one compile error that names what a part lacks.

#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "maestro/conductor/conductor.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/core/refusal.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/requirements.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/trainer/options.hpp"

namespace maestro {

namespace detail {

/// A data member of every object, with whose value the compiler cannot compare K.
template <class R>
concept KeepsSize = requires {
  requires std::is_member_object_pointer_v<decltype(&R::size)>;
};
template <class R>
concept CountsRewards = !KeepsSize<R> && requires {
  typename std::integral_constant<std::size_t, R::size>;
};

}  // namespace detail

/// Rewards is the interface of a set of rewards for Trainer; RewardSet and AnyRewardSet have it. K is the constant
/// `size`, or `size() const` if it is known only at run time. `names()` gives K names. `evaluate(rollouts, out)`
/// overwrites out (B x K), with NaN if a reward does not apply.
template <class R>
concept Rewards = std::move_constructible<R> &&
    requires(R& rewards, const R& fixed, const Rollouts& rollouts, MatrixView<float> out) {
  requires detail::CountsRewards<R> || requires {
    { fixed.size() } -> std::convertible_to<std::size_t>;
  };
  rewards.evaluate(rollouts, out);
  { fixed.names()[std::size_t{}] } -> std::convertible_to<std::string_view>;
};

namespace detail {

/// SameCount compares K with the Conductor's number of actions if both are known at compile time. Otherwise the
/// Trainer's constructor compares them. If a Conductor has no number of actions, its decisions are checked.
template <class R, class C>
concept SameCount = !CountsActions<C> || !CountsRewards<R> || std::size_t{R::size} == std::size_t{C::actions};

/// TrainerParts tells whether the parts fit a Trainer and each other.
template <class P, class R, class C, class S, class Comm>
concept TrainerParts =
    Policy<P> && Rewards<R> && Conductor<C> && Communicator<Comm> && Scalarization<S> && SameCount<R, C>;

/// NoOptions holds for what stands in the place of the options and is none.
template <class S>
concept NoOptions = !std::is_convertible_v<S, TrainerOptions>;

template <class Comm, class P, class R, class C, class S>
concept UnfitFor = !TrainerParts<P, R, C, ScalarizationFor<S>, Comm>;

/// RefusedPart takes the place of every part of a refused trainer, so that no other error follows. Its members are not
/// defined, since such a program does not compile.
struct RefusedPart {
  using scalar_type = float;
  static constexpr std::size_t size = 1;
  static constexpr std::size_t actions = 1;
  static constexpr bool stateless = true;

  template <class T>
  RefusedPart(const T&);
  std::size_t hidden_size() const;
  Rollouts generate(std::span<const Prompt>, const Sampling&, const DrawKey&);
  void forward(const Rollouts&, GroupRange, std::span<float>, std::span<float>);
  void backward(std::span<const float>, std::span<const float>);
  void log_probs(const Rollouts&, GroupRange, std::span<float>) const;
  void zero_gradients();
  template <class F>
  void visit(F&&) {}
  void evaluate(const Rollouts&, MatrixView<float>) const;
  std::span<const std::string_view> names() const;
  Decision decide(const StepView&);
  void weights(MatrixView<const float>, MatrixView<float>) const;
  template <class Comm>
  void operator()(const ScalarizationInput&, const ScalarizationOutput&, Comm&) const {}
};

/// Gives one error for the first thing that P lacks of a Policy.
template <class P>
constexpr void refuse_policy() {
  if constexpr (!requires { typename P::scalar_type; }) {
    static_assert(refused<P>,
                  "maestro: a policy needs a scalar_type, that of its parameters: using scalar_type = float;");
  } else if constexpr (!ParameterScalar<typename P::scalar_type>) {
    static_assert(refused<P>, "maestro: a policy's scalar_type is float or double");
  } else if constexpr (!std::copy_constructible<P>) {
    static_assert(refused<P>, "maestro: a policy must be copyable, since the KL reference is a copy of it");
  } else if constexpr (!HasHiddenSize<P>) {
    static_assert(refused<P>, "maestro: a policy needs std::size_t hidden_size() const, d of its hidden states");
  } else if constexpr (!Generates<P>) {
    static_assert(refused<P>,
                  "maestro: a policy needs maestro::Rollouts generate(std::span<const maestro::Prompt>, "
                  "const maestro::Sampling&, const maestro::DrawKey&)");
  } else if constexpr (!RunsForward<P>) {
    static_assert(refused<P>,
                  "maestro: a policy needs void forward(const maestro::Rollouts&, maestro::GroupRange, "
                  "std::span<float> log_probs, std::span<float> entropies)");
  } else if constexpr (!RunsBackward<P>) {
    static_assert(refused<P>,
                  "maestro: a policy needs void backward(std::span<const float> d_log_probs, "
                  "std::span<const float> d_entropies)");
  } else if constexpr (!GivesLogProbs<P>) {
    static_assert(refused<P>,
                  "maestro: a policy needs void log_probs(const maestro::Rollouts&, maestro::GroupRange, "
                  "std::span<float> out) const");
  } else if constexpr (!ZeroesGradients<P>) {
    static_assert(refused<P>, "maestro: a policy needs void zero_gradients()");
  } else if constexpr (!absent_or_fit(NamesCheckPrompts<P>, ChecksPrompts<P>)) {
    static_assert(refused<P>,
                  "maestro: a policy's check_prompts, if there is one, is void check_prompts("
                  "std::span<const maestro::Prompt>, const maestro::Sampling&) const");
  } else if constexpr (!absent_or_fit(NamesWithoutAdapters<P>, GivesBase<P>)) {
    static_assert(refused<P>,
                  "maestro: a policy's without_adapters, if there is one, is const and returns a policy "
                  "of the same type");
  } else if constexpr (!absent_or_fit(NamesSave<P>, Saves<P>)) {
    static_assert(refused<P>,
                  "maestro: a policy's save, if there is one, is void save(const std::string& folder) const");
  } else if constexpr (!absent_or_fit(NamesFigures<P>, VisitsFigures<P>)) {
    static_assert(refused<P>,
                  "maestro: a policy's visit_figures, if there is one, is template <class F> void visit_figures(F&& f) "
                  "const, which calls f(std::string_view name, double value)");
  } else {
    static_assert(refused<P>,
                  "maestro: a policy needs template <class F> void visit(F&& f), which calls "
                  "f(maestro::ParameterView<scalar_type>) for every parameter");
  }
}

/// Gives one error for what R lacks of Rewards.
template <class R>
constexpr void refuse_rewards() {
  static_assert(refused<R>,
                "maestro: a trainer takes a set of rewards: maestro::RewardSet rewards{First{}, Second{}}; "
                "a type of your own needs size (K), names() const and evaluate(rollouts, out)");
}

/// Gives one error for the first thing that C lacks of a Conductor.
template <class C>
constexpr void refuse_conductor() {
  if constexpr (!Decides<C>) {
    static_assert(refused<C>, "maestro: a Conductor needs maestro::Decision decide(const maestro::StepView& view)");
  } else if constexpr (!SaysItsState<C>) {
    static_assert(refused<C>,
                  "maestro: a Conductor says what a checkpoint holds by template <class V> void "
                  "visit_state(V& v), or that there is nothing by static constexpr bool stateless = true;");
  } else if constexpr (!absent_or_fit(NamesActions<C>, CountsActions<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's actions, if there is one, is a constant: static constexpr std::size_t "
                  "actions = 3; if K is known only at run time, write std::size_t num_actions() const");
  } else if constexpr (!absent_or_fit(NamesNumActions<C>, TellsActions<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's num_actions, if there is one, is std::size_t num_actions() const");
  } else if constexpr (!absent_or_fit(NamesObserve<C>, Observes<C>)) {
    static_assert(refused<C>, "maestro: a Conductor's observe, if there is one, takes const maestro::Feedback&");
  } else if constexpr (!absent_or_fit(NamesUpdate<C>, Updates<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's update, if there is one, takes nothing and returns "
                  "std::optional<maestro::ConductorReport>");
  } else if constexpr (!absent_or_fit(NamesWeights<C>, GivesWeights<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's weights, if there is one, is void weights("
                  "maestro::MatrixView<const float> hidden, maestro::MatrixView<float> out) const");
  } else if constexpr (!absent_or_fit(NamesCounterfactuals<C>, AnswersCounterfactuals<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's wants_counterfactuals, if there is one, is const and returns "
                  "bool");
  } else if constexpr (!absent_or_fit(NamesGradients<C>, AnswersGradients<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's wants_reward_gradients, if there is one, is const and returns bool");
  } else if constexpr (!absent_or_fit(NamesUncertainty<C>, GivesUncertainty<C>)) {
    static_assert(refused<C>,
                  "maestro: a Conductor's uncertainty, if there is one, is void uncertainty("
                  "const maestro::StepView& view, std::span<double> out) const");
  } else {
    static_assert(refused<C>, "maestro: a Conductor must be movable, since a trainer holds it by value");
  }
}

/// Has a call operator, in whatever form.
template <class S>
concept CallableAsScalarization = requires {
  &S::operator();
}
|| requires(S& s, const ScalarizationInput& in, const ScalarizationOutput& out, SingleProcess& alone) {
  s(in, out, alone);
};

/// Gives one error for the first thing that S lacks of a Scalarization.
template <class S, class Comm>
constexpr void refuse_scalarization() {
  if constexpr (requires(S & s, const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) {
                  { s(in, out, comm) } -> std::same_as<void>;
                }) {
    static_assert(refused<S>, "maestro: a scalarization must be movable and its call operator const");
  } else if constexpr (requires(S & s, const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) {
                         s(in, out, comm);
                       }) {
    static_assert(refused<S>,
                  "maestro: a scalarization returns void: it writes out.advantages and "
                  "out.scalar_rewards");
  } else {
    static_assert(refused<S>,
                  "maestro: a scalarization needs template <class Comm> void operator()(const "
                  "maestro::ScalarizationInput&, const maestro::ScalarizationOutput&, Comm&) const");
  }
}

/// Gives one error for what Comm lacks of a Communicator.
template <class Comm>
constexpr void refuse_communicator() {
  static_assert(refused<Comm>,
                "maestro: a communicator must be movable and needs rank(), size(), barrier(), "
                "all_reduce_sum(std::span<double>), all_reduce_sum(std::span<float>) and "
                "maestro::RankBytes all_gather(std::span<const std::byte>)");
}

/// Gives one error for a number of actions that differs from the number of rewards.
template <std::size_t Rewards, std::size_t Actions>
constexpr void refuse_count() {
  static_assert(Rewards == Actions,
                "maestro: the Conductor chooses among another number of rewards than there are; "
                "write for instance maestro::LinearConductor<rewards.size>");
}

/// Gives one error for a trainer without a Conductor, and the type RefusedPart.
template <class P>
constexpr auto refuse_missing_conductor() {
  static_assert(
      refused<P>,
      "maestro: a trainer needs a Conductor too: maestro::Trainer trainer{policy, rewards, conductor, options}; "
      "fixed equal weights are maestro::EqualWeights<rewards.size>{}");
  return std::type_identity<RefusedPart>{};
}

/// Gives one error for a trainer with a scalarization and without options, and the type RefusedPart.
template <class S>
constexpr auto refuse_missing_options() {
  static_assert(!NoOptions<S>,
                "maestro: options follow a scalarization: maestro::Trainer trainer{policy, rewards, conductor, "
                "scalarization, maestro::TrainerOptions{}}");
  return std::type_identity<RefusedPart>{};
}

/// Gives one error for parts in another order.
template <class P>
constexpr void refuse_order() {
  static_assert(refused<P>,
                "maestro: the parts of a trainer are in another order: "
                "maestro::Trainer trainer{policy, rewards, conductor, options}, or {policy, rewards, conductor, "
                "scalarization, options}");
}

/// Gives one error for the first part that does not fit, and the type RefusedPart.
template <class P, class R, class C, class S, class Comm>
constexpr auto refuse_parts() {
  constexpr bool other_order = (!Policy<P> && (Policy<R> || Policy<C> || (Rewards<P> && !Rewards<R>))) ||
                               (Policy<P> && !Rewards<R> && Rewards<C>);
  if constexpr (std::is_same_v<C, TrainerOptions>) {
    refuse_missing_conductor<P>();
  } else if constexpr (other_order) {
    refuse_order<P>();
  } else if constexpr (!Policy<P>) {
    refuse_policy<P>();
  } else if constexpr (!Rewards<R>) {
    refuse_rewards<R>();
  } else if constexpr (!Conductor<C>) {
    refuse_conductor<C>();
  } else if constexpr (!Communicator<Comm>) {
    refuse_communicator<Comm>();
  } else if constexpr (!Scalarization<ScalarizationFor<S>> && MeantAsEstimator<S> && !CallableAsScalarization<S>) {
    refuse_estimator<S>();
  } else if constexpr (!Scalarization<ScalarizationFor<S>>) {
    refuse_scalarization<S, SingleProcess>();
  } else if constexpr (!SameCount<R, C>) {
    refuse_count<std::size_t{R::size}, std::size_t{C::actions}>();
  }
  return std::type_identity<RefusedPart>{};
}

}  // namespace detail

}  // namespace maestro
