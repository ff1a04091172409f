#pragma once

/// @file
/// The command line of `train` as a struct.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/trainer/metrics_log.hpp"
#include "maestro/trainer/run.hpp"
#include "maestro/trainer/settings.hpp"
#include "train/model_options.hpp"

namespace maestro::examples {

/// What --rewards chooses from. The rewards of a run are in this order, whatever the order they were named in.
inline constexpr std::array<std::string_view, 7> reward_names{"perplexity", "format",      "entropy",   "length",
                                                              "preference", "exact_match", "repetition"};

/// What the length reward asks for.
enum class LengthChoice : std::uint8_t {
  overlong,   ///< DAPO's soft penalty in the last fifth before the length limit
  target,     ///< a response of `length_target` tokens
  reference,  ///< an answer as long as the reference, in characters
};
inline constexpr std::array<std::string_view, 3> length_choice_names{"overlong", "target", "reference"};

enum class DryRun : std::uint8_t { no, yes };

struct TrainOptions {
  std::string model = "examples/models/base";
  std::string reward_model = "examples/models/reward";  ///< empty: none
  std::string prompts;                                  ///< JSONL file; empty: the built-in task families
  ModelOptions model_options{};
  std::vector<std::string> tasks{"arithmetic", "story", "emotion"};
  std::size_t num_prompts = 768;  ///< training prompts, of `tasks` in turn
  std::string output = "runs/train";

  std::uint32_t steps = 100;
  TrainerSettings trainer{};

  std::vector<std::string> rewards{"perplexity", "format", "entropy", "length", "preference"};
  std::uint32_t proxy_sync_steps = 6;
  LengthChoice length_shape = LengthChoice::overlong;
  double length_target = 128.0;              ///< tokens, for LengthChoice::target
  std::string scalarization = "own_weight";  ///< with `normalise`, DefaultScalarization
  std::string normalise = "z_score";
  std::string conductor = "linear";
  LearnedConductorOptions learned{};
  std::vector<double> weights{};         ///< fixed, and scheduled at its start: one for each of `rewards`, in order
  std::vector<double> weights_end{};     ///< scheduled at its end
  std::uint32_t weights_start_step = 1;  ///< scheduled: the last step, from 1, that has `weights`
  std::uint32_t weights_end_step = 0;    ///< scheduled: the first step that has `weights_end`; 0: the run's last

  std::uint32_t save_steps = 0;
  std::size_t save_total_limit = 2;
  Resume resume = Resume::automatic;
  LogTimings timings = LogTimings::record;
  int threads = 0;  ///< 0: as many as the machine has
  DryRun dry_run = DryRun::no;
};

/// Whether --rewards names this reward.
inline bool uses(const TrainOptions& options, std::string_view reward) {
  return std::find(options.rewards.begin(), options.rewards.end(), reward) != options.rewards.end();
}

/// The rewards of the run, in the order of reward_names.
/// @throws BadArgument listing the names there are, where --rewards has another, one twice, or none.
inline std::vector<std::string_view> chosen_rewards(const TrainOptions& options) {
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

}  // namespace maestro::examples
