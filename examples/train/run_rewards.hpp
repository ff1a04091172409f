#pragma once

/// @file
/// The rewards that the options of `train` choose, and what happens to them before they are compared.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "train/anchor_options.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// Whether --rewards names this reward.
inline bool uses(const TrainOptions& options, std::string_view reward) {
  return std::find(options.rewards.begin(), options.rewards.end(), reward) != options.rewards.end();
}

/// The rewards that --rewards chooses, in the order of reward_names; none where it says so and some come from outside.
/// @throws BadArgument listing the names there are, where --rewards has another, one twice, or none.
inline std::vector<std::string_view> chosen_rewards(const TrainOptions& options) {
  if (options.rewards == std::vector<std::string>{"none"} && options.outside.any()) return {};
  if (options.rewards.empty()) throw BadArgument("rewards: none chosen; known are " + join_names(reward_names));
  for (const std::string& name : options.rewards) {
    index_of_name("rewards", name, reward_names);
    if (std::count(options.rewards.begin(), options.rewards.end(), name) > 1) {
      throw BadArgument("rewards: '" + name + "' is chosen twice");
    }
  }
  std::vector<std::string_view> chosen;
  for (const std::string_view name : reward_names) {
    if (uses(options, name)) chosen.push_back(name);
  }
  return chosen;
}

/// The names of all rewards in the order in which weights are given: those of --rewards as they stand there, then those
/// from outside. The judge of --anchor-reward is none of them.
/// @throws as chosen_rewards, outside_names and without_judge; BadArgument for more than a Conductor can weigh.
inline std::vector<std::string> named_rewards(const TrainOptions& options) {
  std::vector<std::string> names;
  if (!chosen_rewards(options).empty()) names = options.rewards;
  for (std::string& name : outside_names(options.outside)) names.push_back(std::move(name));
  names = without_judge(options.anchor, std::move(names));
  if (names.size() > AnyConductor::max_actions) {
    throw BadArgument("a run has at most " + std::to_string(AnyConductor::max_actions) + " rewards, and " +
                      std::to_string(names.size()) + " are asked for");
  }
  return names;
}

/// The names of all rewards in the order of the run: those of --rewards in that of reward_names, then those from
/// outside.
inline std::vector<std::string> run_rewards(const TrainOptions& options) {
  static_cast<void>(named_rewards(options));  // refuses what does not fit
  std::vector<std::string> names;
  for (const std::string_view name : chosen_rewards(options)) names.emplace_back(name);
  for (std::string& name : outside_names(options.outside)) names.push_back(std::move(name));
  return without_judge(options.anchor, std::move(names));
}

/// What happens to rewards before they are compared.
/// @throws BadArgument for ideals that are neither one nor one for each reward, and for a gate that is no reward of the
/// run.
inline AdvantagesOptions advantages_options(const TrainOptions& o) {
  const ScalarizerOptions& given = o.scalarizer;
  AdvantagesOptions options{
      .normalizer = {.kind = normalizer_from_name(o.normalize)},
      .scalarizer = {
          .kind = given.kind, .rho = given.rho, .mu = given.mu, .tau = given.tau, .threshold = given.threshold}};
  const std::vector<std::string> rewards = run_rewards(o);
  const std::vector<std::string> given_order = named_rewards(o);
  if (given.ideal.size() > 1 && given.ideal.size() != rewards.size()) {
    throw BadArgument("--scalarizer-ideal has " + std::to_string(given.ideal.size()) + " values for " +
                      std::to_string(rewards.size()) +
                      " rewards; give one for all, or one for each, in the order of --weights");
  }
  for (std::size_t k = 0; k < rewards.size() && !given.ideal.empty(); ++k) {
    const auto place = std::find(given_order.begin(), given_order.end(), rewards[k]) - given_order.begin();
    options.scalarizer.ideal[k] = given.ideal[given.ideal.size() > 1 ? static_cast<std::size_t>(place) : 0];
  }
  if (given.kind == ScalarizerKind::gated) {
    options.scalarizer.gate =
        index_of_name("--scalarizer-gate", given.gate, std::vector<std::string_view>(rewards.begin(), rewards.end()));
  }
  return options;
}

}  // namespace maestro::examples
