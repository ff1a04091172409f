#pragma once

/// @file
/// Held-out evaluation. Responses are drawn for prompts that training does not use, and the caller's judge scores them.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/trainer/bootstrap.hpp"

namespace maestro {

/// EvaluationOptions says how the responses of an evaluation are drawn, and how its intervals are computed.
struct EvaluationOptions {
  Sampling sampling{.num_generations = 4};
  std::uint64_t seed = 1234;
  std::size_t prompts_per_batch = 32;
  BootstrapOptions bootstrap{};
};

/// Evaluation holds the scores of one evaluation. `prompt_scores[i]` is the mean over the responses to prompt i.
struct Evaluation {
  std::vector<double> prompt_scores;               ///< (N)
  std::map<std::string, Interval> per_task;        ///< by Prompt::task
  Interval overall;                                ///< over all prompts
  std::map<std::string, std::size_t> task_counts;  ///< prompts of each task
  double mean_length = 0.0;                        ///< tokens of a response; steps, if its actions are floats
};

/// Draws `num_generations` responses to each prompt and scores each with `judge(Completion) -> double`.
/// `on_rollouts(rollouts, scores)` is called with every batch, for example to print samples. The result is determined
/// by the options' seed. The draws differ from those of training, since they are keyed by step 2^32 - 1.
/// @throws BadArgument if there are no prompts, or if prompts_per_batch is 0; BadData if the judge gives a value that
///         is not finite.
template <Policy P, class Judge, class Visit>
Evaluation evaluate(P& policy, std::span<const Prompt> prompts, const Judge& judge, const EvaluationOptions& options,
                    Visit&& on_rollouts) {
  require(!prompts.empty(), "evaluation: there are no prompts");
  require(options.prompts_per_batch > 0, "evaluation: prompts_per_batch must be at least 1");
  constexpr std::uint32_t evaluation_step = 0xFFFFFFFFu;
  Evaluation result;
  std::map<std::string, std::vector<double>> by_task;
  std::size_t tokens = 0;
  std::size_t responses = 0;
  for (std::size_t first = 0; first < prompts.size(); first += options.prompts_per_batch) {
    const auto batch = prompts.subspan(first, std::min(options.prompts_per_batch, prompts.size() - first));
    const Rollouts rollouts =
        policy.generate(batch, options.sampling, DrawKey{.seed = options.seed, .step = evaluation_step});
    std::vector<double> scores(rollouts.size());
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      scores[i] = static_cast<double>(judge(rollouts.completion(i)));
      if (!std::isfinite(scores[i])) {
        throw BadData("evaluation: the judge's score of response " + std::to_string(i) + " to data row " +
                      std::to_string(rollouts.completion(i).prompt.row) + " is not finite");
      }
    }
    for (std::size_t g = 0; g < rollouts.groups.count(); ++g) {
      const double mean = moments_of(scores.data() + rollouts.groups.begin(g), rollouts.groups.size(g)).mean;
      result.prompt_scores.push_back(mean);
      by_task[rollouts.prompts[g].task].push_back(mean);
    }
    tokens += rollouts.tokens.size();
    responses += rollouts.size();
    on_rollouts(rollouts, std::span<const double>(scores));
  }
  for (const auto& [task, values] : by_task) {
    result.per_task[task] = bootstrap_mean(values, options.bootstrap);
    result.task_counts[task] = values.size();
  }
  result.overall = bootstrap_mean(result.prompt_scores, options.bootstrap);
  result.mean_length = responses > 0 ? static_cast<double>(tokens) / static_cast<double>(responses) : 0.0;
  return result;
}

/// Does the same without calling on_rollouts.
template <Policy P, class Judge>
Evaluation evaluate(P& policy, std::span<const Prompt> prompts, const Judge& judge,
                    const EvaluationOptions& options = {}) {
  return evaluate(policy, prompts, judge, options, [](const Rollouts&, std::span<const double>) {});
}

}  // namespace maestro
