#pragma once

/// @file
/// Figures of multi-objective optimization for a set of policies, each a point of K mean rewards: which of them no
/// other dominates, and how good the set is. Larger is better in every objective.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/random.hpp"
#include "maestro/core/views.hpp"

namespace maestro {

namespace detail {

/// Tells whether a is at least as good as b in every objective and better in one.
inline bool dominates(std::span<const double> a, std::span<const double> b) {
  bool better = false;
  for (std::size_t k = 0; k < a.size(); ++k) {
    if (a[k] < b[k]) return false;
    better = better || a[k] > b[k];
  }
  return better;
}

inline void check_points(MatrixView<const double> points, std::size_t objectives, const char* what) {
  if (points.cols() != objectives && points.rows() > 0) {
    throw BadArgument(std::string(what) + ": points of " + std::to_string(points.cols()) + " objectives, expected " +
                      std::to_string(objectives));
  }
  for (std::size_t i = 0; i < points.rows(); ++i) {
    for (const double value : points.row(i)) {
      if (std::isfinite(value)) continue;
      throw BadData(std::string(what) + ": point " + std::to_string(i) + " is not finite");
    }
  }
}

/// Gives the volume that the points, each (K) and above the reference, dominate, summed over slices along the last
/// objective.
inline double sliced_volume(std::vector<std::vector<double>> points, std::size_t objectives,
                            std::span<const double> reference) {
  if (points.empty()) return 0.0;
  if (objectives == 1) {
    double best = reference[0];
    for (const auto& point : points) best = std::max(best, point[0]);
    return best - reference[0];
  }
  const std::size_t last = objectives - 1;
  std::sort(points.begin(), points.end(), [&](const auto& a, const auto& b) { return a[last] > b[last]; });
  double volume = 0.0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double below = i + 1 < points.size() ? points[i + 1][last] : reference[last];
    const double height = points[i][last] - below;
    if (!(height > 0.0)) continue;
    const auto end = points.begin() + static_cast<std::ptrdiff_t>(i + 1);
    volume += height * sliced_volume({points.begin(), end}, last, reference);
  }
  return volume;
}

}  // namespace detail

/// Gives the indices of the points (n x K) that no other point dominates, in ascending order; of equal points the
/// first. O(n^2 K).
/// @throws BadData naming a point that is not finite.
inline std::vector<std::size_t> pareto_front(MatrixView<const double> points) {
  detail::check_points(points, points.cols(), "pareto_front");
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < points.rows(); ++i) {
    bool beaten = false;
    for (std::size_t j = 0; j < points.rows() && !beaten; ++j) {
      const bool same = std::ranges::equal(points.row(j), points.row(i));
      beaten = detail::dominates(points.row(j), points.row(i)) || (same && j < i);
    }
    if (!beaten) front.push_back(i);
  }
  return front;
}

/// Gives the hypervolume: the volume that the points (n x K) dominate above the reference (K). A point that does not
/// exceed the reference in every objective adds nothing. The result is exact; the cost O(n^(K-1) log n) suits K up to 4
/// and some hundred points.
/// @throws BadArgument for another number of objectives; BadData naming a point that is not finite.
inline double hypervolume(MatrixView<const double> points, std::span<const double> reference) {
  detail::check_points(points, reference.size(), "hypervolume");
  std::vector<std::vector<double>> above;
  for (const std::size_t i : pareto_front(points)) {
    const std::span<const double> point = points.row(i);
    bool exceeds = true;
    for (std::size_t k = 0; k < reference.size(); ++k) exceeds = exceeds && point[k] > reference[k];
    if (exceeds) above.emplace_back(point.begin(), point.end());
  }
  return detail::sliced_volume(std::move(above), reference.size(), reference);
}

/// Estimates the volume that `point` (K) dominates above the reference (K) and none of the others (n x K) does. It
/// draws `draws` uniform points in the box between reference and point; the estimate is the box's volume times the
/// share of them that no other point dominates. It is 0 unless the point exceeds the reference in every objective. It
/// serves any K; its standard error is at most box / (2 sqrt(draws)). O(draws n K).
/// @throws BadArgument for different numbers of objectives or no draw; BadData naming a point that is not finite.
inline double exclusive_volume(MatrixView<const double> others, std::span<const double> point,
                               std::span<const double> reference, std::size_t draws, const RandomStream& stream) {
  require(draws > 0, "exclusive_volume: there must be a draw");
  detail::check_points(others, reference.size(), "exclusive_volume");
  detail::check_points({point.data(), 1, point.size()}, reference.size(), "exclusive_volume");
  double box = 1.0;
  for (std::size_t k = 0; k < point.size(); ++k) box *= std::max(point[k] - reference[k], 0.0);
  if (!(box > 0.0)) return 0.0;
  std::vector<double> drawn(point.size());
  std::size_t alone = 0;
  std::uint32_t place = 0;
  for (std::size_t d = 0; d < draws; ++d) {
    for (std::size_t k = 0; k < drawn.size(); ++k) {
      drawn[k] = reference[k] + stream.uniform(place++) * (point[k] - reference[k]);
    }
    bool covered = false;
    for (std::size_t i = 0; i < others.rows() && !covered; ++i) {
      const auto row = others.row(i);
      covered = std::equal(drawn.begin(), drawn.end(), row.begin(), [](double x, double other) { return x <= other; });
    }
    if (!covered) ++alone;
  }
  return box * static_cast<double>(alone) / static_cast<double>(draws);
}

/// Gives the sparsity of a front (n x K): 1/(n - 1) times the sum, over objectives, of the squared gaps between
/// neighbors in the order of that objective. It is 0 for fewer than two points; a denser front has a smaller value.
/// Source: Xu et al. 2020 (PGMORL).
inline double sparsity(MatrixView<const double> front) {
  if (front.rows() < 2) return 0.0;
  double sum = 0.0;
  std::vector<double> values(front.rows());
  for (std::size_t k = 0; k < front.cols(); ++k) {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = front(i, k);
    std::sort(values.begin(), values.end());
    for (std::size_t i = 1; i < values.size(); ++i) sum += (values[i] - values[i - 1]) * (values[i] - values[i - 1]);
  }
  return sum / static_cast<double>(front.rows() - 1);
}

/// Gives the mean, over weights w drawn uniformly from the simplex, of max over the points (n x K) of w . point. The
/// seed determines the draws.
/// @throws BadArgument if there is no point or no draw.
/// Source: Zintgraf et al. 2015 (expected utility metric).
inline double expected_utility(MatrixView<const double> points, std::size_t draws = 1000, std::uint64_t seed = 0) {
  require(points.rows() > 0 && draws > 0, "expected_utility: there must be a point and a draw");
  detail::check_points(points, points.cols(), "expected_utility");
  std::vector<double> w(points.cols());
  double total = 0.0;
  for (std::size_t d = 0; d < draws; ++d) {
    const RandomStream stream({.seed = seed, .purpose = Purpose::random_weights, .row = static_cast<std::uint32_t>(d)});
    double sum = 0.0;
    for (std::size_t k = 0; k < w.size(); ++k) {
      w[k] = -std::log1p(-stream.uniform(static_cast<std::uint32_t>(k)));
      sum += w[k];
    }
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < points.rows(); ++i) {
      double utility = 0.0;
      for (std::size_t k = 0; k < w.size(); ++k) utility += w[k] / sum * points(i, k);
      best = std::max(best, utility);
    }
    total += best;
  }
  return total / static_cast<double>(draws);
}

/// Gives the inverted generational distance: the mean, over the points of the known front, of the Euclidean distance to
/// the nearest point that was found. 0 means that the whole front was found.
/// @throws BadArgument if either set is empty, or for different numbers of objectives; BadData naming a point that is
///   not finite.
inline double inverted_generational_distance(MatrixView<const double> found, MatrixView<const double> front) {
  require(found.rows() > 0 && front.rows() > 0, "inverted_generational_distance: both sets need points");
  detail::check_points(found, front.cols(), "inverted_generational_distance");
  double total = 0.0;
  for (std::size_t f = 0; f < front.rows(); ++f) {
    double nearest = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < found.rows(); ++i) {
      double squares = 0.0;
      for (std::size_t k = 0; k < front.cols(); ++k) {
        squares += (found(i, k) - front(f, k)) * (found(i, k) - front(f, k));
      }
      nearest = std::min(nearest, squares);
    }
    total += std::sqrt(nearest);
  }
  return total / static_cast<double>(front.rows());
}

/// ParetoArchive keeps the points that no other point dominates, each with the number of its owner (a step or a
/// policy).
class ParetoArchive {
 public:
  /// @throws BadArgument if there are no objectives.
  explicit ParetoArchive(std::size_t objectives) : objectives_(objectives) {
    require(objectives > 0, "ParetoArchive: there must be an objective");
  }
  /// Adds a point (K) unless a kept point dominates or equals it, and returns whether it was added. Kept points that it
  /// dominates are removed.
  /// @throws BadArgument for another number of objectives; BadData for a point that is not finite.
  bool add(std::span<const double> point, std::uint64_t owner) {
    detail::check_points({point.data(), 1, point.size()}, objectives_, "ParetoArchive");
    for (std::size_t i = 0; i < size(); ++i) {
      if (detail::dominates(points().row(i), point) || std::ranges::equal(points().row(i), point)) return false;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size(); ++i) {
      if (detail::dominates(point, points().row(i))) continue;
      std::copy_n(values_.begin() + static_cast<std::ptrdiff_t>(i * objectives_), objectives_,
                  values_.begin() + static_cast<std::ptrdiff_t>(kept * objectives_));
      owners_[kept++] = owners_[i];
    }
    owners_.resize(kept);
    values_.resize(kept * objectives_);
    values_.insert(values_.end(), point.begin(), point.end());
    owners_.push_back(owner);
    return true;
  }
  std::size_t size() const { return owners_.size(); }
  /// Gives the points (n x K) in the order in which they were added. The view is valid until the next call of add.
  MatrixView<const double> points() const { return {values_.data(), size(), objectives_}; }
  std::span<const std::uint64_t> owners() const { return owners_; }

  /// @throws BadFile if the numbers of stored values and owners do not fit together.
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("values", values_);
    v("owners", owners_);
    if (values_.size() != owners_.size() * objectives_) {
      throw BadFile("ParetoArchive: " + std::to_string(values_.size()) + " stored values for " +
                    std::to_string(owners_.size()) + " points");
    }
  }

 private:
  std::size_t objectives_;
  std::vector<double> values_;  // (n x K)
  std::vector<std::uint64_t> owners_;
};

}  // namespace maestro
