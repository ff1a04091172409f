#pragma once

/// @file
/// Inputs that both sides compute alike, number by number: peers/device_inputs.py mirrors this file.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace maestro::bench::device {

/// What a sequence of numbers is for.
enum class Purpose : std::uint64_t {
  hidden = 1,
  parameters,
  rewards,
  base,
  actions,
  propensities,
  meta,
  lengths,
  log_probs,
  old_log_probs,
  reference_log_probs,
  advantages,
  logit_gradients,
};

/// 32 scrambled bits. Both multipliers are below 2^31, so that signed 64 bits hold the products.
inline std::uint64_t scrambled(Purpose purpose, std::uint64_t index) {
  constexpr std::uint64_t mask = 0xffffffffu;
  std::uint64_t x = (index + static_cast<std::uint64_t>(purpose) * 0x3779b97fu) & mask;
  x ^= x >> 16;
  x = (x * 0x7feb352du) & mask;
  x ^= x >> 15;
  x = (x * 0x5bd1e995u) & mask;
  return x ^ (x >> 16);
}

/// In [0, 1), a multiple of 2^-24.
inline float uniform(Purpose purpose, std::uint64_t index) {
  return static_cast<float>(scrambled(purpose, index) >> 8) / 16777216.0f;
}
/// In [-1, 1).
inline float centered(Purpose purpose, std::uint64_t index) { return 2.0f * uniform(purpose, index) - 1.0f; }

/// `count` values f(i), each converted to T.
template <class T, class F>
std::vector<T> filled(std::size_t count, const F& f) {
  std::vector<T> values;
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) values.push_back(T(f(i)));
  return values;
}

template <class T>
std::vector<T> centered_values(Purpose purpose, std::size_t count) {
  return filled<T>(count, [&](std::size_t i) { return centered(purpose, i); });
}
inline std::vector<float> uniform_values(Purpose purpose, std::size_t count) {
  return filled<float>(count, [&](std::size_t i) { return uniform(purpose, i); });
}
/// In [0, K).
inline std::vector<std::int32_t> fixed_actions(std::size_t rows, std::size_t rewards) {
  return filled<std::int32_t>(rows, [&](std::size_t i) { return scrambled(Purpose::actions, i) % rewards; });
}

/// Appends weight (outputs x inputs) and bias of a layer to `values`. Hidden states of variance 1/3 give products of
/// variance about 1.
inline void append_layer(std::size_t inputs, std::size_t outputs, std::vector<float>& values) {
  const float scale = 3.0f / std::sqrt(static_cast<float>(inputs));
  for (std::size_t e = 0; e < (inputs + 1) * outputs; ++e) {
    values.push_back(scale * centered(Purpose::parameters, values.size()));
  }
}

inline constexpr float log_temperature = 0.25f;

}  // namespace maestro::bench::device
