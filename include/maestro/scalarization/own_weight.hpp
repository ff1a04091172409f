#pragma once

/// @file
/// The own-weight baseline: each response is judged against its whole group under its own weights. Neutral.

#include <cmath>
#include <cstddef>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/formulas.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/weighed_rewards.hpp"

namespace maestro {

/// Whether the group's mean advantage is subtracted at the end.
enum class Centring {
  group_mean,  ///< A minus the group's mean A
  none,        ///< A as it is
};

struct OwnWeightOptions {
  double epsilon = 1e-8;  ///< added to the variance, under the root; at least 0
  int ddof = 1;           ///< of the covariance, 0 or 1
  Centring centre = Centring::group_mean;
  Normaliser normaliser{};
};

/// A_i = w_i.(r_i - mean r) / sqrt(w_i' C w_i + epsilon), mean vector and covariance C over the group; then minus the
/// group's mean A, since each response under its own best criterion would otherwise be praised on average.
/// A missing reward counts as the group's mean of that reward (deviation 0, so C stays positive semidefinite); a row
/// whose rewards are all missing is left out and gets 0. The penalty is one more reward of weight -1.
/// Equal rewards give exactly 0 under any weights. Counterfactuals cost O(K^2) each: C does not depend on the weights,
/// and the mean A follows the one advantage that changed. Deterministic; O(B K^2), counterfactuals O(B K^3).
/// @throws BadArgument in the constructor for options out of domain; BadData as scalarization/advantages.hpp says.
/// Source: ours; the paper (arXiv 2601.07208) compares scalar rewards that were made with different weights.
class OwnWeightBaseline {
 public:
  explicit OwnWeightBaseline(const OwnWeightOptions& options = {}) : options_(options) {
    check(options.normaliser);
    require(options.ddof == 0 || options.ddof == 1, "own-weight baseline: ddof must be 0 or 1");
    require(std::isfinite(options.epsilon) && options.epsilon >= 0.0,
            "own-weight baseline: epsilon must be finite and not negative");
  }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm&) const {
    const WeighedRewards weighed(options_.normaliser, in, out);
    const std::size_t columns = weighed.count() + 1;  // the last one is the penalty
    Matrix<double> deviations(weighed.rows(), columns);
    Matrix<double> covariances(in.groups.count(), columns * columns);
    std::vector<double> raw(weighed.rows());
    parallel_for(in.groups.count(), [&](std::size_t g) {
      const std::size_t begin = in.groups.begin(g);
      const std::size_t size = in.groups.size(g);
      for (std::size_t i = begin; i < begin + size; ++i) {
        raw[i] = weighed.scalar(i);  // NaN marks the rows to leave out
        if (!out.scalar_rewards.empty()) out.scalar_rewards[i] = static_cast<float>(raw[i]);
      }
      const MatrixView<double> d = deviations.view().middle_rows(begin, size);
      const MatrixView<double> c{covariances.row(g).data(), columns, columns};
      fill_deviations(weighed, begin, raw, d);
      fill_covariance(d, moments_of(raw.data() + begin, size).count, c);
      group_advantages(weighed, begin, d, c, raw, out);
    });
  }

  const OwnWeightOptions& options() const { return options_; }

 private:
  /// d (G x K+1): reward minus the group's mean, 0 where missing or left out.
  static void fill_deviations(const WeighedRewards& weighed, std::size_t begin, const std::vector<double>& scalars,
                              MatrixView<double> d) {
    const std::size_t count = weighed.count();
    for (std::size_t k = 0; k <= count; ++k) {
      const auto value = [&](std::size_t j) {
        if (k < count) return weighed.reward(begin + j, k);
        return std::isnan(scalars[begin + j]) ? scalars[begin + j] : weighed.penalty(begin + j);
      };
      const Moments moments = moments_of(d.rows(), value);
      for (std::size_t j = 0; j < d.rows(); ++j) {
        const double deviation = value(j) - moments.mean;
        d(j, k) = std::isnan(deviation) ? 0.0 : deviation;
      }
    }
  }

  void fill_covariance(MatrixView<const double> d, std::size_t valid, MatrixView<double> c) const {
    const double degrees = static_cast<double>(valid) - options_.ddof;
    for (std::size_t k = 0; k < d.cols(); ++k) {
      for (std::size_t l = k; l < d.cols(); ++l) {
        double sum = 0.0;
        for (std::size_t j = 0; j < d.rows(); ++j) sum += d(j, k) * d(j, l);
        c(k, l) = degrees > 0.0 ? sum / degrees : 0.0;
        c(l, k) = c(k, l);
      }
    }
  }

  /// Overwrites scalars with the advantages before centring: the rows' own values are no longer needed then.
  void group_advantages(const WeighedRewards& weighed, std::size_t begin, MatrixView<const double> d,
                        MatrixView<const double> c, std::vector<double>& scalars,
                        const ScalarizationOutput& out) const {
    const std::size_t count = weighed.count();
    const auto advantage = [&](std::size_t j, const auto& weight) {
      return own_weight_advantage(
          count + 1, [&](std::size_t k) { return k < count ? weight(k) : -1.0; },
          [&](std::size_t k) { return d(j, k); }, [&](std::size_t k, std::size_t l) { return c(k, l); },
          options_.epsilon);
    };
    for (std::size_t j = 0; j < d.rows(); ++j) {
      const std::size_t i = begin + j;
      if (std::isnan(scalars[i])) continue;
      scalars[i] = advantage(j, [&](std::size_t k) { return weighed.weight(i, k); });
    }
    const Moments centre = moments_of(scalars.data() + begin, d.rows());
    const bool centred = options_.centre == Centring::group_mean;
    const double mean = centred ? centre.mean : 0.0;
    for (std::size_t j = 0; j < d.rows(); ++j) {
      const std::size_t i = begin + j;
      const bool scorable = !std::isnan(scalars[i]);
      out.advantages[i] = scorable ? static_cast<float>(scalars[i] - mean) : 0.0f;
      if (out.counterfactuals.empty()) continue;
      for (std::size_t action = 0; action < count; ++action) {
        out.counterfactuals(i, action) = out.advantages[i];
        if (!scorable || weighed.drew(i, action)) continue;
        const double other = advantage(j, [&](std::size_t k) { return weighed.weight(i, action, k); });
        const double other_mean = centred ? replace_one(centre, scalars[i], other).mean : 0.0;
        out.counterfactuals(i, action) = static_cast<float>(other - other_mean);
      }
    }
  }

  OwnWeightOptions options_;
};

}  // namespace maestro
