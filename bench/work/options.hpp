#pragma once

/// @file
/// What a benchmark of maestro is told.

#include <cstddef>
#include <string>

namespace maestro::bench {

struct WorkOptions {
  std::string work = "training_step";
  std::string model = "shipped";
  std::string shipped = "examples/models/base";         ///< folder of the shipped model
  std::string prompts = "examples/data/prompts.jsonl";  ///< of grpo_step
  std::string variant{};                                ///< of shared_prefix and scalarization
  std::size_t prompt = 64;                              ///< tokens
  std::size_t response = 128;                           ///< tokens
  std::size_t groups = 1;                               ///< prompts
  std::size_t generations = 8;                          ///< responses of a prompt
  std::size_t rows = 1000000;                           ///< of scalarization
  int threads = 2;
  std::size_t warmup = 1;  ///< repetitions before `ready`
  std::size_t inner = 1;   ///< times that one repetition does the work

  /// Tokens of the longest sequence.
  std::size_t positions() const { return prompt + response; }
};

}  // namespace maestro::bench
