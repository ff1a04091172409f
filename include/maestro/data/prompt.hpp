#pragma once

/// @file
/// One line of training or evaluation data.

#include <cstdint>
#include <string>
#include <vector>

namespace maestro {

/// A prompt with what rewards may want to know of it.
struct Prompt {
  std::string text;             ///< what the policy reads
  std::string reference;        ///< the reference answer, empty where there is none
  std::string task;             ///< family name, for reports per task
  std::string metadata;         ///< everything else of the data line, as a JSON object; empty where there is nothing
  std::vector<float> features;  ///< observation for policies that read numbers instead of text
  std::int64_t row = 0;         ///< place in the data set, from 0 and below 2^32; keys the random streams
};

}  // namespace maestro
