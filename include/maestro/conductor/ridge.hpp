#pragma once

/// @file
/// Ridge regression that is updated row by row.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/statistics.hpp"

namespace maestro {

/// Ridge keeps the solution of M ridge regressions on the same D features,
///
///     theta = argmin lambda |theta|^2 + sum over rows of (y - theta . f)^2,   P = (lambda I + sum of f f')^-1,
///
/// in double by rank-one updates (recursive least squares): v = P f, s = 1 + f . v, theta += v (y - theta . f) / s,
/// P -= v v' / s. P stays symmetric to the bit. A row costs O(D^2 + M D); the state is D (D + M) doubles. Results do
/// not depend on the number of threads.
class Ridge {
 public:
  /// Starts without rows: theta 0, P = I / lambda.
  /// @throws BadArgument if a size is 0, or unless lambda is finite and above 0.
  void start(std::size_t features, std::size_t targets, double lambda) {
    require(features > 0 && targets > 0, "ridge: there must be at least one feature and one target");
    require(lambda > 0.0 && std::isfinite(lambda), "ridge: lambda must be finite and above 0");
    theta_.assign(targets, features, 0.0);
    inverse_.assign(features, features, 0.0);
    for (std::size_t i = 0; i < features; ++i) inverse_(i, i) = 1.0 / lambda;
  }
  /// Gives D; 0 before the start.
  std::size_t features() const { return inverse_.rows(); }
  /// Gives theta (M x D).
  MatrixView<const double> theta() const { return theta_.view(); }
  /// Gives P (D x D).
  MatrixView<const double> inverse() const { return inverse_.view(); }

  /// Gives theta_m . f.
  double predict(std::size_t target, std::span<const double> f) const { return dot(theta_.row(target), f); }

  /// Adds a row: features f (D) and their M target values.
  void add(std::span<const double> f, std::span<const double> values) {
    direction(f);
    const double s = 1.0 + dot(f, direction_);
    for (std::size_t m = 0; m < theta_.rows(); ++m) {
      const double step = (values[m] - predict(m, f)) / s;
      const std::span<double> row = theta_.row(m);
      for (std::size_t j = 0; j < row.size(); ++j) row[j] = multiply_add(step, direction_[j], row[j]);
    }
    const double scale = 1.0 / std::sqrt(s);
    for (double& v : direction_) v *= scale;
    parallel_for(features(), features(), [&](std::size_t i) {
      const std::span<double> row = inverse_.row(i);
      const double minus = -direction_[i];
      for (std::size_t j = 0; j < row.size(); ++j) row[j] = multiply_add(minus, direction_[j], row[j]);
    });
  }

  /// Multiplies the weight of earlier rows by `keep`: P /= keep. The trace of P grows to `max_trace` at most, so that P
  /// stays bounded in directions without new rows. theta does not change.
  void forget(double keep, double max_trace) {
    if (!(keep < 1.0)) return;
    double trace = 0.0;
    for (std::size_t i = 0; i < features(); ++i) trace += inverse_(i, i);
    const double factor = std::min(1.0 / keep, max_trace / trace);
    if (!(factor > 1.0)) return;
    for (double& p : inverse_.flat()) p *= factor;
  }

  /// Gives f' P f for features that are 0 except for f from index `first` on.
  double uncertainty(std::span<const double> f, std::size_t first = 0) const {
    double sum = 0.0;
    for (std::size_t i = 0; i < f.size(); ++i) {
      sum = multiply_add(f[i], dot(inverse_.row(first + i).subspan(first, f.size()), f), sum);
    }
    return sum;
  }

  /// @throws BadFile if theta and P do not fit each other, or are not finite.
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("theta", theta_);
    v("inverse", inverse_);
    const auto finite = [](std::span<const double> values) {
      return std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
    };
    if (inverse_.rows() != inverse_.cols() || theta_.cols() != inverse_.cols() || !finite(theta_.flat()) ||
        !finite(inverse_.flat())) {
      throw BadFile("ridge: the stored state does not fit together: theta " + std::to_string(theta_.rows()) + " x " +
                    std::to_string(theta_.cols()) + ", inverse " + std::to_string(inverse_.rows()) + " x " +
                    std::to_string(inverse_.cols()));
    }
  }

 private:
  static double dot(std::span<const double> a, std::span<const double> b) {
    double sum = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) sum = multiply_add(a[i], b[i], sum);
    return sum;
  }
  /// Computes v = P f.
  void direction(std::span<const double> f) {
    direction_.resize(features());
    parallel_for(features(), features(), [&](std::size_t i) { direction_[i] = dot(inverse_.row(i), f); });
  }

  Matrix<double> theta_;    // (M x D)
  Matrix<double> inverse_;  // P (D x D)
  AlignedVector<double> direction_;
};

}  // namespace maestro
