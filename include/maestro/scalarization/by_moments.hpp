#pragma once

/// @file
/// Advantages from the moments of the scalar rewards, over the group or the batch. Neutral.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>

#include "maestro/core/buffer.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/batch_moments.hpp"
#include "maestro/scalarization/checks.hpp"
#include "maestro/scalarization/group_blocks.hpp"
#include "maestro/scalarization/lanes.hpp"
#include "maestro/scalarization/normalize.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/scalarization/weighed_block.hpp"

namespace maestro {

namespace detail {

/// Works on one block after another; what scalarize_by_moments shares among threads.
template <class Formula>
class MomentWorker {
 public:
  MomentWorker(const Formula& formula, std::span<const Normalizer> normalizers, const ScalarizationInput& in,
               const ScalarizationOutput& out)
      : formula_(formula),
        out_(out),
        raw_(normalizers.empty() && out.counterfactuals.empty()),
        weighed_(in, normalizers, out.counterfactuals.empty() ? Actions::own : Actions::all) {}

  /// Computes the scalar rewards of a block. False for a value not admissible.
  bool weigh(const GroupBlock& block) {
    if (raw_) {
      if (!weighed_.read_scalars(block, scalars_)) return false;
    } else {
      if (!weighed_.read(block)) return false;
      weighed_.make_lanes();
      weighed_.zero_missing();
      weighed_.scalars(scalars_);
    }
    if (!out_.scalar_rewards.empty()) to_rows(block, scalars_.data(), out_.scalar_rewards.data() + block.begin());
    return true;
  }

  /// The scalar rewards that weigh() computed, row after row.
  void save_scalars(const GroupBlock& block, double* rows) const { to_rows(block, scalars_.data(), rows); }
  /// The opposite, instead of weigh().
  void load_scalars(const GroupBlock& block, const double* rows) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    to_lanes(block, MatrixView<const double>(rows, block.rows(), 1), nan, scalars_);
  }

  /// Advantages, and counterfactuals if asked for, of the block that was weighed last.
  void finish(const GroupBlock& block, const Moments& batch) {
    const std::size_t groups = block.groups();
    const double* scalars = scalars_.data();
    gaps_ = any_missing(scalars, scalars_.size());
    group_.resize(groups);
    find_figures(block.size, group_, [&](std::size_t j) { return scalars + j * groups; });
    const Figures batch_figures = figures_of(batch, formula_.ddof);
    advantages_.resize(block.places());
    for (std::size_t j = 0; j < block.size; ++j) {
      float* to = advantages_.data() + j * groups;
      for (std::size_t g = 0; g < groups; ++g) {
        const AdvantageLine line = formula_(group_.figures(g), batch_figures);
        to[g] = present_or_zero(static_cast<float>(line(scalars[j * groups + g])));
      }
    }
    to_rows(block, advantages_.data(), out_.advantages.data() + block.begin());
    if (!out_.counterfactuals.empty()) find_counterfactuals(block, batch);
  }

 private:
  /// What the formula reads of a group, in every lane of `moments`.
  template <class Value>
  void find_figures(std::size_t size, LaneMoments& moments, const Value& value) const {
    if constexpr (Formula::group != MomentUse::none) moments.find_means(size, gaps_, value);
    if constexpr (Formula::group == MomentUse::std_dev) moments.find_std_devs(formula_.ddof, size, gaps_, value);
  }

  void find_counterfactuals(const GroupBlock& block, const Moments& batch) {
    const std::size_t count = weighed_.count();
    const std::size_t groups = block.groups();
    const std::size_t width = count * groups;
    own_.resize(block.size * width);
    others_.resize(block.size * width);
    for (std::size_t j = 0; j < block.size; ++j) {
      for (std::size_t k = 0; k < count; ++k) {
        std::copy_n(scalars_.data() + j * groups, groups, own_.data() + j * width + k * groups);
        weighed_.scalars(j, k, others_.data() + j * width + k * groups);
      }
    }
    changed_group_.resize(width);
    changed_batch_.resize(width);
    results_.resize(width);
    for (std::size_t j = 0; j < block.size; ++j) {
      change_member(block.size, j, batch);
      write_counterfactuals(block, j);
    }
  }

  /// results_ (K x groups): advantages of `member` had it drawn action k while the others keep theirs.
  void change_member(std::size_t size, std::size_t member, const Moments& batch) {
    const std::size_t width = results_.size();
    const double* own = own_.data() + member * width;
    const double* other = others_.data() + member * width;
    find_figures(size, changed_group_, [&](std::size_t j) { return j == member ? other : own_.data() + j * width; });
    if constexpr (Formula::batch != MomentUse::none) {
      const auto changed = [&](std::size_t q) { return replace_one(batch, own[q], other[q]); };
      changed_batch_.assign(formula_.ddof, batch.count, changed);
    }
    for (std::size_t q = 0; q < width; ++q) {
      const AdvantageLine line = formula_(changed_group_.figures(q), changed_batch_.figures(q));
      results_[q] = static_cast<float>(line(other[q]));
    }
  }

  void write_counterfactuals(const GroupBlock& block, std::size_t j) {
    const std::size_t groups = block.groups();
    for (std::size_t g = 0; g < groups; ++g) {
      if (j >= block.size_of(g)) continue;
      const std::size_t i = block.offsets[g] + j;
      for (std::size_t k = 0; k < weighed_.count(); ++k) {
        const bool same = weighed_.left_out(g, j) || weighed_.drew(g, j, k);
        out_.counterfactuals(i, k) = same ? out_.advantages[i] : results_[k * groups + g];
      }
    }
  }

  Formula formula_;
  ScalarizationOutput out_;
  bool raw_;
  WeighedBlock weighed_;
  bool gaps_ = false;                // whether a place has no scalar reward
  AlignedVector<double> scalars_;    // (size x groups)
  LaneMoments group_;                // (groups)
  AlignedVector<float> advantages_;  // (size x groups)
  AlignedVector<double> own_;        // (size x K x groups) scalars_, once for every action
  AlignedVector<double> others_;     // (size x K x groups) had the member drawn action k
  LaneMoments changed_group_;        // (K x groups), as are the next
  LaneMoments changed_batch_;
  AlignedVector<float> results_;
};

}  // namespace detail

/// Advantages from the scalar rewards' moments: A_i = line(R_i), line = formula(group, batch); 0 if every reward is
/// missing.
/// Counterfactuals: R_i alone changes. The group's moments are run again over the group (both passes, the bits of a
/// full recomputation), the batch's are updated by replace_one; so both denominators feel the change. The entry of the
/// action taken equals the advantage.
/// One pass over the rewards, two if counterfactuals need the batch. Parallel over groups, deterministic. O(B K),
/// counterfactuals O(B K (G + K)).
/// @param normalizers  applied in turn to every reward before it is weighed
/// @throws BadArgument and BadData as checks.hpp says.
template <class Formula, class Comm>
void scalarize_by_moments(std::span<const Normalizer> normalizers, const ScalarizationInput& in,
                          const ScalarizationOutput& out, Comm& comm, const Formula& formula) {
  check_shapes(in, out);
  const Groups& groups = in.groups;
  const std::size_t count = in.rewards.cols();
  const bool with_others = !out.counterfactuals.empty();
  const std::size_t group_size = groups.rows() / std::max<std::size_t>(groups.count(), 1);
  const std::size_t cost = count * (with_others ? 2 * group_size + count : 2) + 4;
  const auto make_worker = [&] { return detail::MomentWorker<Formula>(formula, without_none(normalizers), in, out); };
  using Worker = detail::MomentWorker<Formula>;
  std::atomic<bool> admissible = std::isfinite(in.decision.emphasis);
  const auto require_admissible = [&] {
    if (!admissible) throw_bad_value(in, with_others);
  };
  if constexpr (Formula::batch == MomentUse::none) {
    for_each_block(groups, count, cost, make_worker, [&](Worker& worker, const GroupBlock& block) {
      if (!worker.weigh(block)) {
        admissible = false;
      } else {
        worker.finish(block, Moments{});
      }
    });
    return require_admissible();
  }
  const auto scalars = std::make_unique_for_overwrite<double[]>(groups.rows());
  for_each_block(groups, count, cost, make_worker, [&](Worker& worker, const GroupBlock& block) {
    if (!worker.weigh(block)) {
      admissible = false;
    } else {
      worker.save_scalars(block, scalars.get() + block.begin());
    }
  });
  require_admissible();
  const double* all = scalars.get();
  const Moments batch = batch_moments(
      groups.rows(), [all](std::size_t i) { return all[i]; }, comm);
  for_each_block(groups, count, cost, make_worker, [&](Worker& worker, const GroupBlock& block) {
    if (with_others) {
      worker.weigh(block);
    } else {
      worker.load_scalars(block, all + block.begin());
    }
    worker.finish(block, batch);
  });
}

}  // namespace maestro
