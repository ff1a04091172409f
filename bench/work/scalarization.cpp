// Rewards and weights of many responses to advantages.
#include <memory>
#include <string>
#include <vector>

#include "bench/common/inputs.hpp"
#include "bench/work/work.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/scalarization/estimators/own_weight_baseline.hpp"

namespace maestro::bench {

namespace {

constexpr std::size_t num_rewards = 5;

/// Rewards in [0, 1); weights that blend 1/K with the action drawn, half and half.
struct State {
  explicit State(const WorkOptions& o)
      : variant(o.variant), groups(Groups::uniform(o.rows / o.generations, o.generations)) {
    const std::size_t rows = groups.rows();
    rewards.resize(rows, num_rewards);
    decision.actions.resize(rows);
    decision.base.assign(rows, num_rewards, 0.5f / num_rewards);
    decision.emphasis = 0.5f;
    decision.weights = decision.base;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < num_rewards; ++k) rewards(i, k) = fixed_value(i * num_rewards + k);
      const std::uint64_t action = scramble(5000000029 + i) % num_rewards;
      decision.actions[i] = static_cast<std::int32_t>(action);
      decision.weights(i, action) += decision.emphasis;
    }
    advantages.resize(rows);
    scalar_rewards.resize(rows);
    if (variant == "counterfactual") counterfactuals.resize(rows, num_rewards);
  }

  void run() {
    const ScalarizationInput in{rewards, decision, groups};
    const ScalarizationOutput out{advantages, scalar_rewards, counterfactuals};
    if (variant == "own_weight") return Advantages{OwnWeightBaseline{}}(in, out, communicator);
    Advantages{GroupRelative{}}(in, out, communicator);
  }

  /// Inputs and outputs once.
  double gbytes() const {
    const std::size_t bases = counterfactuals.flat().size();  // counterfactuals read the base, as large as they are
    const std::size_t floats = 2 * rewards.flat().size() + 2 * advantages.size() + 2 * bases;
    return static_cast<double>(floats * sizeof(float)) * 1e-9;
  }

  /// Figures that tell whether both sides computed the same.
  OrderedJson checks() const {
    double advantage = 0.0;
    double counterfactual = 0.0;
    for (std::size_t i = 0; i < advantages.size(); ++i) {
      const auto square = [](float value) { return static_cast<double>(value) * static_cast<double>(value); };
      const auto factor = static_cast<double>(i % 7 + 1);
      advantage += factor * square(advantages[i]);
      if (!counterfactuals.empty()) counterfactual += factor * square(counterfactuals(i, i % num_rewards));
    }
    const auto rows = static_cast<double>(advantages.size());
    return {{"advantage", advantage / rows}, {"counterfactual", counterfactual / rows}};
  }

  std::string variant;
  Groups groups;
  SingleProcess communicator{};
  Matrix<float> rewards{};
  Decision decision{};
  std::vector<float> advantages{};
  std::vector<float> scalar_rewards{};
  Matrix<float> counterfactuals{};
};

}  // namespace

Work scalarization(const WorkOptions& options) {
  if (options.variant != "group_relative" && options.variant != "counterfactual" && options.variant != "own_weight") {
    throw BadArgument("scalarization: --variant is group_relative, counterfactual or own_weight, got '" +
                      options.variant + "'");
  }
  const auto state = std::make_shared<State>(options);
  state->run();
  return {.info = {{"checks", state->checks()}}, .repetition = [state] {
            state->run();
            return OrderedJson{{"tokens", state->advantages.size()}, {"gbytes", state->gbytes()}};
          }};
}

}  // namespace maestro::bench
