#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/prompt.hpp"
#include "maestro/io/prompt_weights.hpp"
#include "train/options.hpp"
#include "train/run_rewards.hpp"
#include "train/weights.hpp"

namespace maestro::examples {

namespace {

/// Weights given in the order of named_rewards, each at its reward's place in the run.
/// @throws BadArgument naming the option: a count other than that of the rewards, a value that is not finite, no weight
/// but 0.
std::vector<float> weights_of(const std::string& option, const std::vector<double>& given, const TrainOptions& o) {
  const std::vector<std::string> names = named_rewards(o);
  if (given.size() != names.size()) {
    std::string list;
    for (const std::string& name : names) list += (list.empty() ? "" : ",") + name;
    throw BadArgument(option + " has " + std::to_string(given.size()) + " weights for " + std::to_string(names.size()) +
                      " rewards; give one for each of " + list + ", in this order");
  }
  std::vector<float> weights;
  for (const std::string& name : run_rewards(o)) {
    const auto place = std::find(names.begin(), names.end(), name) - names.begin();
    weights.push_back(static_cast<float>(given[static_cast<std::size_t>(place)]));
    if (!std::isfinite(weights.back())) {
      throw BadArgument(option + ": the weight of " + name + " is not finite");
    }
  }
  if (std::all_of(weights.begin(), weights.end(), [](float w) { return w == 0.0f; })) {
    throw BadArgument(option + ": all weights are 0, so there is nothing to train on");
  }
  return weights;
}

/// The weights in the prompts' own column, the rewards in the order of the run.
Matrix<float> prompt_weights_of(const TrainOptions& o, std::span<const Prompt> prompts) {
  const std::vector<std::string> names = named_rewards(o);
  const std::vector<std::string_view> given(names.begin(), names.end());
  const Matrix<float> read = prompt_weights(prompts, o.weights_column, given, o.prompts);
  Matrix<float> weights(read.rows(), read.cols());
  std::size_t k = 0;
  for (const std::string& name : run_rewards(o)) {
    const auto place = static_cast<std::size_t>(std::find(given.begin(), given.end(), name) - given.begin());
    for (std::size_t i = 0; i < read.rows(); ++i) weights(i, k) = read(i, place);
    ++k;
  }
  return weights;
}

/// What the Conductor is built from.
AnyConductorOptions conductor_options(const TrainOptions& o, std::span<const Prompt> prompts) {
  AnyConductorOptions result{.learned = o.learned,
                             .random = o.random,
                             .saw = o.saw,
                             .exp3 = o.exp3,
                             .predictability = o.predictability,
                             .gradient = o.gradient,
                             .hypervolume = o.hypervolume,
                             .anchored = o.anchored};
  if (o.conductor == "prompt") result.prompt_weights = prompt_weights_of(o, prompts);
  if (scales_weights(o) && !o.weights.empty()) result.weights = weights_of("--weights", o.weights, o);
  const bool scheduled = o.conductor == "scheduled";
  if (o.conductor != "fixed" && !scheduled) return result;
  if (o.weights.empty()) throw BadArgument("--conductor " + o.conductor + " needs --weights, one for each reward");
  result.weights = weights_of("--weights", o.weights, o);
  if (!scheduled) return result;
  if (o.weights_end.empty()) throw BadArgument("--conductor scheduled needs --weights-end, one for each reward");
  const WeightSteps steps(o);
  result.weights_end = weights_of("--weights-end", o.weights_end, o);
  result.first_step = steps.first;
  result.last_step = steps.last;
  return result;
}

}  // namespace

AnyConductor make_conductor(const TrainOptions& o, std::span<const Prompt> prompts) {
  return AnyConductor(o.conductor, named_rewards(o).size(), conductor_options(o, prompts));
}

}  // namespace maestro::examples
