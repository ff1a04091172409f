#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace maestro::examples {

struct PretrainOptions {
  std::string output = "examples/models";  ///< gets the folders base and reward
  std::string models = "both";             ///< both; base; reward, from an existing base; none: only report on it
  std::string prompts = "examples/data/prompts.jsonl";  ///< reported apart; empty: none
  std::uint64_t seed = 1;

  std::size_t steps = 5000;     ///< of the base model
  std::size_t batch = 16;       ///< demonstrations of a step
  double learning_rate = 3e-3;  ///< at the end of the warm-up; then half a cosine to 0
  std::size_t warmup_steps = 50;
  double first_share = 0.7;   ///< of the steps, in which faults are rare
  double first_faults = 0.2;  ///< fault rates there, as a share of those of the rest

  std::size_t reward_steps = 2000;
  std::size_t reward_batch = 16;  ///< preference pairs of a step
  double reward_learning_rate = 1e-3;

  std::size_t report_steps = 200;       ///< between two reports of the loss
  std::size_t evaluation_steps = 1000;  ///< between two evaluations on dev prompts, each with a saved model
  std::size_t evaluation_prompts = 48;
  std::size_t final_prompts = 192;  ///< held out; of the last evaluation
};

}  // namespace maestro::examples
