#pragma once

/// @file
/// A Conductor for the Trainer whose work is done on an executor. Neutral.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/decide.hpp"
#include "maestro/conductor/learned_checks.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/cuda/conductor/learned.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"

namespace maestro::gpu {

/// Satisfies maestro::Conductor with data on the host: batches go up, decisions come down, and it waits for both. In
/// its interface, options, checkpoints and errors it is conductor/learned.hpp's. S as in cuda/conductor/learned.hpp.
template <Executor E, class Network, class S = float>
class HostConductor {
 public:
  static constexpr std::size_t actions = Network::actions;

  /// @param executor  moved in
  explicit HostConductor(E executor, const LearnedConductorOptions& options = {})
      : parts_(std::make_unique<Parts>(std::move(executor), options)) {}

  const LearnedConductorOptions& options() const { return parts_->conductor.options(); }

  Decision decide(const StepView& view) {
    maestro::detail::check_step_view(view, actions);
    Parts& p = *parts_;
    const std::size_t rows = view.groups.rows();
    if (rows > 0 && p.conductor.hidden_size() == 0) p.conductor.initialise(view.hidden.cols());
    maestro::detail::check_hidden(view.hidden, rows, p.conductor.hidden_size());
    Decision decision;
    decision.actions.resize(rows);
    decision.probabilities.resize(rows, actions);
    decision.weights.resize(rows, actions);
    decision.base.resize(rows, actions);
    decision.emphasis = action_share(options().emphasis, options().strength);
    if (rows == 0) return decision;
    p.upload_hidden(view.hidden);
    p.upload(view.rewards, p.rewards);
    const GroupLayout layout = p.upload_groups(view.groups);
    p.data_rows.reserve(view.rows.size());
    p.executor.upload(view.rows.data(), p.data_rows.data(), view.rows.size());
    const DecisionView out = p.conductor.decide(
        {p.hidden.data(), p.rewards.data(), layout, p.data_rows.data(), view.seed, view.step}, p.record.data());
    p.executor.download(out.actions, decision.actions.data(), rows);
    p.executor.download(out.probabilities, decision.probabilities.data(), rows * actions);
    p.executor.download(out.weights, decision.weights.data(), rows * actions);
    p.executor.download(out.base, decision.base.data(), rows * actions);
    p.record.check(p.executor);
    return decision;
  }

  void observe(const Feedback& feedback) {
    Parts& p = *parts_;
    const Decision& decision = feedback.decision;
    const std::size_t rows = decision.rows();
    if (rows == 0) return;
    maestro::detail::check_observed(decision, actions);
    maestro::detail::check_hidden(feedback.hidden, rows, p.conductor.hidden_size());
    const MatrixView<const float> meta = maestro::detail::meta_rewards(options(), feedback, rows, actions);
    maestro::detail::check_meta(meta, decision, actions);
    p.upload_hidden(feedback.hidden);
    p.upload(meta, p.meta);
    p.upload(decision.probabilities.view(), p.propensities);
    p.taken.reserve(rows);
    p.executor.upload(decision.actions.data(), p.taken.data(), rows);
    DecisionView view;
    view.actions = p.taken.data();
    view.probabilities = p.propensities.data();
    p.conductor.observe(view, p.hidden.data(), p.meta.data(), rows, feedback.step, p.record.data());
    p.record.check(p.executor);
  }

  std::optional<ConductorReport> update() {
    Parts& p = *parts_;
    if (!p.conductor.update(p.record.data())) return std::nullopt;
    const ConductorReport report = p.conductor.report();
    p.record.check(p.executor);
    return report;
  }

  void weights(MatrixView<const float> hidden, MatrixView<float> out) const {
    Parts& p = *parts_;
    maestro::detail::check_soft_weights(hidden, out, p.conductor.hidden_size(), actions);
    if (hidden.rows() == 0) return;
    p.upload_hidden(hidden);
    p.soft.reserve(hidden.rows() * actions);
    p.conductor.weights(p.hidden.data(), hidden.rows(), p.soft.data(), p.record.data());
    std::vector<float> values(hidden.rows() * actions);
    p.executor.download(p.soft.data(), values.data(), values.size());
    p.record.check(p.executor);
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      for (std::size_t k = 0; k < actions; ++k) out(i, k) = values[i * actions + k];
    }
  }

  bool wants_counterfactuals() const { return parts_->conductor.wants_counterfactuals(); }
  bool wants_weight_gradients() const { return parts_->conductor.wants_weight_gradients(); }

  LearnedState<Network> save() { return parts_->conductor.save(); }
  void load(LearnedState<Network>& state) { parts_->conductor.load(state); }
  /// The names and forms of conductor/learned.hpp: each reads the other's checkpoints.
  template <class Visitor>
  void visit_state(Visitor& v) {
    LearnedState<Network> state = save();
    state.visit_state(v);
    load(state);
  }

 private:
  /// In one place of memory, since its members point at each other.
  struct Parts {
    Parts(E moved, const LearnedConductorOptions& options)
        : executor(std::move(moved)), conductor(executor, options), record(executor) {}

    template <class T>
    using Buffer = typename E::template Buffer<T>;

    /// Packs, where rows lie apart, and uploads. Waits where the host's memory is this object's.
    void upload(MatrixView<const float> from, Buffer<float>& to) {
      to.reserve(from.rows() * from.cols());
      if (from.contiguous()) return executor.upload(from.data(), to.data(), from.rows() * from.cols());
      pack(from);
      executor.upload(packed.data(), to.data(), packed.size());
      executor.wait();
    }
    void upload_hidden(MatrixView<const float> from) {
      if constexpr (std::is_same_v<S, float>) {
        upload(from, hidden);
      } else {
        hidden.reserve(from.rows() * from.cols());
        pack(from);
        rounded.clear();
        for (const float value : packed) rounded.push_back(S(value));
        executor.upload(rounded.data(), hidden.data(), rounded.size());
        executor.wait();
      }
    }
    void pack(MatrixView<const float> from) {
      packed.clear();
      for (std::size_t i = 0; i < from.rows(); ++i) {
        packed.insert(packed.end(), from.row(i).begin(), from.row(i).end());
      }
    }
    GroupLayout upload_groups(const Groups& groups) {
      std::size_t largest = 0;
      offsets_of.clear();
      for (const std::size_t offset : groups.offsets()) offsets_of.push_back(static_cast<std::int64_t>(offset));
      for (std::size_t g = 0; g < groups.count(); ++g) largest = largest < groups.size(g) ? groups.size(g) : largest;
      offsets.reserve(offsets_of.size());
      executor.upload(offsets_of.data(), offsets.data(), offsets_of.size());
      return GroupLayout::ragged(offsets.data(), groups.count(), groups.rows(), largest);
    }

    E executor;
    LearnedConductor<E, Network, S> conductor;
    FaultRecord<E> record;
    Buffer<S> hidden;
    Buffer<float> rewards;
    Buffer<float> meta;
    Buffer<float> propensities;
    Buffer<float> soft;
    Buffer<std::int32_t> taken;
    Buffer<std::int64_t> offsets;
    Buffer<std::int64_t> data_rows;
    std::vector<std::int64_t> offsets_of;
    std::vector<float> packed;
    std::vector<S> rounded;
  };

  std::unique_ptr<Parts> parts_;
};

}  // namespace maestro::gpu
