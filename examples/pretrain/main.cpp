// Makes the small base model and the reward model of the main job, both from generated data alone.
#include <filesystem>
#include <string>

#include "maestro/core/parallel.hpp"
#include "pretrain/base.hpp"
#include "pretrain/options.hpp"
#include "pretrain/reward.hpp"
#include "train/command_line.hpp"

int main(int argc, char** argv) {
  using maestro::examples::PretrainOptions;
  const auto run = [](const PretrainOptions& options) {
    if (options.threads > 0) maestro::set_threads(options.threads);
    std::filesystem::create_directories(options.output);
    if (options.makes_base()) maestro::examples::pretrain_base(options);
    if (options.reports_base()) maestro::examples::report_base(options);
    if (options.makes_reward()) maestro::examples::pretrain_reward(options);
    return 0;
  };
  return maestro::examples::run_program<PretrainOptions>(
      "pretrain", "Makes the demo's base model and reward model from generated data.\n", argc, argv, run);
}
