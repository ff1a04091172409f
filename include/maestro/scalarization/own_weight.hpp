#pragma once

/// @file
/// The own-weight baseline: each response is judged against its whole group under its own weights. Neutral.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/checks.hpp"
#include "maestro/scalarization/group_blocks.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/weighed_block.hpp"

namespace maestro {

/// Centering says whether the group's mean advantage is subtracted at the end.
enum class Centering {
  group_mean,  ///< A minus the group's mean A
  none,        ///< A as it is
};

/// OwnWeightBaseline is made from these options.
struct OwnWeightOptions {
  double epsilon = 1e-8;  ///< added to the variance, under the root; at least 0
  int ddof = 1;           ///< of the covariance, 0 or 1
  Centering center = Centering::group_mean;
  Normalizer normalizer{};
};

namespace detail {

/// Works on one block of groups after another. Column k < K belongs to a reward, column K, if there are penalties,
/// to them: a reward of weight -1.
class OwnWeightWorker {
 public:
  OwnWeightWorker(const OwnWeightOptions& options, const ScalarizationInput& in, const ScalarizationOutput& out)
      : options_(options),
        out_(out),
        columns_(in.rewards.cols() + (in.penalty.empty() ? 0 : 1)),
        weighed_(in, without_none({&options.normalizer, 1}),
                 out.counterfactuals.empty() ? Actions::own : Actions::all) {}

  /// Advantages, and counterfactuals if asked for, of one block. False for a value not admissible.
  bool work(const GroupBlock& block) {
    if (!weighed_.read(block)) return false;
    weighed_.make_lanes();
    size_ = block.size;
    groups_ = block.groups();
    fill_std_devs();
    weighed_.zero_missing();
    weighed_.scalars(scalars_);
    if (!out_.scalar_rewards.empty()) to_rows(block, scalars_.data(), out_.scalar_rewards.data() + block.begin());
    fill_covariances();
    find_advantages();
    to_rows(block, results_.data(), out_.advantages.data() + block.begin());
    if (!out_.counterfactuals.empty()) find_counterfactuals();
    return true;
  }

 private:
  /// Reward minus the group's mean, 0 if missing or left out.
  void fill_std_devs() {
    const std::size_t width = columns_ * groups_;
    std_devs_.resize(size_ * width);
    for (std::size_t j = 0; j < size_; ++j) {
      double* d = std_devs_.data() + j * width;
      d = std::copy_n(weighed_.reward(j, 0), weighed_.count() * groups_, d);
      if (columns_ == weighed_.count()) continue;
      for (std::size_t g = 0; g < groups_; ++g) {
        d[g] = weighed_.left_out(g, j) ? std::numeric_limits<double>::quiet_NaN() : weighed_.penalty(j)[g];
      }
    }
    moments_.resize(width);
    moments_.find_means(size_, weighed_.gaps(), [&](std::size_t j) { return std_devs_.data() + j * width; });
    const double* mean = moments_.means();
    for (std::size_t j = 0; j < size_; ++j) {
      double* d = std_devs_.data() + j * width;
      for (std::size_t q = 0; q < width; ++q) d[q] = present_or_zero(d[q] - mean[q]);
    }
  }

  /// covariances_ (columns x columns x groups): C of every group.
  void fill_covariances() {
    degrees_.assign(groups_, -static_cast<double>(options_.ddof));
    for (std::size_t j = 0; j < size_; ++j) {
      const double* scalar = scalars_.data() + j * groups_;
      for (std::size_t g = 0; g < groups_; ++g) degrees_[g] += scalar[g] == scalar[g] ? 1.0 : 0.0;
    }
    covariances_.assign(columns_ * columns_ * groups_, 0.0);
    for (std::size_t k = 0; k < columns_; ++k) {
      for (std::size_t l = k; l < columns_; ++l) fill_covariance(k, l);
    }
  }
  void fill_covariance(std::size_t k, std::size_t l) {
    double* sum = covariances_.data() + (k * columns_ + l) * groups_;
    for (std::size_t j = 0; j < size_; ++j) {
      const double* a = std_dev(j, k);
      const double* b = std_dev(j, l);
      for (std::size_t g = 0; g < groups_; ++g) sum[g] = multiply_add(a[g], b[g], sum[g]);
    }
    for (std::size_t g = 0; g < groups_; ++g) {
      sum[g] = (degrees_[g] > 0.0 ? sum[g] : 0.0) / (degrees_[g] > 0.0 ? degrees_[g] : 1.0);
    }
    std::copy_n(sum, groups_, covariances_.data() + (l * columns_ + k) * groups_);
  }

  const double* std_dev(std::size_t j, std::size_t k) const { return std_devs_.data() + (j * columns_ + k) * groups_; }
  const double* covariance(std::size_t k, std::size_t l) const {
    return covariances_.data() + (k * columns_ + l) * groups_;
  }

  /// For member j of every group: projections_ = w.d, spreads_ (columns x groups) = C w, variances_ = w' C w.
  /// @param weights  weights(k): (groups)
  template <class Weights>
  void project(std::size_t j, const Weights& weights) {
    projections_.assign(groups_, 0.0);
    variances_.assign(groups_, 0.0);
    spreads_.assign(columns_ * groups_, 0.0);
    for (std::size_t k = 0; k < columns_; ++k) {
      double* spread = spreads_.data() + k * groups_;
      for (std::size_t l = 0; l < columns_; ++l) {
        const double* c = covariance(k, l);
        const double* w = weights(l);
        for (std::size_t g = 0; g < groups_; ++g) spread[g] = multiply_add(c[g], w[g], spread[g]);
      }
      const double* w = weights(k);
      const double* d = std_dev(j, k);
      for (std::size_t g = 0; g < groups_; ++g) {
        projections_[g] = multiply_add(w[g], d[g], projections_[g]);
        variances_[g] = multiply_add(w[g], spread[g], variances_[g]);
      }
    }
  }

  /// advantages (width) of the projections and variances beside them.
  void evaluate(std::size_t width, const double* projections, const double* variances, double* advantages) {
    roots_.resize(width);
    for (std::size_t q = 0; q < width; ++q) roots_[q] = (variances[q] > 0.0 ? variances[q] : 0.0) + options_.epsilon;
    square_roots(roots_.data(), width);
    for (std::size_t q = 0; q < width; ++q) {
      advantages[q] = own_weight_advantage(projections[q], variances[q], roots_[q]);
    }
  }

  void find_advantages() {
    advantages_.resize(size_ * groups_);
    minus_one_.assign(groups_, -1.0);
    for (std::size_t j = 0; j < size_; ++j) {
      double* advantage = advantages_.data() + j * groups_;
      project(j, [&](std::size_t k) { return k < weighed_.count() ? weighed_.weight(j, k) : minus_one_.data(); });
      evaluate(groups_, projections_.data(), variances_.data(), advantage);
      const double* scalar = scalars_.data() + j * groups_;
      for (std::size_t g = 0; g < groups_; ++g) advantage[g] = scalar[g] == scalar[g] ? advantage[g] : scalar[g];
    }
    center_.resize(groups_);
    if (options_.center == Centering::group_mean) {
      const auto advantage = [&](std::size_t j) { return advantages_.data() + j * groups_; };
      center_.find_means(size_, weighed_.gaps(), advantage);
    } else {
      center_.assign(1, 0, [](std::size_t) { return Moments{}; });
    }
    results_.resize(size_ * groups_);
    const double* mean = center_.means();
    for (std::size_t j = 0; j < size_; ++j) {
      const double* advantage = advantages_.data() + j * groups_;
      float* to = results_.data() + j * groups_;
      for (std::size_t g = 0; g < groups_; ++g) to[g] = present_or_zero(static_cast<float>(advantage[g] - mean[g]));
    }
  }

  /// Under another action one weight is larger by the emphasis e: w.d grows by e d_a, w' C w by 2 e (C w)_a + e^2 C_aa.
  void find_counterfactuals() {
    const std::size_t width = weighed_.count() * groups_;
    const double e = weighed_.emphasis();
    other_projections_.resize(width);
    other_variances_.resize(width);
    others_.resize(width);
    for (std::size_t j = 0; j < size_; ++j) {
      project(j, [&](std::size_t k) { return k < weighed_.count() ? weighed_.base(j, k) : minus_one_.data(); });
      for (std::size_t a = 0; a < weighed_.count(); ++a) {
        const double* d = std_dev(j, a);
        const double* spread = spreads_.data() + a * groups_;
        const double* own = covariance(a, a);
        for (std::size_t g = 0; g < groups_; ++g) {
          other_projections_[a * groups_ + g] = multiply_add(e, d[g], projections_[g]);
          other_variances_[a * groups_ + g] =
              multiply_add(e * e, own[g], multiply_add(2.0 * e, spread[g], variances_[g]));
        }
      }
      evaluate(width, other_projections_.data(), other_variances_.data(), others_.data());
      for (std::size_t a = 0; a < weighed_.count(); ++a) center_others(j, others_.data() + a * groups_);
      write_counterfactuals(j);
    }
  }

  /// Subtracts from member j's other advantages (groups) the group's mean as it then would be.
  void center_others(std::size_t j, double* others) const {
    const double* count = center_.counts();
    const double* mean = center_.means();
    const double* own = advantages_.data() + j * groups_;
    for (std::size_t g = 0; g < groups_; ++g) others[g] -= replace_one(count[g], mean[g], own[g], others[g]);
  }

  void write_counterfactuals(std::size_t j) const {
    for (std::size_t g = 0; g < groups_; ++g) {
      if (j >= weighed_.block().size_of(g)) continue;
      const std::size_t i = weighed_.block().offsets[g] + j;
      for (std::size_t a = 0; a < weighed_.count(); ++a) {
        const bool same = weighed_.left_out(g, j) || weighed_.drew(g, j, a);
        out_.counterfactuals(i, a) = same ? out_.advantages[i] : static_cast<float>(others_[a * groups_ + g]);
      }
    }
  }

  const OwnWeightOptions& options_;
  ScalarizationOutput out_;
  std::size_t columns_;
  WeighedBlock weighed_;
  std::size_t size_ = 0;            // of the block's groups
  std::size_t groups_ = 0;          // of the block
  AlignedVector<double> std_devs_;  // (size x columns x groups)
  LaneMoments moments_;             // of the columns
  AlignedVector<double> scalars_;   // (size x groups)
  AlignedVector<double> degrees_;   // (groups)
  AlignedVector<double> covariances_;
  AlignedVector<double> projections_;
  AlignedVector<double> variances_;
  AlignedVector<double> spreads_;
  AlignedVector<double> minus_one_;
  AlignedVector<double> roots_;
  AlignedVector<double> advantages_;  // (size x groups) before centering; NaN for the rows left out
  LaneMoments center_;                // (groups); of no values if nothing is centered
  AlignedVector<float> results_;
  AlignedVector<double> other_projections_;  // (K x groups), as are the next
  AlignedVector<double> other_variances_;
  AlignedVector<double> others_;
};

}  // namespace detail

/// Each response against its whole group under its own weights:
/// A_i = w_i'(r_i - mean r) / sqrt(w_i' C w_i + epsilon), mean vector and covariance C over the group; then minus the
/// group's mean A, since each response under its own best criterion would otherwise be praised on average.
/// A missing reward counts as the group's mean of that reward (deviation 0, so C stays positive semidefinite); a row
/// whose rewards are all missing is left out and gets 0. The penalty is one more reward of weight -1.
/// Equal rewards give exactly 0 under any weights. C does not depend on the weights, so that all K
/// counterfactuals of a response cost O(K^2) together; the mean A follows the one advantage that changed.
/// Deterministic; O(B K^2).
/// @throws BadArgument in the constructor for options out of domain; BadData as scalarization/advantages.hpp says.
/// Source: ours; the paper (arXiv 2601.07208) compares scalar rewards that were made with different weights.
class OwnWeightBaseline {
 public:
  explicit OwnWeightBaseline(const OwnWeightOptions& options = {}) : options_(options) {
    check(options.normalizer);
    require(options.ddof == 0 || options.ddof == 1, "own-weight baseline: ddof must be 0 or 1");
    require(std::isfinite(options.epsilon) && options.epsilon >= 0.0,
            "own-weight baseline: epsilon must be finite and not negative");
  }

  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm&) const {
    check_shapes(in, out);
    const std::size_t count = in.rewards.cols();
    const bool with_others = !out.counterfactuals.empty();
    std::atomic<bool> admissible = std::isfinite(in.decision.emphasis);
    for_each_block(
        in.groups, count, count * (2 * count + 8), [&] { return detail::OwnWeightWorker(options_, in, out); },
        [&](detail::OwnWeightWorker& worker, const GroupBlock& block) {
          if (!worker.work(block)) admissible = false;
        });
    if (!admissible) throw_bad_value(in, with_others);
  }

  const OwnWeightOptions& options() const { return options_; }

 private:
  OwnWeightOptions options_;
};

}  // namespace maestro
