#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <string_view>
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

/// Some length of a response, made of its rewards, so that it goes where they go.
inline std::int32_t length_of(const maestro::Matrix<float>& rewards, std::size_t i) {
  std::int32_t length = 10;
  for (const float reward : rewards.row(i)) {
    if (reward == reward && std::abs(reward) < 1e6f) length += static_cast<std::int32_t>(std::abs(reward) * 100) % 20;
  }
  return length;
}

inline std::vector<std::int32_t> lengths_of(const maestro::Matrix<float>& rewards) {
  std::vector<std::int32_t> lengths;
  for (std::size_t i = 0; i < rewards.rows(); ++i) lengths.push_back(length_of(rewards, i));
  return lengths;
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
  const std::vector<std::int32_t> lengths = lengths_of(rewards);
  scalarization(maestro::ScalarizationInput{rewards.view(), decision, groups, penalty, lengths},
                maestro::ScalarizationOutput{result.advantages, result.scalars, result.counterfactuals.view()}, comm);
  return result;
}

template <class S>
Result run(const S& scalarization, const maestro::Matrix<float>& rewards, const maestro::Decision& decision,
           const maestro::Groups& groups, const std::vector<std::int32_t>& lengths) {
  Result result;
  result.advantages.assign(rewards.rows(), -99.0f);
  result.scalars.assign(rewards.rows(), -99.0f);
  maestro::SingleProcess comm;
  scalarization(maestro::ScalarizationInput{rewards.view(), decision, groups, {}, lengths},
                maestro::ScalarizationOutput{result.advantages, result.scalars}, comm);
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

/// Which laws a scalarization keeps.
struct Keeps {
  bool own_group_only = true;    ///< a group does not notice the others
  bool shift = true;             ///< a constant added to a reward changes nothing, under shared weights
  bool sum_is_zero = false;      ///< the advantages of a group add up to 0, under any weights
  bool lone_is_zero = true;      ///< a response alone in its group gets 0
  bool leaves_out = true;        ///< a response whose rewards are all missing is as if it were not there
  bool monotone = false;         ///< a larger reward never lowers the response's advantage, under shared weights
  bool scale_is_nothing = true;  ///< rewards times a constant give the same; if not, advantages times it
};

/// @param name  of scalarization_names, what follows a '/' or ',' not counting
inline Keeps laws_of(std::string_view name) {
  name = name.substr(0, name.find_first_of("/,"));
  const auto one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  Keeps keeps;
  const bool gdpo = one_of({"gdpo", "trl_gdpo", "ms_swift_gdpo"});
  const bool group = one_of({"group", "trl", "trl_async", "openrlhf", "paper", "ms_swift", "verl"});
  const bool plain = one_of({"dr_grpo", "none", "rloo", "opo"});
  const bool centered = one_of({"batch_centered", "flash_reinforce"});
  keeps.own_group_only = !(gdpo || centered || one_of({"batch", "sa_mrpo", "dara"}));
  keeps.shift = !one_of({"max_rl", "sa_mrpo", "verl"});
  keeps.lone_is_zero = !(gdpo || centered || one_of({"sa_mrpo", "verl"}));
  keeps.leaves_out = name != "ms_swift";
  keeps.sum_is_zero = (group && keeps.lone_is_zero) || (plain && name != "opo") ||
                      one_of({"own_weight", "batch", "corr_grpo", "max_rl"});
  keeps.monotone = group || plain || centered || one_of({"batch", "leave_one_out", "nemo_rl", "pass_at_k", "mo_grpo"});
  keeps.scale_is_nothing = !(plain || centered || one_of({"pass_at_k", "corr_grpo"}));
  return keeps;
}

}  // namespace test
