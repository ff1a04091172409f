// What goes wrong with a trainer's parts of one's own: each macro is one mistake, and without any of them the file
// compiles.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
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
#if defined(CONDUCTOR_ACTIONS_NOT_STATIC)
  std::size_t actions = 2;
#elif defined(CONDUCTOR_NUM_ACTIONS_NOT_CONST)
  std::size_t num_actions() { return 2; }
#else
  std::size_t num_actions() const { return 2; }
#endif
#if defined(CONDUCTOR_NOT_MOVABLE)
  Halves() = default;
  Halves(const Halves&) = delete;
#endif
#if defined(CONDUCTOR_GRADIENTS_NOT_CONST)
  bool wants_reward_gradients() { return false; }
#endif
#if defined(CONDUCTOR_UNCERTAINTY_NOT_CONST)
  void uncertainty(const StepView&, std::span<double>) {}
#endif
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

/// The reward, less the group's mean.
struct LessMean {
#if !defined(ESTIMATOR_WITHOUT_NAME)
  static constexpr std::string_view name = "less_mean";
#endif
#if !defined(ESTIMATOR_WITHOUT_STATISTICS)
  template <class G>
  auto statistics(const G& group) const {
    return group.moments(TotalOf{});
  }
#endif
#if defined(ESTIMATOR_GIVES_TEXT)
  template <class R>
  std::string_view advantage(const Moments&, const R&) const {
    return "much";
  }
#elif !defined(ESTIMATOR_WITHOUT_ADVANTAGE)
  template <class R>
  double advantage(const Moments& moments, const R& row) const {
    return row.total() - moments.mean;
  }
#endif
#if defined(ESTIMATOR_HOLDS_A_LIST)
  std::vector<double> list;
#endif
};

/// The first reward is the advantage. It has a name, as an estimator has, and is none.
struct FirstReward {
  static constexpr std::string_view name = "first";
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
#if defined(POLICY_OF_INTEGERS)
  using scalar_type = int;
#elif !defined(POLICY_WITHOUT_SCALAR_TYPE)
  using scalar_type = float;
#endif
  Coin() = default;
#if defined(POLICY_NOT_COPYABLE)
  Coin(Coin&&) = default;
#endif
#if !defined(POLICY_WITHOUT_HIDDEN_SIZE)
  std::size_t hidden_size() const { return 1; }
#endif
#if defined(POLICY_GENERATES_TEXTS)
  std::vector<std::string_view> generate(std::span<const Prompt>, const Sampling&, const DrawKey&) { return {}; }
#else
  Rollouts generate(std::span<const Prompt>, const Sampling&, const DrawKey&) { return {}; }
#endif
#if defined(POLICY_FORWARD_WITHOUT_ENTROPIES)
  void forward(const Rollouts&, GroupRange, std::span<float>) {}
#else
  void forward(const Rollouts&, GroupRange, std::span<float>, std::span<float>) {}
#endif
#if defined(POLICY_CHECKS_TEXTS)
  void check_prompts(const std::vector<std::string_view>&) const {}
#endif
#if defined(POLICY_BASE_NOT_CONST)
  Coin without_adapters() { return *this; }
#endif
#if defined(POLICY_SAVE_NOT_CONST)
  void save(const std::string&) {}
#endif
#if defined(POLICY_FIGURES_WITHOUT_VALUES)
  void visit_figures(void (*)(std::string_view)) const {}
#endif
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
  void on_begin() {}
#endif
};

void use();
void use() {
#if defined(OTHER_COUNT)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}, Named<"third", Constant>{}};
  Trainer trainer{TabularPolicy<float>({.actions = 3}), rewards, EqualWeights<2>{}, GroupRelative{}, TrainerOptions{}};
#elif defined(NO_CONDUCTOR)
  RewardSet rewards{Constant{}};
  Trainer trainer{Coin{}, rewards};
#elif defined(NO_CONDUCTOR_BUT_OPTIONS)
  RewardSet rewards{Constant{}};
  Trainer trainer{Coin{}, rewards, {.seed = 1}};
#elif defined(NO_OPTIONS)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer trainer{Coin{}, rewards, Halves{}, LessMean{}};
#elif defined(CONDUCTOR_BEFORE_REWARDS)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer trainer{Coin{}, Halves{}, rewards};
#elif defined(OTHER_ORDER)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer trainer{rewards, Coin{}, Halves{}};
#elif defined(FOUR_PARTS)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer trainer{Coin{}, rewards, EqualWeights<3>{}, {.seed = 1}};
#elif defined(ADVANTAGES_OF_NO_ESTIMATOR)
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer trainer{Coin{}, rewards, Halves{}, Advantages{Constant{}}, TrainerOptions{}};
#elif defined(REWARDS_NOT_A_SET)
  Trainer trainer{Coin{}, Constant{}, Halves{}, FirstReward{}, TrainerOptions{}, Alone{}};
#else
  RewardSet rewards{Constant{}, Named<"other", Constant>{}};
  Trainer{Coin{}, rewards, Halves{}}.step(std::vector<Prompt>(1));
  Trainer{Coin{}, rewards, Halves{}, {.seed = 1}}.step(std::vector<Prompt>(1));
  Trainer{Coin{}, rewards, Halves{}, LessMean{}, TrainerOptions{}}.step(std::vector<Prompt>(1));
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
