#pragma once

/// @file
/// Scalarizers turn the K rewards and K weights of one response into one number, before responses are compared.
/// Neutral.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/platform.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/row.hpp"

namespace maestro {

/// ScalarizerKind says how weighted rewards become one number. r_k is reward k after the normalizer, z_k its ideal;
/// sums and maxima run over the rewards that are not missing.
enum class ScalarizerKind : std::uint8_t {
  sum,                    ///< sum_k w_k r_k
  tchebycheff,            ///< -max_k w_k (z_k - r_k)
  augmented_tchebycheff,  ///< the same minus rho sum_k w_k (z_k - r_k)
  smooth_tchebycheff,     ///< -mu log sum_k exp(w_k (z_k - r_k) / mu) (arXiv 2402.19078)
  softmin,                ///< -tau log(sum_k w_k exp(-r_k / tau) / sum_k w_k): near the worst reward
  geometric,              ///< prod_k r_k^w_k, rewards above 0
  gated,                  ///< w_a r_a, and the other terms of the sum only if r_a >= threshold, a the gate
};

/// The names of the scalarizers, in the enum's order.
inline constexpr std::array<std::string_view, 7> scalarizer_names{
    "sum", "tchebycheff", "augmented_tchebycheff", "smooth_tchebycheff", "softmin", "geometric", "gated"};

/// Finds the scalarizer called `name`.
/// @throws BadArgument listing the known names.
inline ScalarizerKind scalarizer_from_name(std::string_view name) {
  return static_cast<ScalarizerKind>(index_of_name("scalarizer", name, scalarizer_names));
}

/// Ideals is the ideal value of each reward: one for all, or one each, in the order of the rewards; those not named
/// have 1.
class Ideals {
 public:
  constexpr Ideals(double all = 1.0) {
    for (double& value : of_) value = all;
  }
  constexpr Ideals(std::initializer_list<double> each) : Ideals() {
    std::size_t k = 0;
    for (const double value : each) {
      if (k < max_rewards) of_[k++] = value;
    }
  }
  MAESTRO_HD double operator[](std::size_t k) const { return of_[k]; }
  MAESTRO_HD double& operator[](std::size_t k) { return of_[k]; }

 private:
  double of_[max_rewards] = {};
};

/// Scalarizer is a scalarizer with its options; each kind reads its own.
struct Scalarizer {
  ScalarizerKind kind = ScalarizerKind::sum;
  Ideals ideal{};          ///< tchebycheff and its kin: z
  double rho = 0.05;       ///< augmented_tchebycheff, at least 0
  double mu = 0.1;         ///< smooth_tchebycheff, above 0
  double tau = 0.1;        ///< softmin, above 0
  std::size_t gate = 0;    ///< gated: the reward a
  double threshold = 0.5;  ///< gated
};

/// Refuses options outside their domains.
/// @throws BadArgument naming the option.
inline void check(const Scalarizer& scalarizer) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0.0; };
  require(std::isfinite(scalarizer.rho) && scalarizer.rho >= 0.0, "scalarizer: rho must be finite and not negative");
  require(positive(scalarizer.mu), "scalarizer: mu must be finite and above 0");
  require(positive(scalarizer.tau), "scalarizer: tau must be finite and above 0");
  require(std::isfinite(scalarizer.threshold), "scalarizer: threshold must be finite");
  require(scalarizer.gate < max_rewards, "scalarizer: gate must be the number of a reward, from 0");
  for (std::size_t k = 0; k < max_rewards; ++k) {
    require(std::isfinite(scalarizer.ideal[k]), "scalarizer: every ideal must be finite");
  }
}

/// Gives a reward as it enters a weighted sum: 0 if it is missing (as in TRL; the weights are not renormalized).
template <class Reward>
MAESTRO_HD Reward present_or_zero(Reward reward) {
  return reward == reward ? reward : Reward{0};
}

namespace detail {

/// ShortfallFigures holds the largest and the sum of the shortfalls w_k (z_k - r_k) of a row.
struct ShortfallFigures {
  double largest = -static_cast<double>(INFINITY);
  double sum = 0.0;
};

template <class R>
MAESTRO_HD double shortfall(const Scalarizer& scalarizer, const R& row, std::size_t k) {
  return row.weight(k) * (scalarizer.ideal[k] - row.value(k));
}

template <class R>
MAESTRO_HD double tchebycheff(const Scalarizer& scalarizer, const R& row) {
  ShortfallFigures figures;
  for (std::size_t k = 0; k < row.num_rewards(); ++k) {
    const double of = shortfall(scalarizer, row, k);
    if (of != of) continue;
    figures.largest = of > figures.largest ? of : figures.largest;
    figures.sum += of;
  }
  if (scalarizer.kind == ScalarizerKind::tchebycheff) return -figures.largest;
  if (scalarizer.kind == ScalarizerKind::augmented_tchebycheff) {
    return -figures.largest - scalarizer.rho * figures.sum;
  }
  double sum = 0.0;
  for (std::size_t k = 0; k < row.num_rewards(); ++k) {
    const double of = shortfall(scalarizer, row, k);
    if (of == of) sum += std::exp((of - figures.largest) / scalarizer.mu);
  }
  return -figures.largest - scalarizer.mu * std::log(sum);
}

template <class R>
MAESTRO_HD double softmin(double tau, const R& row) {
  double least = static_cast<double>(INFINITY);
  for (std::size_t k = 0; k < row.num_rewards(); ++k) {
    if (row.value(k) < least) least = row.value(k);
  }
  double sum = 0.0;
  double weights = 0.0;
  for (std::size_t k = 0; k < row.num_rewards(); ++k) {
    const double reward = row.value(k);
    if (reward != reward) continue;
    sum += row.weight(k) * std::exp((least - reward) / tau);
    weights += row.weight(k);
  }
  return least - tau * std::log(sum / weights);
}

template <class R>
MAESTRO_HD double geometric(const R& row) {
  double log_sum = 0.0;
  for (std::size_t k = 0; k < row.num_rewards(); ++k) {
    const double reward = row.value(k);
    if (reward != reward) continue;
    if (!(reward > 0.0)) return static_cast<double>(NAN);
    log_sum += row.weight(k) * std::log(reward);
  }
  return std::exp(log_sum);
}

/// Gives sum_k w_k r_k - penalty; the penalty is one of the columns.
template <class R>
MAESTRO_HD double weighted_sum(const R& row) {
  double sum = 0.0;
  for (std::size_t c = 0; c < row.width(); ++c) sum = multiply_add(row.weight(c), present_or_zero(row.value(c)), sum);
  return sum;
}

template <class R>
MAESTRO_HD double gated_sum(const Scalarizer& scalarizer, const R& row) {
  const std::size_t gate = scalarizer.gate;
  if (gate >= row.num_rewards() || row.value(gate) >= scalarizer.threshold) return weighted_sum(row);
  return row.weight(gate) * present_or_zero(row.value(gate)) - row.penalty();
}

}  // namespace detail

/// Tells whether a row has a reward.
template <class R>
MAESTRO_HD bool has_reward(const R& row) {
  for (std::size_t k = 0; k < row.num_rewards(); ++k) {
    if (row.value(k) == row.value(k)) return true;
  }
  return false;
}

/// Gives R of a row that has a reward: the scalarizer's value minus the penalty. It is computed in double, with the
/// rewards in index order, so that equal rows give equal bits. It is not finite if the scalarizer has no value for the
/// row: for `geometric` if a reward is not above 0, for `softmin` if the weights do not add up to more than 0. The gate
/// of `gated` counts as not reached if its reward is missing.
template <class R>
MAESTRO_HD double scalarize(const Scalarizer& scalarizer, const R& row) {
  switch (scalarizer.kind) {
    case ScalarizerKind::sum:
      return detail::weighted_sum(row);
    case ScalarizerKind::gated:
      return detail::gated_sum(scalarizer, row);
    case ScalarizerKind::softmin:
      return detail::softmin(scalarizer.tau, row) - row.penalty();
    case ScalarizerKind::geometric:
      return detail::geometric(row) - row.penalty();
    case ScalarizerKind::tchebycheff:
    case ScalarizerKind::augmented_tchebycheff:
    case ScalarizerKind::smooth_tchebycheff:
      break;
  }
  return detail::tchebycheff(scalarizer, row) - row.penalty();
}

}  // namespace maestro
