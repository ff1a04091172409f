#pragma once

/// @file
/// A point of the sweep, and what is measured there.

#include <cstddef>

namespace maestro::bench {

/// Sizes of a training step. The defaults are the base point, from which one factor at a time departs: the layers of
/// the model that the repository ships, 4 prompts, 8 responses each.
struct Point {
  std::size_t prompt = 64;       ///< P, tokens of a prompt
  std::size_t response = 64;     ///< R, tokens of a response; none ends early
  std::size_t group = 8;         ///< G, responses per prompt
  std::size_t vocabulary = 272;  ///< V
  std::size_t rewards = 4;       ///< K: 2, 4, 8 or 16
  std::size_t hidden = 128;      ///< d, a multiple of 64; the MLP is 3 d wide, heads have 32 values, 4 layers

  static constexpr std::size_t prompts = 4;  ///< N
};

/// Medians over the steps measured after a first one; seconds of wall-clock time unless said otherwise.
struct Measurement {
  std::size_t parameters = 0;
  std::size_t prompt_tokens = 0;    ///< of a step; each prompt once
  std::size_t response_tokens = 0;  ///< of a step
  std::size_t steps = 0;            ///< measured
  double rollout = 0.0;
  double rewards = 0.0;
  double conductor = 0.0;  ///< decide, scalarize with counterfactuals, observe, update
  double training = 0.0;   ///< forward, loss, backward, clipping, optimizer
  double total = 0.0;
  double cpu = 0.0;             ///< of all threads
  std::size_t peak_memory = 0;  ///< bytes: the largest resident size of this process so far
};

/// Trains at one point, in this process: at least 3 steps, more where they are short.
/// @throws BadArgument for a number of rewards that is not compiled in.
Measurement measure(const Point& point);

}  // namespace maestro::bench
