#pragma once

/// @file
/// The library's scalarizations on an executor: what to launch for each. Neutral.

#include <cmath>
#include <cstddef>
#include <utility>
#include <variant>

#include "maestro/core/error.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/scalarization/by_moments.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/cuda/scalarization/own_weight.hpp"
#include "maestro/cuda/scalarization/reward_batch.hpp"
#include "maestro/scalarization/advantage_formulas.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/scalarization/own_weight.hpp"

namespace maestro::gpu {

/// Advantages of K rewards from rewards, weights and groups that lie in the executor's memory: the same strategies, by
/// the same formulas, as on the host.
///
///     gpu::Scalarizer<gpu::StreamExecutor, 5> scalarize(executor);
///     scalarize(DefaultScalarization{}, {.rewards = r, .weights = w, .groups = gpu::GroupLayout::uniform(n, 8)},
///               {.advantages = a}, record.data());
///
/// One launch for formulas of the group, three for those of the batch (Gdpo, scale `batch`). It enqueues and returns;
/// nothing is allocated once the largest batch has been seen. In double; identical from run to run; equal to the host
/// to the bit in groups of up to 64 rows, but for the batch's moments, and for compilers that fuse other products.
/// Bad data is reported as scalarization/advantages.hpp says; the batch's advantages are then not to be used.
template <Executor E, std::size_t K>
class Scalarizer {
 public:
  explicit Scalarizer(E& executor) : executor_(&executor) {}

  /// @param record  what bad data is reported to (FaultRecord::data)
  /// @throws BadArgument where a pointer or a size is missing; BadData for an emphasis that is not finite.
  void operator()(const GroupRelative& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out,
                  FaultWord* record) {
    const GroupRelativeOptions& o = scalarization.options();
    const Normalizers normalizers{o.normalizer};
    if (o.scale == AdvantageScale::group) {
      return by_moments(GroupStandardize{o.ddof, o.epsilon}, normalizers, in, out, record);
    }
    if (o.scale == AdvantageScale::batch) {
      return by_moments(BatchScale{o.ddof, o.epsilon}, normalizers, in, out, record);
    }
    by_moments(GroupCenter{}, normalizers, in, out, record);
  }
  void operator()(const DrGrpo& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out, FaultWord* record) {
    by_moments(GroupCenter{}, {scalarization.options().normalizer}, in, out, record);
  }
  void operator()(const Rloo& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out, FaultWord* record) {
    by_moments(LeaveOneOut{}, {scalarization.options().normalizer}, in, out, record);
  }
  void operator()(const Gdpo& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out, FaultWord* record) {
    const GdpoOptions& o = scalarization.options();
    by_moments(BatchStandardize{1, o.batch_epsilon}, {o.normalizer, Gdpo::own_normalizer(o)}, in, out, record);
  }
  void operator()(const OwnWeightBaseline& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out,
                  FaultWord* record) {
    check(in, out);
    if (in.groups.rows == 0) return;
    const OwnWeightOptions& o = scalarization.options();
    using Body = ScalarizeByOwnWeight<K>;
    Body body{in, out, o.epsilon, o.ddof, o.center == Centering::group_mean, {o.normalizer}, {}, record, nullptr};
    body.tiling = tile(in.groups, Body::per_row, Body::per_group);
    body.workspace = workspace_for(body.tiling, Body::per_row, Body::per_group);
    executor_->launch(body.tiling.teams(), body);
  }
  void operator()(const AnyScalarization& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out,
                  FaultWord* record) {
    std::visit([&](const auto& chosen) { (*this)(chosen, in, out, record); }, scalarization.get());
  }

 private:
  static void check(const RewardBatch<K>& in, const AdvantageBatch& out) {
    if (in.groups.rows == 0) return;
    require(in.rewards != nullptr && in.weights != nullptr, "scalarization: rewards and weights (B x K) are needed");
    require(out.advantages != nullptr, "scalarization: advantages (B) are needed");
    require(in.groups.largest > 0, "scalarization: the layout's largest group must be given");
    if (out.counterfactuals == nullptr) return;
    require(in.base != nullptr, "scalarization: counterfactuals need base (B x K); this Conductor gives none");
    throw_bad_emphasis(in.emphasis);
  }

  GroupTiling tile(const GroupLayout& layout, std::size_t per_row, std::size_t per_group) const {
    return tile_groups(layout, per_row, per_group, executor_->shared_limit());
  }
  double* workspace_for(const GroupTiling& tiling, std::size_t per_row, std::size_t per_group) {
    if (tiling.layout.largest <= tiling.max_rows) return nullptr;
    workspace_.reserve(tiling.layout.rows * per_row + tiling.layout.groups * per_group);
    return workspace_.data();
  }

  template <class Formula>
  void by_moments(const Formula& formula, const Normalizers& normalizers, const RewardBatch<K>& in,
                  const AdvantageBatch& out, FaultWord* record) {
    check(in, out);
    if (in.groups.rows == 0) return;
    if constexpr (Formula::batch == MomentUse::none) {
      launch_part(body_of<MomentPart::whole>(formula, normalizers, in, out, record));
    } else {
      const auto weigh = body_of<MomentPart::weigh>(formula, normalizers, in, out, record);
      launch_part(weigh);
      executor_->launch(1, MergeMoments{partial_.data(), weigh.tiling.teams(), batch_.data()});
      launch_part(body_of<MomentPart::finish>(formula, normalizers, in, out, record));
    }
  }
  template <class Body>
  void launch_part(const Body& body) {
    executor_->launch(body.tiling.teams(), body);
  }

  template <MomentPart Part, class Formula>
  auto body_of(const Formula& formula, const Normalizers& normalizers, const RewardBatch<K>& in,
               const AdvantageBatch& out, FaultWord* record) {
    using Body = ScalarizeByMoments<K, Formula, Part>;
    Body body{in, out, formula, normalizers, {}, record};
    const std::size_t per_row = Body::per_row(normalizers);
    body.tiling = tile(in.groups, per_row, Body::max_per_group);
    body.workspace = workspace_for(body.tiling, per_row, Body::max_per_group);
    if constexpr (Part != MomentPart::whole) {
      scalars_.reserve(in.groups.rows);
      partial_.reserve(body.tiling.teams());
      batch_.reserve(1);
      body.scalars = scalars_.data();
      body.partial = partial_.data();
      body.batch = batch_.data();
    }
    return body;
  }

  E* executor_;
  typename E::template Buffer<double> workspace_;
  typename E::template Buffer<double> scalars_;
  typename E::template Buffer<Moments> partial_;
  typename E::template Buffer<Moments> batch_;
};

}  // namespace maestro::gpu
