#pragma once

/// @file
/// A cursor over a random stream, for generators that take one draw after another.

#include <cstddef>
#include <cstdint>

#include "maestro/core/random.hpp"

namespace maestro::examples {

/// What a stream of the data generators is for: the `step` of its key, so that equal seeds do not share draws.
enum class DataUse : std::uint32_t { prompts = 0, demonstrations = 16, preferences = 17, references = 18 };

/// Draws of one data row, in order. Same key, same draws.
class Draws {
 public:
  explicit Draws(const StreamKey& key) : stream_(key) {}
  Draws(std::uint64_t seed, std::uint32_t use, std::uint32_t row, std::uint32_t attempt = 0)
      : stream_({.seed = seed, .purpose = Purpose::data_generation, .step = use, .row = row, .response = attempt}) {}

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(stream_.below(bound, position_++)); }
  /// Uniform integer in [low, high].
  int between(int low, int high) { return low + static_cast<int>(below(static_cast<std::size_t>(high - low + 1))); }
  bool chance(double probability) { return stream_.uniform(position_++) < probability; }
  double uniform() { return stream_.uniform(position_++); }
  /// One element of a container or array.
  template <class C>
  const auto& pick(const C& choices) {
    return choices[below(std::size(choices))];
  }

 private:
  RandomStream stream_;
  std::uint32_t position_ = 0;
};

}  // namespace maestro::examples
