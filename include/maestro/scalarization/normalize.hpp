#pragma once

/// @file
/// Reward normalizers: what happens to each reward inside its group before the rewards are weighed. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/names.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/core/views.hpp"
#include "maestro/data/groups.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/checks.hpp"
#include "maestro/scalarization/group_blocks.hpp"
#include "maestro/scalarization/lanes.hpp"

namespace maestro {

/// NormalizerKind says what a reward becomes in its group before it is weighed.
enum class NormalizerKind {
  none,     ///< rewards as they are
  z_score,  ///< (r - mean) / (deviation + epsilon) over the group
  rank,     ///< mid-rank / (n - 1) in [0, 1] over the group, 1 the best
};

/// The names of the normalizations stand in the enum's order.
inline constexpr std::array<std::string_view, 3> normalizer_names{"none", "z_score", "rank"};

/// Finds the normalization called `name`.
/// @throws BadArgument listing the known names.
inline NormalizerKind normalizer_from_name(std::string_view name) {
  return static_cast<NormalizerKind>(index_of_name("normalizer", name, normalizer_names));
}

/// How rewards are normalized before they are weighed.
struct Normalizer {
  NormalizerKind kind = NormalizerKind::none;
  int ddof = 1;           ///< z_score: 0 or 1
  double epsilon = 1e-4;  ///< z_score: added to the deviation, at least 0
};

/// Refuses options outside their domains.
/// @throws BadArgument unless ddof is 0 or 1 and epsilon finite and not negative.
inline void check(const Normalizer& normalizer) {
  require(normalizer.ddof == 0 || normalizer.ddof == 1, "normalizer: ddof must be 0 or 1");
  require(std::isfinite(normalizer.epsilon) && normalizer.epsilon >= 0.0,
          "normalizer: epsilon must be finite and not negative");
}

/// `normalizers` from the first one that does something.
inline std::span<const Normalizer> without_none(std::span<const Normalizer> normalizers) {
  while (!normalizers.empty() && normalizers.front().kind == NormalizerKind::none) normalizers = normalizers.subspan(1);
  return normalizers;
}

namespace detail {

/// Normalizes rewards in lanes inside their groups. Scratch that one thread reuses.
class LaneNormalizer {
 public:
  /// @param values  (size x width) every lane one reward of one group; overwritten; NaN stays
  void operator()(const Normalizer& normalizer, std::size_t size, std::size_t width, bool gaps, double* values) {
    if (normalizer.kind == NormalizerKind::z_score) standardize(normalizer, size, width, gaps, values);
    if (normalizer.kind == NormalizerKind::rank) rank(size, width, values);
  }

 private:
  void standardize(const Normalizer& normalizer, std::size_t size, std::size_t width, bool gaps, double* values) {
    moments_.resize(width);
    const auto value = [&](std::size_t j) { return values + j * width; };
    moments_.find_means(size, gaps, value);
    moments_.find_std_devs(normalizer.ddof, size, gaps, value);
    const double* mean = moments_.means();
    const double* std_dev = moments_.std_devs();
    for (std::size_t j = 0; j < size; ++j) {
      double* v = values + j * width;
      for (std::size_t q = 0; q < width; ++q) v[q] = standardized(mean[q], std_dev[q], normalizer.epsilon)(v[q]);
    }
  }

  /// O(size^2) per lane; a group is small.
  void rank(std::size_t size, std::size_t width, double* values) {
    valid_.assign(width, 0.0);
    ranks_.assign(size * width, -0.5);  // an equal value counts one half, the value itself included
    double* valid = valid_.data();
    for (std::size_t j = 0; j < size; ++j) {
      const double* other = values + j * width;
      for (std::size_t q = 0; q < width; ++q) valid[q] += other[q] == other[q] ? 1.0 : 0.0;
      for (std::size_t i = 0; i < size; ++i) {
        const double* own = values + i * width;
        double* rank = ranks_.data() + i * width;
        for (std::size_t q = 0; q < width; ++q) {
          rank[q] += (other[q] < own[q] ? 1.0 : 0.0) + (other[q] == own[q] ? 0.5 : 0.0);
        }
      }
    }
    for (std::size_t i = 0; i < size; ++i) {
      double* own = values + i * width;
      const double* rank = ranks_.data() + i * width;
      for (std::size_t q = 0; q < width; ++q) own[q] = own[q] == own[q] ? unit_rank(rank[q], valid[q]) : own[q];
    }
  }

  LaneMoments moments_;
  AlignedVector<double> valid_;
  AlignedVector<double> ranks_;
};

template <class T>
void convert(MatrixView<const T> from, MatrixView<double> to) {
  for (std::size_t i = 0; i < from.rows(); ++i) {
    for (std::size_t k = 0; k < from.cols(); ++k) to(i, k) = static_cast<double>(from(i, k));
  }
}

}  // namespace detail

/// Normalizes every reward inside its group.
/// @param rewards  (B x K) any finite scale; NaN (missing) stays NaN and is left out of the group's figures.
/// @param groups   partition of the B rows.
/// @param out      (B x K) overwritten; may alias rewards.
/// A constant reward gives exactly 0 as z-score and 0.5 as rank. Two passes, deterministic; O(B K), ranks O(B G K).
/// @throws BadData naming the row and the reward index when a reward is infinite.
template <class T>
void normalize(const Normalizer& normalizer, MatrixView<T> rewards, const Groups& groups, MatrixView<double> out) {
  check(normalizer);
  require(rewards.rows() == groups.rows(), "normalize: rewards must have one row per row of the groups");
  require(out.rows() == rewards.rows() && out.cols() == rewards.cols(), "normalize: out must have the rewards' shape");
  struct Worker {
    AlignedVector<double> lanes;
    detail::LaneNormalizer normalize;
  };
  const std::size_t count = rewards.cols();
  const auto work = [&](Worker& worker, const GroupBlock& block) {
    const MatrixView<const T> rows = rewards.middle_rows(block.begin(), block.rows());
    const MatrixView<double> to = out.middle_rows(block.begin(), block.rows());
    throw_infinite_reward(rows, block.begin());
    if (normalizer.kind == NormalizerKind::none) return detail::convert(rows, to);
    detail::to_lanes(block, rows, std::numeric_limits<double>::quiet_NaN(), worker.lanes);
    const bool gaps = detail::any_missing(worker.lanes.data(), worker.lanes.size());
    worker.normalize(normalizer, block.size, count * block.groups(), gaps, worker.lanes.data());
    detail::to_rows(block, worker.lanes.data(), to);
  };
  for_each_block(
      groups, count, 4 * count, [] { return Worker{}; }, work);
}

}  // namespace maestro
