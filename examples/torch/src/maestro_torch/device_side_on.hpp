#pragma once

/// @file
/// DeviceSide over the device path of the library, for any executor: on the host's it runs without a device, as the
/// tests do. Neutral.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "device_side.hpp"
#include "maestro/conductor/networks/linear.hpp"
#include "maestro/conductor/networks/mlp.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/cuda/conductor/learned.hpp"
#include "maestro/cuda/conductor/state.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/cuda/scalarization/scalarizer.hpp"
#include "maestro/cuda/statistics/group_statistics.hpp"

namespace maestro_torch {

/// Whether the device path is compiled for this estimator; the others take minutes of a device's compiler.
template <class E>
inline constexpr bool on_device = std::is_same_v<E, maestro::Advantages<maestro::OwnWeightBaseline>> ||
                                  std::is_same_v<E, maestro::Advantages<maestro::GroupRelative>>;

/// Puts groups where an executor reads them. Uniform groups take no memory.
template <class E>
maestro::gpu::GroupLayout layout_of(E& executor, const maestro::Groups& groups,
                                    typename E::template Buffer<std::int64_t>& offsets) {
  std::size_t largest = 0;
  std::size_t least = groups.rows();
  for (std::size_t g = 0; g < groups.count(); ++g) {
    largest = std::max(largest, groups.size(g));
    least = std::min(least, groups.size(g));
  }
  if (least == largest) return maestro::gpu::GroupLayout::uniform(groups.count(), largest);
  std::vector<std::int64_t> all;
  for (const std::size_t offset : groups.offsets()) all.push_back(static_cast<std::int64_t>(offset));
  offsets.reserve(all.size());
  executor.upload(all.data(), offsets.data(), all.size());
  executor.wait();  // `all` goes
  return maestro::gpu::GroupLayout::ragged(offsets.data(), groups.count(), groups.rows(), largest);
}

/// DeviceSide on executors that Maker::make(place) gives, of type Maker::Executor.
template <class Maker, std::size_t K, class Network>
class DeviceSideOn final : public DeviceSide {
 public:
  using Executor = typename Maker::Executor;

  DeviceSideOn(const maestro::LearnedConductorOptions& options, maestro::AnyScalarization scalarization)
      : options_(options), scalarization_(std::move(scalarization)) {
    maestro::check(options_, K);  // now, since there may be no device yet
    kept_.log_tau = static_cast<float>(std::log(options_.temperature));
    if (options_.hidden_size > 0) kept_.network.initialize(options_.hidden_size, options_.init);
  }

  void step(const DevicePlace& place, const DeviceInput& in, const DeviceOutput& out, StepFigures& report) override {
    Work& work = at(place, in.hidden_size, Start::yes);
    const std::size_t rows = in.groups.rows();
    const maestro::gpu::GroupLayout layout = layout_of(work.executor, in.groups, work.offsets);
    work.prompts.reserve(in.prompts.size());
    work.executor.upload(in.prompts.data(), work.prompts.data(), in.prompts.size());
    const maestro::gpu::DecisionView decided = work.conductor.decide(
        {in.hidden, in.rewards, layout, work.prompts.data(), in.seed, in.step}, work.record.data());
    work.executor.copy(decided.weights, out.weights, rows * K);
    download(work, decided, in, report);
    work.record.check(work.executor);  // before weights that are not finite, which would be named in place of the cause
    const bool counterfactuals = work.conductor.wants_counterfactuals();
    work.counterfactuals.reserve(counterfactuals ? rows * K : 0);
    float* const of_actions = counterfactuals ? work.counterfactuals.data() : nullptr;
    if (!scalarized(work, decided, in, layout, out, of_actions)) scalarize_on_host(work, in, out, of_actions, report);
    report.advantages.resize(rows);
    work.executor.download(out.advantages, report.advantages.data(), rows);
    work.record.check(work.executor);
    const float* meta = counterfactuals ? of_actions : out.advantages;
    work.conductor.observe(decided, in.hidden, meta, rows, in.step, work.record.data());
    report.update.reset();
    if (work.conductor.update(work.record.data())) report.update = work.conductor.report();
    work.record.check(work.executor);
  }

  void weights(const DevicePlace& place, const float* hidden, std::size_t rows, std::size_t hidden_size,
               float* out) override {
    Work& work = at(place, hidden_size, Start::no);
    work.conductor.weights(hidden, rows, out, work.record.data());
    work.record.check(work.executor);
  }

  void visit(maestro::StateWriter& writer) override {
    if (work_) kept_ = work_->conductor.save();
    writer("conductor", kept_);
  }
  void visit(maestro::StateReader& reader) override {
    work_.reset();
    reader("conductor", kept_);
    kept_.check(options_, K);
  }

 private:
  template <class T>
  using Buffer = typename Executor::template Buffer<T>;

  /// What lies at one place.
  struct Work {
    Work(const DevicePlace& where, const maestro::LearnedConductorOptions& options)
        : place(where),
          executor(Maker::make(where)),
          conductor(executor, options),
          scalarize(executor),
          record(executor) {}

    DevicePlace place;
    Executor executor;
    maestro::gpu::LearnedConductor<Executor, Network> conductor;
    maestro::gpu::Scalarizer<Executor, K> scalarize;
    maestro::gpu::FaultRecord<Executor> record;
    Buffer<std::int64_t> offsets;
    Buffer<std::int64_t> prompts;
    Buffer<float> counterfactuals;
  };

  /// Whether the Conductor may be made for the size of these hidden states.
  enum class Start : bool { no, yes };

  Work& at(const DevicePlace& place, std::size_t hidden_size, Start start) {
    if (!work_ || !(work_->place == place)) {
      if (work_) kept_ = work_->conductor.save();
      work_.reset();
      auto made = std::make_unique<Work>(place, options_);
      made->conductor.load(kept_);
      work_ = std::move(made);
    }
    const std::size_t known = work_->conductor.hidden_size();
    if (known == hidden_size) return *work_;
    if (known == 0 && start == Start::yes) {
      work_->conductor.initialize(hidden_size);
      return *work_;
    }
    throw maestro::BadArgument(
        known == 0 ? "conductor: the size of hidden states is not known before the first step; make a step, or give "
                     "conductor_hidden_size"
                   : "conductor: hidden states of size " + std::to_string(hidden_size) + ", and it was made for " +
                         std::to_string(known) + ": that of the first step, or conductor_hidden_size");
  }

  bool scalarized(Work& work, const maestro::gpu::DecisionView& decided, const DeviceInput& in,
                  const maestro::gpu::GroupLayout& layout, const DeviceOutput& out, float* counterfactuals) {
    return std::visit(
        [&]<class A>(const A& chosen) {
          if constexpr (on_device<A>) {
            work.scalarize(chosen,
                           {.rewards = in.rewards,
                            .weights = decided.weights,
                            .groups = layout,
                            .base = decided.base,
                            .emphasis = decided.emphasis,
                            .actions = decided.actions},
                           {.advantages = out.advantages,
                            .scalar_rewards = out.scalar_rewards,
                            .counterfactuals = counterfactuals},
                           work.record.data());
          }
          return on_device<A>;
        },
        scalarization_.get());
  }

  /// Rewards and decision are on the host for the figures: an estimator that is not compiled for the device reads them
  /// there, and what it says goes up.
  void scalarize_on_host(Work& work, const DeviceInput& in, const DeviceOutput& out, float* counterfactuals,
                         const StepFigures& report) {
    const std::size_t rows = in.groups.rows();
    std::vector<float> advantages(rows);
    std::vector<float> scalar_rewards(rows);
    maestro::Matrix<float> of_actions(counterfactuals == nullptr ? 0 : rows, K);
    maestro::ScalarizationInput input{report.rewards, report.decision, in.groups};
    input.lengths = in.lengths;
    maestro::SingleProcess alone;
    scalarization_(input, {advantages, scalar_rewards, of_actions}, alone);
    work.executor.upload(advantages.data(), out.advantages, rows);
    work.executor.upload(scalar_rewards.data(), out.scalar_rewards, rows);
    if (counterfactuals != nullptr) work.executor.upload(of_actions.flat().data(), counterfactuals, rows * K);
    work.executor.wait();  // the vectors go
  }

  static void download(Work& work, const maestro::gpu::DecisionView& decided, const DeviceInput& in,
                       StepFigures& report) {
    const std::size_t rows = in.groups.rows();
    maestro::Decision& d = report.decision;
    d.actions.resize(rows);
    d.probabilities.resize(rows, K);
    d.weights.resize(rows, K);
    d.base.resize(rows, K);
    d.emphasis = decided.emphasis;
    report.rewards.resize(rows, K);
    work.executor.download(decided.actions, d.actions.data(), rows);
    work.executor.download(decided.probabilities, d.probabilities.data(), rows * K);
    work.executor.download(decided.weights, d.weights.data(), rows * K);
    work.executor.download(decided.base, d.base.data(), rows * K);
    work.executor.download(in.rewards, report.rewards.data(), rows * K);
  }

  maestro::LearnedConductorOptions options_;
  maestro::AnyScalarization scalarization_;
  maestro::gpu::LearnedState<Network> kept_;
  std::unique_ptr<Work> work_;
};

/// What make_device_side() makes of K rewards.
template <class Maker, std::size_t K>
std::unique_ptr<DeviceSide> device_side_of(std::string_view conductor, const maestro::LearnedConductorOptions& options,
                                           const maestro::AnyScalarization& scalarization) {
  using Linear = DeviceSideOn<Maker, K, maestro::LinearNetwork<K>>;
  using Mlp = DeviceSideOn<Maker, K, maestro::MlpNetwork<K, 64>>;
  if (conductor == "linear") return std::make_unique<Linear>(options, scalarization);
  if (conductor == "mlp") return std::make_unique<Mlp>(options, scalarization);
  if (conductor == "maestro_paper") return std::make_unique<Linear>(maestro::paper_preset(), scalarization);
  return nullptr;
}

/// Mean and standard deviation (ddof 1) of every group's rewards, both (N x K) on the device.
template <std::size_t K, class E>
void statistics_on(E& executor, const float* rewards, const maestro::Groups& groups, float* mean, float* deviation) {
  typename E::template Buffer<std::int64_t> offsets;
  maestro::gpu::FaultRecord<E> record(executor);
  maestro::gpu::group_statistics<K>(executor, rewards, layout_of(executor, groups, offsets), 1,
                                    {.mean = mean, .std_dev = deviation}, record.data());
  record.check(executor);
}

/// Advantages (B) of given weights, if the scalarization is compiled for the device.
template <std::size_t K, class E>
bool advantages_on(E& executor, const maestro::AnyScalarization& scalarization, const float* rewards,
                   const float* weights, const maestro::Groups& groups, float* advantages) {
  typename E::template Buffer<std::int64_t> offsets;
  maestro::gpu::FaultRecord<E> record(executor);
  maestro::gpu::Scalarizer<E, K> scalarize(executor);
  const bool done = std::visit(
      [&]<class A>(const A& chosen) {
        if constexpr (on_device<A>) {
          scalarize(chosen, {.rewards = rewards, .weights = weights, .groups = layout_of(executor, groups, offsets)},
                    {.advantages = advantages}, record.data());
        }
        return on_device<A>;
      },
      scalarization.get());
  record.check(executor);
  return done;
}

}  // namespace maestro_torch
