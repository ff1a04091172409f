#pragma once

#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include "maestro/core/random.hpp"
#include "maestro/scalarization/any_scalarization.hpp"

namespace test {

inline const float missing = std::numeric_limits<float>::quiet_NaN();

inline maestro::Matrix<float> matrix(std::initializer_list<std::initializer_list<float>> rows) {
  maestro::Matrix<float> result(rows.size(), rows.size() ? rows.begin()->size() : 0);
  std::size_t i = 0;
  for (const auto& row : rows) {
    std::size_t k = 0;
    for (const float value : row) result(i, k++) = value;
    ++i;
  }
  return result;
}

/// The same weights for every row, no action.
inline maestro::Decision shared_weights(std::size_t rows, const std::vector<float>& weights) {
  maestro::Decision decision;
  decision.weights.resize(rows, weights.size());
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t k = 0; k < weights.size(); ++k) decision.weights(i, k) = weights[k];
  }
  decision.base = decision.weights;
  return decision;
}

/// Sets row i to the weights under `action`.
inline void take(maestro::Decision& decision, std::size_t i, std::size_t action) {
  decision.actions[i] = static_cast<std::int32_t>(action);
  for (std::size_t k = 0; k < decision.weights.cols(); ++k) {
    decision.weights(i, k) = decision.base(i, k) + (k == action ? decision.emphasis : 0.0f);
  }
}

/// weights = base + emphasis e_a.
inline maestro::Decision acted(const std::vector<std::size_t>& actions, maestro::Matrix<float> base, float emphasis) {
  maestro::Decision decision;
  decision.base = std::move(base);
  decision.emphasis = emphasis;
  decision.actions.resize(actions.size());
  decision.weights.resize(decision.base.rows(), decision.base.cols());
  for (std::size_t i = 0; i < actions.size(); ++i) take(decision, i, actions[i]);
  return decision;
}

struct Result {
  std::vector<float> advantages;
  std::vector<float> scalars;
  maestro::Matrix<float> counterfactuals;
};

enum class Want { advantages, counterfactuals };

template <class S, class Comm>
Result run(const S& scalarization, const maestro::Matrix<float>& rewards, const maestro::Decision& decision,
           const maestro::Groups& groups, Comm& comm, Want want = Want::advantages,
           const std::vector<float>& penalty = {}) {
  Result result;
  result.advantages.assign(rewards.rows(), -99.0f);
  result.scalars.assign(rewards.rows(), -99.0f);
  if (want == Want::counterfactuals) result.counterfactuals.assign(rewards.rows(), rewards.cols(), -99.0f);
  scalarization(maestro::ScalarizationInput{rewards.view(), decision, groups, penalty},
                maestro::ScalarizationOutput{result.advantages, result.scalars, result.counterfactuals.view()}, comm);
  return result;
}

template <class S>
Result run(const S& scalarization, const maestro::Matrix<float>& rewards, const maestro::Decision& decision,
           const maestro::Groups& groups, Want want = Want::advantages, const std::vector<float>& penalty = {}) {
  maestro::SingleProcess comm;
  return run(scalarization, rewards, decision, groups, comm, want, penalty);
}

/// Random rewards, actions and bases over groups of 5, 1, 0, 7, 2 and 8 rows; some rewards missing, row 9 all missing,
/// the last group constant.
struct Scene {
  explicit Scene(std::size_t count, std::uint64_t seed = 1) {
    const std::vector<std::size_t> sizes{5, 1, 0, 7, 2, 8};
    groups = maestro::Groups::from_sizes(sizes);
    const maestro::RandomStream stream({.seed = seed});
    std::uint32_t position = 0;
    const std::size_t rows = groups.rows();
    rewards.resize(rows, count);
    maestro::Matrix<float> base(rows, count);
    std::vector<std::size_t> actions;
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t k = 0; k < count; ++k) {
        rewards(i, k) = static_cast<float>(stream.normal(position++));
        if (count > 1 && stream.uniform(position++) < 0.15) rewards(i, k) = missing;
        if (i == 9) rewards(i, k) = missing;
        if (i >= groups.begin(5)) rewards(i, k) = 0.3f;
        base(i, k) = static_cast<float>(0.2 * stream.uniform(position++));
      }
      actions.push_back(static_cast<std::size_t>(stream.below(count, position++)));
      penalty.push_back(static_cast<float>(0.1 * stream.uniform(position++)));
    }
    decision = acted(actions, std::move(base), 0.7f);
  }

  maestro::Groups groups;
  maestro::Matrix<float> rewards;
  maestro::Decision decision;
  std::vector<float> penalty;
};

}  // namespace test
