#pragma once

/// @file
/// The signal of an anchor about one group, as rows of a regression.

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

/// Overwrites out with (x - mean) / deviation (ddof 0) over the values that are not missing; 0 if the value is missing,
/// or if all are equal.
/// @param get  get(i) gives value i.
template <class Get, class Put>
void z_scores(std::size_t count, const Get& get, const Put& put) {
  const Moments moments = moments_of(count, get);
  const double deviation = moments.std_dev(0);
  for (std::size_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(get(i));
    put(i, deviation > 0.0 && !std::isnan(value) ? (value - moments.mean) / deviation : 0.0);
  }
}

/// AnchorRows holds m responses of one group: their rewards standardized among them (m x K), and the regression target
/// of each (m).
struct AnchorRows {
  Matrix<double> z;
  std::vector<double> target;

  std::size_t size() const { return target.size(); }

  /// Gives the responses that an outside judge scored, with the z-scores of the scores as targets. It gives no rows if
  /// fewer than two were scored.
  /// @param rewards  (n x K) of the group, NaN if a reward does not apply.
  /// @param scores   (n), NaN if the judge gave none.
  static AnchorRows judged(MatrixView<const float> rewards, std::span<const float> scores) {
    std::vector<std::size_t> rows;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (!std::isnan(scores[i])) rows.push_back(i);
    }
    AnchorRows result;
    if (rows.size() < 2) return result;
    result.standardize(rows.size(), rewards.cols(), [&](std::size_t i, std::size_t k) { return rewards(rows[i], k); });
    z_scores(
        rows.size(), [&](std::size_t i) { return scores[rows[i]]; },
        [&](std::size_t i, double score) { result.target[i] = score; });
    return result;
  }

  /// Gives the n responses of a group and, as the last row, a demonstration, whose target is 1; the target of the
  /// others is -1/n. It gives no rows for a group without responses, or if no reward applies to the demonstration.
  /// @param rewards       (n x K) of the group.
  /// @param demonstrated  (K) rewards of the demonstration.
  static AnchorRows demonstrated(MatrixView<const float> rewards, std::span<const float> demonstrated) {
    AnchorRows result;
    bool scored = false;
    for (const float value : demonstrated) scored = scored || !std::isnan(value);
    const std::size_t n = rewards.rows();
    if (n == 0 || !scored) return result;
    result.standardize(n + 1, rewards.cols(),
                       [&](std::size_t i, std::size_t k) { return i < n ? rewards(i, k) : demonstrated[k]; });
    result.target.assign(n + 1, -1.0 / static_cast<double>(n));
    result.target.back() = 1.0;
    return result;
  }

  /// Gives c_k = mean_i z_ik z(target_i), z with ddof 0: the correlation of each reward (K) with the target.
  std::vector<double> agreement() const {
    std::vector<double> t(size());
    z_scores(
        size(), [&](std::size_t i) { return target[i]; }, [&](std::size_t i, double value) { t[i] = value; });
    std::vector<double> c(z.cols(), 0.0);
    for (std::size_t i = 0; i < size(); ++i) {
      for (std::size_t k = 0; k < c.size(); ++k) c[k] += z(i, k) * t[i];
    }
    for (double& x : c) x /= static_cast<double>(size());
    return c;
  }

 private:
  template <class Get>
  void standardize(std::size_t rows, std::size_t rewards, const Get& get) {
    z.resize(rows, rewards);
    target.resize(rows);
    for (std::size_t k = 0; k < rewards; ++k) {
      z_scores(
          rows, [&](std::size_t i) { return get(i, k); }, [&](std::size_t i, double value) { z(i, k) = value; });
    }
  }
};

}  // namespace maestro
