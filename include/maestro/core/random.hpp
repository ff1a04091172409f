#pragma once

/// @file
/// Counter-based random numbers: Philox4x32-10. A draw depends on its key alone (seed, purpose, step, row, response,
/// position), never on batching, threads or ranks. Neutral: host and device share it. Source: Salmon et al. 2011,
/// "Parallel random numbers: as easy as 1, 2, 3".

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "maestro/core/platform.hpp"

namespace maestro {

/// PhiloxBlock holds four 32-bit words.
struct PhiloxBlock {
  std::uint32_t word[4];
};

/// Applies the ten-round Philox4x32 bijection to `counter` under `key`.
MAESTRO_HD constexpr PhiloxBlock philox4x32_10(PhiloxBlock counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {
        {static_cast<std::uint32_t>(product1 >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(product1),
         static_cast<std::uint32_t>(product0 >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(product0)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/// Purpose says what a stream of draws is for. It keeps streams with equal counters apart.
enum class Purpose : std::uint8_t {
  token_sampling = 1,
  conductor_action = 2,
  random_weights = 3,
  shuffle = 4,
  initialization = 5,
  bootstrap = 6,
  data_generation = 7,
  weight_rule = 8,
  projection = 9,
  anchor = 10,
  user = 255,
};

/// StreamKey names a stream of draws. The position in the stream is given at each draw.
struct StreamKey {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::user;
  std::uint32_t step = 0;
  std::uint32_t row = 0;       ///< data row (prompt), not the row's place in a batch
  std::uint32_t response = 0;  ///< which of the responses to the data row in this step, below 2^24
};

/// RandomStream gives the draws of one stream. It is stateless: the same position gives the same value, in any order,
/// on any thread.
class RandomStream {
 public:
  MAESTRO_HD constexpr explicit RandomStream(const StreamKey& key) : key_(key) {}

  MAESTRO_HD constexpr PhiloxBlock block(std::uint32_t position) const {
    return philox4x32_10({{position, key_.row, key_.step,
                           (static_cast<std::uint32_t>(key_.purpose) << 24) | (key_.response & 0xFFFFFFu)}},
                         static_cast<std::uint32_t>(key_.seed), static_cast<std::uint32_t>(key_.seed >> 32));
  }
  /// Gives a uniform number in [0, 1) with 53 bits.
  MAESTRO_HD constexpr double uniform(std::uint32_t position) const {
    const PhiloxBlock b = block(position);
    return static_cast<double>((std::uint64_t{b.word[0]} << 21) ^ (b.word[1] >> 11)) * 0x1p-53;
  }
  /// Gives a standard normal number by the Box-Muller method. Its bits are the same on all machines whose C library
  /// rounds log, sqrt and cos alike.
  MAESTRO_HD double normal(std::uint32_t position) const {
    const PhiloxBlock b = block(position);
    const double u = (static_cast<double>((std::uint64_t{b.word[0]} << 21) ^ (b.word[1] >> 11)) + 0.5) * 0x1p-53;
    const double v = static_cast<double>((std::uint64_t{b.word[2]} << 21) ^ (b.word[3] >> 11)) * 0x1p-53;
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925 * v);
  }
  /// Gives a uniform integer in [0, bound), bound > 0. The bias of a value's probability is below bound * 2^-53.
  MAESTRO_HD constexpr std::uint64_t below(std::uint64_t bound, std::uint32_t position) const {
    const auto value = static_cast<std::uint64_t>(uniform(position) * static_cast<double>(bound));
    return value < bound ? value : bound - 1;
  }

  MAESTRO_HD constexpr const StreamKey& key() const { return key_; }

 private:
  StreamKey key_;
};

/// Draws an index from unnormalized non-negative weights by inversion: the first k with u * sum < w_0 + ... + w_k. An
/// index of zero weight is never returned while any weight is positive. The sums are taken in double, in index order.
template <class T>
MAESTRO_HD constexpr std::size_t sample_index(const T* weights, std::size_t count, double uniform) {
  double total = 0.0;
  for (std::size_t k = 0; k < count; ++k) total += static_cast<double>(weights[k]);
  const double target = uniform * total;
  double running = 0.0;
  std::size_t last_positive = 0;
  for (std::size_t k = 0; k < count; ++k) {
    if (!(weights[k] > T(0))) continue;
    running += static_cast<double>(weights[k]);
    last_positive = k;
    if (target < running) return k;
  }
  return last_positive;
}

/// Shuffles `values` (Fisher-Yates) by the draws of `stream`; the i-th swap uses position i.
template <class T>
void shuffle(std::span<T> values, const RandomStream& stream) {
  for (std::size_t i = values.size(); i > 1; --i) {
    const auto j = static_cast<std::size_t>(stream.below(i, static_cast<std::uint32_t>(i)));
    const T kept = values[i - 1];
    values[i - 1] = values[j];
    values[j] = kept;
  }
}

}  // namespace maestro
