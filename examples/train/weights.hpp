#pragma once

/// @file
/// The options of the Conductors that follow weights given on the command line.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/core/error.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// Weights given in the order of --rewards, each at its reward's place among all K; 0 for the rewards left out.
/// @throws BadArgument naming the option: a count other than that of --rewards, a value that is not finite, no weight
/// but 0.
template <std::size_t K>
std::array<float, K> weights_of(const std::string& option, const std::vector<double>& given,
                                const std::vector<std::string>& rewards, const std::array<std::string_view, K>& names) {
  if (given.size() != rewards.size()) {
    std::string list;
    for (const std::string& name : rewards) list += (list.empty() ? "" : ",") + name;
    throw BadArgument(option + " has " + std::to_string(given.size()) + " weights for " +
                      std::to_string(rewards.size()) + " rewards; give one for each of " + list + ", in this order");
  }
  std::array<float, K> weights{};
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto place = std::find(names.begin(), names.end(), rewards[i]) - names.begin();
    const auto value = static_cast<float>(given[i]);
    if (!std::isfinite(value)) throw BadArgument(option + ": the weight of " + rewards[i] + " is not finite");
    weights[static_cast<std::size_t>(place)] = value;
  }
  if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0.0f; })) {
    throw BadArgument(option + ": all weights are 0, so there is nothing to train on");
  }
  return weights;
}

/// The steps, from 0, between which scheduled weights move.
/// @throws BadArgument where the end does not come after the start.
struct WeightSteps {
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  explicit WeightSteps(const TrainOptions& o) {
    const std::uint32_t end = o.weights_end_step > 0 ? o.weights_end_step : o.steps;
    if (o.weights_start_step == 0) throw BadArgument("--weights-start-step: steps count from 1");
    if (end <= o.weights_start_step) {
      throw BadArgument("--weights-end-step: scheduled weights end at step " + std::to_string(end) +
                        ", which must be after their start, step " + std::to_string(o.weights_start_step));
    }
    first = o.weights_start_step - 1;
    last = end - 1;
  }
};

/// What the Conductor that --conductor names is built from.
/// @param names  those of all K rewards, chosen or not.
/// @throws BadArgument where weights are missing or do not fit.
template <std::size_t K>
AnyConductorOptions<K> conductor_options(const TrainOptions& o, const std::array<std::string_view, K>& names) {
  AnyConductorOptions<K> result{.learned = o.learned};
  const bool scheduled = o.conductor == "scheduled";
  if (o.conductor != "fixed" && !scheduled) return result;
  if (o.weights.empty()) throw BadArgument("--conductor " + o.conductor + " needs --weights, one for each reward");
  const std::array<float, K> weights = weights_of<K>("--weights", o.weights, o.rewards, names);
  if (!scheduled) {
    result.weights = weights;
    return result;
  }
  if (o.weights_end.empty()) throw BadArgument("--conductor scheduled needs --weights-end, one for each reward");
  const WeightSteps steps(o);
  result.schedule = {.from = weights,
                     .to = weights_of<K>("--weights-end", o.weights_end, o.rewards, names),
                     .first_step = steps.first,
                     .last_step = steps.last};
  return result;
}

}  // namespace maestro::examples
