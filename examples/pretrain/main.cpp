// Makes the small base model and the reward model of the main job, both from generated data alone.
#include <cxxopts.hpp>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>

#include "maestro/core/parallel.hpp"
#include "pretrain/base.hpp"
#include "pretrain/options.hpp"
#include "pretrain/reward.hpp"
#include "train/command_line.hpp"

int main(int argc, char** argv) {
  using maestro::examples::PretrainOptions;
  try {
    cxxopts::Options line("pretrain", "Makes the demo's base model and reward model from generated data.\n");
    line.set_width(110);
    maestro::examples::add_options<PretrainOptions>(line);
    line.add_options()("help", "This text");
    const auto given = maestro::examples::parse<PretrainOptions>(line, {argv + 1, argv + argc}, {"help"});
    if (given.count("help") > 0) {
      std::cout << line.help() << '\n';
      return 0;
    }
    PretrainOptions options;
    maestro::examples::read_options(given, options);
    maestro::examples::check(options, [&](const std::string& name) { return given.count(name) > 0; });
    if (options.threads > 0) maestro::set_threads(options.threads);
    std::filesystem::create_directories(options.output);
    if (options.makes_base()) maestro::examples::pretrain_base(options);
    if (options.reports_base()) maestro::examples::report_base(options);
    if (options.makes_reward()) maestro::examples::pretrain_reward(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "pretrain: " << error.what() << '\n';
    return 2;
  }
}
