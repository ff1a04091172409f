#pragma once

// The least of each concept: types with the members that it asks for and no others, not copied or assigned where it
// does not ask for that, whose functions take the very types that it names. Each can be had without one of its members.

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/networks/network.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/reward/reward.hpp"
#include "maestro/reward/scorer.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/trainer/requirements.hpp"

namespace archetype {

using namespace maestro;

/// The members that a type may do without.
enum class Without {
  nothing,
  scalar_type,
  copy,
  move,
  hidden_size,
  generate,
  forward,
  backward,
  log_probs,
  zero_gradients,
  visit,
  name,
  call,
  decide,
  state,
  rank,
  size,
  sum_of_doubles,
  sum_of_floats,
  gather,
  barrier,
  evaluate,
  names,
  actions,
  cache,
  default_constructor,
  initialize,
  input_size,
};

/// Can be moved and nothing else.
struct MoveOnly {
  MoveOnly() = default;
  MoveOnly(MoveOnly&&) = default;
  MoveOnly& operator=(MoveOnly&&) = delete;
};
/// Can be copied, and not assigned.
struct CopyOnly {
  CopyOnly() = default;
  CopyOnly(const CopyOnly&) = default;
  CopyOnly& operator=(const CopyOnly&) = delete;
};
/// Stays where it was made.
struct Fixed {
  Fixed() = default;
  Fixed(const Fixed&) = delete;
};

template <bool present, class T>
struct ScalarType {
  using scalar_type = T;
};
template <class T>
struct ScalarType<false, T> {};

/// Responses of one token, 0 or 1, the latter with probability 1 / (1 + exp(-logit)). Odd responses draw 1.
template <class T = float, Without without = Without::nothing>
class Policy : public ScalarType<without != Without::scalar_type, T> {
 public:
  explicit Policy(T logit) : logit_(logit) {}

  std::size_t hidden_size() const requires(without != Without::hidden_size) { return 2; }
  Rollouts generate(std::same_as<std::span<const Prompt>> auto prompts, const std::same_as<Sampling> auto& sampling,
                    const std::same_as<DrawKey> auto&) requires(without != Without::generate) {
    Rollouts rollouts;
    rollouts.prompts.assign(prompts.begin(), prompts.end());
    rollouts.groups = Groups::uniform(prompts.size(), sampling.num_generations);
    const std::size_t responses = rollouts.groups.rows();
    const std::int32_t start = 0;
    for (std::size_t n = 0; n < prompts.size(); ++n) rollouts.prompt_tokens.push_row({&start, 1});
    for (std::size_t i = 0; i < responses; ++i) {
      const std::int32_t token = i % 2 == 0 ? 0 : 1;
      rollouts.tokens.push_row({&token, 1});
      rollouts.log_probs.push_back(log_prob(token));
      rollouts.entropies.push_back(entropy());
      rollouts.texts.push_back(token == 0 ? "<think>no</think><answer>no</answer>"
                                          : "<think>yes</think><answer>yes</answer>");
    }
    rollouts.finish.assign(responses, Finish::stop);
    rollouts.hidden.assign(responses, 2, 0.5f);
    return rollouts;
  }
  void forward(const Rollouts& rollouts, std::same_as<GroupRange> auto range,
               std::same_as<std::span<float>> auto log_probs,
               std::same_as<std::span<float>> auto entropies) requires(without != Without::forward) {
    fill(rollouts, range, log_probs);
    for (float& value : entropies) value = entropy();
    kept_.clear();
    for (std::size_t t = 0; t < log_probs.size(); ++t) kept_.push_back(token(rollouts, range, t));
  }
  void backward(std::same_as<std::span<const float>> auto d_log_probs,
                std::same_as<std::span<const float>> auto d_entropies) requires(without != Without::backward) {
    const T p = T(1) / (T(1) + std::exp(-logit_));
    for (std::size_t t = 0; t < d_log_probs.size(); ++t) {
      gradient_ += static_cast<T>(d_log_probs[t]) * (static_cast<T>(kept_[t]) - p);
    }
    for (const float d : d_entropies) gradient_ -= static_cast<T>(d) * logit_ * p * (T(1) - p);
  }
  void log_probs(const Rollouts& rollouts, std::same_as<GroupRange> auto range,
                 std::same_as<std::span<float>> auto out) const requires(without != Without::log_probs) {
    fill(rollouts, range, out);
  }
  void zero_gradients() requires(without != Without::zero_gradients) { gradient_ = 0; }
  template <class F>
  void visit(F&& f) requires(without != Without::visit) {
    f(ParameterView<T>{"logit", {&logit_, 1}, {&gradient_, 1}});
  }

  T logit() const { return logit_; }

 private:
  float log_prob(std::int32_t token) const {
    return static_cast<float>(-std::log1p(std::exp(token == 1 ? -logit_ : logit_)));
  }
  float entropy() const {
    const float p = std::exp(log_prob(1));
    return -p * log_prob(1) - (1 - p) * log_prob(0);
  }
  static std::int32_t token(const Rollouts& rollouts, GroupRange range, std::size_t t) {
    return rollouts.tokens.row(rollouts.groups.begin(range.first) + t)[0];
  }
  void fill(const Rollouts& rollouts, GroupRange range, std::span<float> out) const {
    for (std::size_t t = 0; t < out.size(); ++t) out[t] = log_prob(token(rollouts, range, t));
  }

  T logit_;
  T gradient_ = 0;
  std::vector<std::int32_t> kept_;
  [[no_unique_address]] std::conditional_t<without == Without::copy, MoveOnly, CopyOnly> movability_;
};

template <bool present>
struct Name {
  static constexpr std::string_view name = "least";
};
template <>
struct Name<false> {};

/// 1 for token 1.
template <Without without = Without::nothing>
struct CompletionReward : Name<without != Without::name> {
  float operator()(const std::same_as<Completion> auto& completion) const requires(without != Without::call) {
    return static_cast<float>(completion.tokens[0]);
  }
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

/// 1 for token 0.
template <Without without = Without::nothing>
struct BatchReward : Name<without != Without::name> {
  void operator()(const std::same_as<Rollouts> auto& rollouts, std::same_as<std::span<float>> auto scores) const
      requires(without != Without::call) {
    for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = 1.0f - static_cast<float>(rollouts.tokens.row(i)[0]);
  }
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

template <bool present>
struct SetSize {
  static constexpr std::size_t size = 2;
};
template <>
struct SetSize<false> {};

/// Token 1, and token 0: two rewards in one type.
template <Without without = Without::nothing>
struct Rewards : SetSize<without != Without::size> {
  std::array<std::string_view, 2> names() const requires(without != Without::names) { return {"ones", "zeros"}; }
  void evaluate(const std::same_as<Rollouts> auto& rollouts,
                std::same_as<MatrixView<float>> auto out) requires(without != Without::evaluate) {
    for (std::size_t i = 0; i < out.rows(); ++i) {
      out(i, 0) = static_cast<float>(rollouts.tokens.row(i)[0]);
      out(i, 1) = 0.25f;
    }
  }
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

template <bool present>
struct Stateless {
  static constexpr bool stateless = true;
};
template <>
struct Stateless<false> {};

/// All weight on the first reward.
template <Without without = Without::nothing>
struct Conductor : Stateless<without != Without::state> {
  Decision decide(const std::same_as<StepView> auto& view) requires(without != Without::decide) {
    Decision decision;
    decision.weights.assign(view.rewards.rows(), view.rewards.cols(), 0.0f);
    for (std::size_t i = 0; i < decision.weights.rows(); ++i) decision.weights(i, 0) = 1.0f;
    return decision;
  }
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

/// As above, with state in place of the word.
struct StatefulConductor : Conductor<Without::state> {
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("decisions", decisions);
  }
  std::uint32_t decisions = 0;
};

/// The weighted sum minus one half, for a batch of tokens 0 and 1.
template <Without without = Without::nothing>
struct Scalarization {
  template <class Comm>
  void operator()(const std::same_as<ScalarizationInput> auto& in, const std::same_as<ScalarizationOutput> auto& out,
                  Comm&) const requires(without != Without::call) {
    for (std::size_t i = 0; i < in.rewards.rows(); ++i) {
      float sum = 0.0f;
      for (std::size_t k = 0; k < in.rewards.cols(); ++k) sum += in.decision.weights(i, k) * in.rewards(i, k);
      out.scalar_rewards[i] = sum;
      out.advantages[i] = sum - 0.5f;
    }
  }
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

/// Says that it is one of two, so that every sum goes through it, and adds nothing.
template <Without without = Without::nothing>
struct Communicator {
  std::size_t rank() requires(without != Without::rank) { return 0; }
  std::size_t size() requires(without != Without::size) { return 2; }
  void all_reduce_sum(std::same_as<std::span<double>> auto) requires(without != Without::sum_of_doubles) { ++*sums; }
  void all_reduce_sum(std::same_as<std::span<float>> auto) requires(without != Without::sum_of_floats) { ++*sums; }
  RankBytes all_gather(std::span<const std::byte> own) requires(without != Without::gather) {
    return RankBytes(2, std::vector<std::byte>(own.begin(), own.end()));
  }
  void barrier() requires(without != Without::barrier) {}

  std::shared_ptr<int> sums = std::make_shared<int>(0);
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

template <bool present>
struct Cache {
  struct Type {};
};
template <>
struct Cache<false> {
  struct Type {
    explicit Type(int) {}
  };
};
template <bool present>
struct Actions {
  static constexpr std::size_t actions = 2;
};
template <>
struct Actions<false> {};

/// A bias per action: logits that do not depend on the hidden state.
template <class T = float, Without without = Without::nothing>
class Network : public ScalarType<without != Without::scalar_type, T>, public Actions<without != Without::actions> {
 public:
  using Cache = typename archetype::Cache<without != Without::cache>::Type;

  Network() requires(without != Without::default_constructor) = default;
  explicit Network(int) {}

  void initialize(std::size_t inputs, const NetworkInit&) requires(without != Without::initialize) { inputs_ = inputs; }
  std::size_t input_size() const requires(without != Without::input_size) { return inputs_; }
  void forward(std::same_as<MatrixView<const float>> auto hidden, std::same_as<MatrixView<T>> auto logits, Cache&) const
      requires(without != Without::forward) {
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      for (std::size_t k = 0; k < 2; ++k) logits(i, k) = biases_[k];
    }
  }
  void backward(std::same_as<MatrixView<const float>> auto hidden, std::same_as<MatrixView<const T>> auto gradients,
                Cache&) requires(without != Without::backward) {
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      for (std::size_t k = 0; k < 2; ++k) gradients_[k] += gradients(i, k);
    }
  }
  void zero_gradients() requires(without != Without::zero_gradients) { gradients_ = {}; }
  template <class F>
  void visit(F&& f) requires(without != Without::visit) {
    f(ParameterView<T>{"biases", biases_, gradients_, 1, 2});
  }
  template <class Visitor>
  void visit_state(Visitor& v) requires(without != Without::state) {
    v("biases", std::span<T>(biases_));
  }

 private:
  std::size_t inputs_ = 0;
  std::array<T, 2> biases_{};
  std::array<T, 2> gradients_{};
  [[no_unique_address]] std::conditional_t<without == Without::copy, MoveOnly, std::monostate> movability_;
};

/// One nat per token, whatever is asked; the length of a text.
template <Without without = Without::nothing>
struct Scorer {
  void mean_nll(const Rollouts&, std::same_as<std::span<const LikelihoodQuery>> auto,
                std::same_as<std::span<float>> auto out) const requires(without != Without::call) {
    for (float& value : out) value = 1.0f;
  }
  void score(const Rollouts& rollouts, std::same_as<std::span<float>> auto out) const
      requires(without != Without::call) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(rollouts.texts[i].size());
  }
  [[no_unique_address]] std::conditional_t<without == Without::move, Fixed, MoveOnly> movability{};
};

}  // namespace archetype
