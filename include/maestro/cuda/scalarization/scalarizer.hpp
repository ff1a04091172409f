#pragma once

/// @file
/// The library's scalarizations on an executor. This header compiles without nvcc and without the CUDA toolkit.

#include <cstddef>
#include <utility>
#include <variant>

#include "maestro/core/error.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/scalarization/estimate.hpp"
#include "maestro/cuda/scalarization/group_tiling.hpp"
#include "maestro/cuda/scalarization/reward_batch.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/checks.hpp"
#include "maestro/scalarization/estimator.hpp"

namespace maestro::gpu {

/// Scalarizer computes advantages from K rewards, weights and groups that lie in the executor's memory. It takes any
/// advantage estimator, the library's or your own, and runs the code that runs on the host.
///
///     gpu::Scalarizer<gpu::StreamExecutor, 5> scalarize(executor);
///     scalarize(DefaultScalarization{}, {.rewards = r, .weights = w, .groups = gpu::GroupLayout::uniform(n, 8)},
///               {.advantages = a}, record.data());
///
/// An estimator that reads only the group takes one launch. One that reads statistics of the batch takes two more for
/// each of its rounds. A call enqueues its work and returns; no memory is allocated once the largest batch was seen.
/// The arithmetic is in double, and results are identical from run to run. In groups of up to 64 rows they are those of
/// the host to the bit, with two exceptions: statistics of the batch, which are summed in another order, and a compiler
/// that fuses other multiplications and additions than the host's. Values for which scalarization/advantages.hpp throws
/// BadData go to the record; the advantages of the batch are then undefined.
///
/// The rank normalizer counts ranks within the launch: every value is compared with the G of its group, O(B K G) in
/// all. Sorting takes O(B K log(B K)), several launches more, and 40 bytes of memory for each reward, so that it can
/// pay only if G is far above log2(B K); the G from which it does has not been measured. The caller sorts and passes
/// the ranks on; the advantages have the same bits:
///
///     gpu::sorted_ranks(policy.get(), r, groups, 5, workspace, ranks);  // DevicePolicy, RankWorkspace; needs Thrust
///     scalarize(Advantages{DrGrpo{}, {.normalizer = {.kind = NormalizerKind::rank}}},
///               {.rewards = r, .weights = w, .groups = groups, .ranks = ranks}, {.advantages = a}, record.data());
template <Executor E, std::size_t K>
class Scalarizer {
 public:
  /// @param executor  must outlive this object.
  explicit Scalarizer(E& executor) : executor_(&executor) {}

  /// Launches the advantages of a batch.
  /// @param record  where rewards, weights and penalties that no formula admits are reported (FaultRecord::data).
  /// @throws BadArgument for a pointer or a size that is missing, or a gate that is none of the rewards; BadData for an
  ///   emphasis that is not finite.
  template <AdvantageEstimator A>
  void operator()(const Advantages<A>& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out,
                  FaultWord* record) {
    check(in, out);
    if constexpr (reads_lengths<A>) {
      require(in.lengths != nullptr, "scalarization: this estimator needs lengths (B), the tokens of every response");
    }
    const Scalarizer_& scalarizer = scalarization.options().scalarizer;
    require(scalarizer.kind != ScalarizerKind::gated || scalarizer.gate < K,
            "scalarizer: the gate is none of the rewards, which are counted from 0");
    if (in.groups.rows == 0) return;
    Storage<A> storage;
    if constexpr (reads_batch<A>) {
      storage.batch = reserve<BatchFigures<A>>(batch_, 1);
      for (int round = 0; round < batch_rounds<A>; ++round) {
        auto body = body_of<EstimatePart::collect>(scalarization, in, out, record);
        storage.parts = reserve<BatchFigures<A>>(parts_, body.tiling.teams());
        body.round = round;
        body.parts = storage.parts;
        body.batch = storage.batch;
        executor_->launch(body.tiling.teams(), body);
        executor_->launch(1, MergeParts<A>{storage.parts, body.tiling.teams(), round, storage.batch});
      }
    }
    auto body = body_of<EstimatePart::finish>(scalarization, in, out, record);
    body.batch = storage.batch;
    executor_->launch(body.tiling.teams(), body);
  }
  /// Launches the advantages by an estimator alone: rewards are not normalized, and R is their weighted sum.
  /// @throws BadArgument and BadData as above.
  template <AdvantageEstimator A>
  void operator()(const A& estimator, const RewardBatch<K>& in, const AdvantageBatch& out, FaultWord* record) {
    (*this)(Advantages<A>(estimator), in, out, record);
  }
  /// Launches the advantages by a scalarization that was chosen at run time.
  /// @throws BadArgument and BadData as above.
  void operator()(const AnyScalarization& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out,
                  FaultWord* record) {
    std::visit([&](const auto& chosen) { (*this)(chosen, in, out, record); }, scalarization.get());
  }

 private:
  using Scalarizer_ = maestro::Scalarizer;

  template <class A>
  struct Storage {
    BatchFigures<A>* parts = nullptr;
    BatchFigures<A>* batch = nullptr;
  };

  static void check(const RewardBatch<K>& in, const AdvantageBatch& out) {
    if (in.groups.rows == 0) return;
    require(in.rewards != nullptr && in.weights != nullptr, "scalarization: rewards and weights (B x K) are needed");
    require(out.advantages != nullptr, "scalarization: advantages (B) are needed");
    require(in.groups.largest > 0, "scalarization: the layout's largest group must be given");
    if (out.counterfactuals == nullptr) return;
    require(in.base != nullptr, "scalarization: counterfactuals need base (B x K); this Conductor gives none");
    throw_bad_emphasis(in.emphasis);
  }

  /// Makes room for `count` values of T in a buffer of doubles.
  template <class T>
  static T* reserve(typename E::template Buffer<double>& buffer, std::size_t count) {
    static_assert(alignof(T) <= alignof(double));
    buffer.reserve((count * sizeof(T) + sizeof(double) - 1) / sizeof(double));
    return reinterpret_cast<T*>(buffer.data());
  }

  template <EstimatePart Part, class A>
  auto body_of(const Advantages<A>& scalarization, const RewardBatch<K>& in, const AdvantageBatch& out,
               FaultWord* record) {
    using Body = Estimate<K, A, Part>;
    Body body{in, out, scalarization.estimator(), scalarization.options(), {}, record};
    const std::size_t per_row = Body::per_row(body.options.normalizer);
    body.tiling = tile_groups(in.groups, per_row, Body::per_group, executor_->shared_limit());
    if (body.tiling.layout.largest > body.tiling.max_rows) {
      workspace_.reserve(in.groups.rows * per_row + in.groups.groups * Body::per_group);
      body.workspace = workspace_.data();
    }
    return body;
  }

  E* executor_;
  typename E::template Buffer<double> workspace_;
  typename E::template Buffer<double> parts_;
  typename E::template Buffer<double> batch_;
};

}  // namespace maestro::gpu
