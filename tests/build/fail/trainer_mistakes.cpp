// What goes wrong with a trainer's parts of one's own: each macro is one mistake, and without any of them the file
// compiles.

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/fixed.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/trainer.hpp"

using namespace maestro;

struct Constant {
  static constexpr std::string_view name = "constant";
  float operator()(const Completion&) const { return 1.0f; }
};

/// Half of each of two rewards.
struct Halves {
#if !defined(CONDUCTOR_WITHOUT_STATE)
  static constexpr bool stateless = true;
#endif
#if defined(CONDUCTOR_DECIDES_NOTHING)
#elif defined(CONDUCTOR_DECIDES_WEIGHTS)
  Matrix<float> decide(const StepView& view) { return Matrix<float>(view.groups.rows(), 2, 0.5f); }
#else
  Decision decide(const StepView& view) {
    Decision decision;
    decision.weights.assign(view.groups.rows(), 2, 0.5f);
    return decision;
  }
#endif
#if defined(CONDUCTOR_OBSERVES_DECISIONS)
  void observe(const Decision&) {}
#else
  void observe(const Feedback&) {}
#endif
#if defined(CONDUCTOR_UPDATES_TO_NOTHING)
  void update() {}
#else
  std::optional<ConductorReport> update() { return std::nullopt; }
#endif
#if defined(CONDUCTOR_WEIGHTS_NOT_CONST)
  void weights(MatrixView<const float>, MatrixView<float>) {}
#else
  void weights(MatrixView<const float>, MatrixView<float>) const {}
#endif
#if defined(CONDUCTOR_WANTS_NOT_CONST)
  bool wants_counterfactuals() { return true; }
#endif
};

/// The first reward is the advantage.
struct FirstReward {
#if defined(SCALARIZATION_WITHOUT_CALL_OPERATOR)
  void compute(const ScalarizationInput&, const ScalarizationOutput&, SingleProcess&) const {}
#elif defined(SCALARIZATION_NOT_CONST)
  void operator()(const ScalarizationInput&, const ScalarizationOutput&, SingleProcess&) {}
#elif defined(SCALARIZATION_WITHOUT_COMMUNICATOR)
  void operator()(const ScalarizationInput&, const ScalarizationOutput&) const {}
#elif defined(SCALARIZATION_RETURNS_ADVANTAGES)
  std::vector<float> operator()(const ScalarizationInput& in, const ScalarizationOutput&, SingleProcess&) const {
    return std::vector<float>(in.rewards.rows());
  }
#else
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, SingleProcess&) const {
    for (std::size_t i = 0; i < in.rewards.rows(); ++i) out.advantages[i] = out.scalar_rewards[i] = in.rewards(i, 0);
  }
#endif
};

/// One logit, whatever the prompt.
struct Coin {
#if !defined(POLICY_WITHOUT_SCALAR_TYPE)
  using scalar_type = float;
#endif
  Coin() = default;
#if defined(POLICY_NOT_COPYABLE)
  Coin(Coin&&) = default;
#endif
#if !defined(POLICY_WITHOUT_HIDDEN_SIZE)
  std::size_t hidden_size() const { return 1; }
#endif
  Rollouts generate(std::span<const Prompt>, const Sampling&, const DrawKey&) { return {}; }
  void forward(const Rollouts&, GroupRange, std::span<float>, std::span<float>) {}
#if defined(POLICY_BACKWARD_IN_DOUBLE)
  void backward(std::span<const double>, std::span<const double>) {}
#else
  void backward(std::span<const float>, std::span<const float>) {}
#endif
#if defined(POLICY_LOG_PROBS_NOT_CONST)
  void log_probs(const Rollouts&, GroupRange, std::span<float>) {}
#else
  void log_probs(const Rollouts&, GroupRange, std::span<float>) const {}
#endif
#if !defined(POLICY_WITHOUT_ZERO_GRADIENTS)
  void zero_gradients() { gradient = 0.0f; }
#endif
#if !defined(POLICY_WITHOUT_VISIT)
  template <class F>
  void visit(F&& f) {
    f(ParameterView<float>{"logit", {&logit, 1}, {&gradient, 1}});
  }
#endif

  float logit = 0.0f;
  float gradient = 0.0f;
};

/// Alone, but for what the macro takes away.
struct Alone : SingleProcess {
#if defined(COMMUNICATOR_SUMS_FLOATS_ONLY)
  static void all_reduce_sum(std::span<float>) {}
#elif defined(COMMUNICATOR_WITHOUT_GATHER)
  static RankBytes all_gather(std::span<const std::byte>) = delete;
#elif defined(COMMUNICATOR_WITHOUT_BARRIER)
  static void barrier() = delete;
#endif
};

/// An observer, but for what the macro takes away.
struct Watch {
#if defined(OBSERVER_OF_REPORTS_ALONE)
  void on_step(const StepReport&) {}
#else
  void on_step(const StepReport&, const StepTrace&) {}
#endif
#if defined(OBSERVER_BEGINS_WITHOUT_STEPS)
  void begin() {}
#endif
};

void use();
void use() {
#if defined(OTHER_COUNT)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}, Named<"third", Constant>{}};
  Trainer trainer{TabularPolicy<float>({.actions = 3}), rewards, EqualWeights<2>{}, GroupRelative{}, TrainerOptions{}};
#elif defined(REWARDS_NOT_A_SET)
  Trainer trainer{Coin{}, Constant{}, Halves{}, FirstReward{}, TrainerOptions{}, Alone{}};
#else
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer trainer{Coin{}, rewards, Halves{}, FirstReward{}, TrainerOptions{}, Alone{}};
#endif
  const std::vector<Prompt> prompts(1);
#if defined(OBSERVER_OF_REPORTS_ALONE) || defined(OBSERVER_BEGINS_WITHOUT_STEPS)
  Watch watch;
  run_loop(trainer, prompts, {}, watch);
#else
  trainer.step(prompts);
#endif
}
