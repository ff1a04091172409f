#pragma once

/// @file
/// Log-sum-exp and entropy of a row of logits, in one pass or block by block. No probabilities are stored. Neutral
/// apart from std::span: no Eigen.

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "maestro/core/platform.hpp"
#include "maestro/core/vector_loops.hpp"

namespace maestro {

namespace detail {

/// exp_floor is the exponent below which exp counts as 0.
template <class T>
inline constexpr T exp_floor = sizeof(T) == sizeof(float) ? T(-87) : T(-708);
/// sum_block is the number of values that a vectorized sum takes before it is added to a double.
inline constexpr std::size_t sum_block = 32 * sum_lanes;

}  // namespace detail

/// softmax_chunk is the number of logits that are added to a softmax at a time. The LM head and the sampler both use
/// it, since their results must agree to the bit.
inline constexpr std::size_t softmax_chunk = 2048;

/// SoftmaxState holds what log-probs and entropy need of the softmax of a row. It starts as the softmax of an empty
/// row.
struct SoftmaxState {
  double max = -std::numeric_limits<double>::infinity();
  double sum = 0.0;       ///< sum of exp(z - max); NaN when a logit was NaN or +infinity
  double weighted = 0.0;  ///< sum of exp(z - max) (z - max)

  /// Tells whether at least one logit was finite and none was NaN or +infinity.
  bool valid() const { return sum > 0.0; }
  double log_prob(double logit) const { return (logit - max) - std::log(sum); }
  /// Gives the entropy in nats, at least 0.
  double entropy() const {
    const double value = std::log(sum) - weighted / sum;
    return value > 0.0 ? value : 0.0;
  }
};

/// Adds a block of logits to a softmax. A logit of -infinity is a token of probability 0.
/// @param logits   (V) or a part of it.
/// @param weights  same length: overwritten with exp(z - max of this block); or empty.
/// The order of summation is fixed: 16 lanes, added to a double every 512 values. Splitting a row into blocks changes
/// only the rounding.
template <class T>
void add_logits(SoftmaxState& state, std::span<const T> logits, std::span<T> weights = {}) {
  if (logits.empty()) return;
  const T top = largest(logits.data(), logits.size());
  if (!std::isfinite(top)) {
    bool broken = !(top < T(0));
    for (const T z : logits) broken = broken || z != z;
    if (broken) state.sum = std::numeric_limits<double>::quiet_NaN();
    for (T& weight : weights) weight = T(0);
    return;
  }
  constexpr T floor = detail::exp_floor<T>;
  double sum = 0.0;
  double weighted = 0.0;
  T exps[detail::sum_block];
  for (std::size_t begin = 0; begin < logits.size(); begin += detail::sum_block) {
    const std::size_t count = logits.size() - begin < detail::sum_block ? logits.size() - begin : detail::sum_block;
    T lane_sum[sum_lanes] = {};
    T lane_weighted[sum_lanes] = {};
    const T* z = logits.data() + begin;
    T* e = weights.empty() ? exps : weights.data() + begin;
    for (std::size_t i = 0; i < count; ++i) {
      const T x = z[i] - top;
      const T inside = x < floor ? floor : x;
      const T value = fast_exp(inside);
      e[i] = x < floor ? T(0) : value;
    }
    const std::size_t whole = count - count % sum_lanes;
    for (std::size_t i = 0; i < whole; i += sum_lanes) {
      for (std::size_t l = 0; l < sum_lanes; ++l) {
        const T x = z[i + l] - top;
        lane_sum[l] += e[i + l];
        lane_weighted[l] += e[i + l] * (x < floor ? floor : x);
      }
    }
    for (std::size_t i = whole; i < count; ++i) {
      const T x = z[i] - top;
      lane_sum[i - whole] += e[i];
      lane_weighted[i - whole] += e[i] * (x < floor ? floor : x);
    }
    for (std::size_t l = 0; l < sum_lanes; ++l) {
      sum += static_cast<double>(lane_sum[l]);
      weighted += static_cast<double>(lane_weighted[l]);
    }
  }
  const auto block_max = static_cast<double>(top);
  if (state.sum == 0.0) {
    state = {.max = block_max, .sum = sum, .weighted = weighted};
    return;
  }
  const double max = state.max > block_max ? state.max : block_max;
  const double old_shift = state.max - max;
  const double new_shift = block_max - max;
  const double old_scale = std::exp(old_shift);
  const double new_scale = std::exp(new_shift);
  state.weighted = old_scale * (state.weighted + old_shift * state.sum) + new_scale * (weighted + new_shift * sum);
  state.sum = old_scale * state.sum + new_scale * sum;
  state.max = max;
}

/// Computes the gradient of d_log_prob * log p(target) + d_entropy * entropy with respect to the logits, without the
/// target's own term: p_v (-(d_log_prob + d_entropy H) - d_entropy log p_v). The caller adds d_log_prob at the target.
/// @param logits  (V) or a part of it: overwritten with the gradient.
template <class T>
void softmax_gradient(const SoftmaxState& state, double d_log_prob, double d_entropy, std::span<T> logits) {
  const auto max = static_cast<T>(state.max);
  const auto log_sum = static_cast<T>(std::log(state.sum));
  const auto scale = static_cast<T>(1.0 / state.sum);
  const auto constant = static_cast<T>(-(d_log_prob + d_entropy * state.entropy()));
  const auto slope = static_cast<T>(d_entropy);
  constexpr T floor = detail::exp_floor<T>;
  for (T& z : logits) {
    const T x = z - max;
    const T inside = x < floor ? floor : x;
    const T value = scale * fast_exp(inside) * (constant - slope * (inside - log_sum));
    z = x < floor ? T(0) : value;
  }
}

}  // namespace maestro
