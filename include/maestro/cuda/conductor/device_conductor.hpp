#pragma once

/// @file
/// A Conductor for the Trainer whose work is done on an executor. This header compiles without nvcc and without the
/// CUDA toolkit.

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
#include "maestro/core/buffer.hpp"
#include "maestro/core/state.hpp"
#include "maestro/cuda/conductor/learned.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/data/decision.hpp"
#include "maestro/data/groups.hpp"

namespace maestro::gpu {

/// ConductorBackend is the interface of a learned Conductor on some executor. Its members do what those of
/// maestro::LearnedConductor do; `save` and `load` move its state.
template <class Network>
class ConductorBackend {
 public:
  virtual ~ConductorBackend() = default;
  virtual const LearnedConductorOptions& options() const = 0;
  virtual Decision decide(const StepView& view) = 0;
  virtual void observe(const Feedback& feedback) = 0;
  virtual std::optional<ConductorReport> update() = 0;
  virtual void weights(MatrixView<const float> hidden, MatrixView<float> out) const = 0;
  virtual LearnedState<Network> save() = 0;
  virtual void load(LearnedState<Network>& state) = 0;
};

/// ConductorOn runs gpu::LearnedConductor on an executor for data on the host: it copies batches to the executor and
/// decisions back, and waits for both. S is the type of hidden states and activations (see Head).
template <Executor E, class Network, class S = float>
class ConductorOn final : public ConductorBackend<Network> {
 public:
  static constexpr std::size_t actions = Network::actions;

  /// Makes a Conductor.
  /// @throws BadArgument naming an option outside its domain, or a baseline without effect.
  explicit ConductorOn(const LearnedConductorOptions& options) : conductor_(executor_, options), record_(executor_) {}

  const LearnedConductorOptions& options() const override { return conductor_.options(); }
  Decision decide(const StepView& view) override {
    check_step_view(view, actions);
    const std::size_t rows = view.groups.rows();
    if (rows > 0 && conductor_.hidden_size() == 0) conductor_.initialize(view.hidden.cols());
    decided_.forget();
    maestro::detail::check_hidden(view.hidden, rows, conductor_.hidden_size());
    Decision decision;
    decision.actions.resize(rows);
    decision.probabilities.resize(rows, actions);
    decision.weights.resize(rows, actions);
    decision.base.resize(rows, actions);
    decision.emphasis = action_share(options().emphasis, options().strength);
    if (rows == 0) return decision;
    upload_hidden(view.hidden);
    upload(view.rewards, rewards_);
    const GroupLayout layout = upload_groups(view.groups);
    data_rows_.reserve(view.rows.size());
    executor_.upload(view.rows.data(), data_rows_.data(), view.rows.size());
    const DecisionView out = conductor_.decide(
        {hidden_.data(), rewards_.data(), layout, data_rows_.data(), view.seed, view.step}, record_.data());
    executor_.download(out.actions, decision.actions.data(), rows);
    executor_.download(out.probabilities, decision.probabilities.data(), rows * actions);
    executor_.download(out.weights, decision.weights.data(), rows * actions);
    executor_.download(out.base, decision.base.data(), rows * actions);
    record_.check(executor_);
    drawn_ = out;
    drawn_actions_ = decision.actions;
    drawn_probabilities_ = decision.probabilities;
    decided_.set(view.hidden, view.step);
    return decision;
  }

  /// Adds the step's responses to the buffer. Hidden states at the address of the last decision's, in the same step,
  /// are taken to be the same; they are on the executor already and are not copied again. Neither are actions and
  /// propensities that equal those decided on.
  void observe(const Feedback& feedback) override {
    const Decision& decision = feedback.decision;
    const std::size_t rows = decision.rows();
    if (rows == 0) return;
    maestro::detail::check_observed(decision, actions);
    const bool known = decided_.is(feedback.hidden, feedback.step) && feedback.hidden.rows() == rows;
    if (!known) maestro::detail::check_hidden(feedback.hidden, rows, conductor_.hidden_size());
    const MatrixView<const float> meta = maestro::detail::meta_rewards(options(), feedback, rows, actions);
    maestro::detail::check_meta(meta, decision, actions);
    if (!known) upload_hidden(feedback.hidden);
    decided_.forget();
    upload(meta, meta_);
    const bool drawn = known && decision.actions == drawn_actions_ && decision.probabilities == drawn_probabilities_;
    const DecisionView taken = drawn ? drawn_ : upload_decision(decision);
    conductor_.observe(taken, hidden_.data(), meta_.data(), rows, feedback.step, record_.data());
    record_.check(executor_);
  }

  std::optional<ConductorReport> update() override {
    if (!conductor_.update(record_.data())) return std::nullopt;
    const ConductorReport report = conductor_.report();
    record_.check(executor_);
    return report;
  }

  void weights(MatrixView<const float> hidden, MatrixView<float> out) const override {
    maestro::detail::check_soft_weights(hidden, out, conductor_.hidden_size(), actions);
    if (hidden.rows() == 0) return;
    decided_.forget();
    upload_hidden(hidden);
    soft_.reserve(hidden.rows() * actions);
    conductor_.weights(hidden_.data(), hidden.rows(), soft_.data(), record_.data());
    std::vector<float> values(hidden.rows() * actions);
    executor_.download(soft_.data(), values.data(), values.size());
    record_.check(executor_);
    for (std::size_t i = 0; i < hidden.rows(); ++i) {
      for (std::size_t k = 0; k < actions; ++k) out(i, k) = values[i * actions + k];
    }
  }

  LearnedState<Network> save() override { return conductor_.save(); }
  void load(LearnedState<Network>& state) override {
    decided_.forget();
    conductor_.load(state);
  }

 private:
  template <class T>
  using Buffer = typename E::template Buffer<T>;

  /// Uploads a matrix. If its rows are not contiguous, they are packed into packed_ first, and the call waits until
  /// packed_ was read.
  void upload(MatrixView<const float> from, Buffer<float>& to) const {
    to.reserve(from.rows() * from.cols());
    if (from.contiguous()) return executor_.upload(from.data(), to.data(), from.rows() * from.cols());
    pack(from);
    executor_.upload(packed_.data(), to.data(), packed_.size());
    executor_.wait();
  }
  void upload_hidden(MatrixView<const float> from) const {
    if constexpr (std::is_same_v<S, float>) {
      upload(from, hidden_);
    } else {
      hidden_.reserve(from.rows() * from.cols());
      pack(from);
      rounded_.clear();
      for (const float value : packed_) rounded_.push_back(S(value));
      executor_.upload(rounded_.data(), hidden_.data(), rounded_.size());
      executor_.wait();
    }
  }
  void pack(MatrixView<const float> from) const {
    packed_.clear();
    for (std::size_t i = 0; i < from.rows(); ++i) {
      packed_.insert(packed_.end(), from.row(i).begin(), from.row(i).end());
    }
  }
  /// Gives a view of the actions and propensities alone.
  DecisionView upload_decision(const Decision& decision) {
    upload(decision.probabilities.view(), propensities_);
    taken_.reserve(decision.rows());
    executor_.upload(decision.actions.data(), taken_.data(), decision.rows());
    DecisionView view;
    view.actions = taken_.data();
    view.probabilities = propensities_.data();
    return view;
  }
  GroupLayout upload_groups(const Groups& groups) {
    std::size_t largest = 0;
    offsets_of_.clear();
    for (const std::size_t offset : groups.offsets()) offsets_of_.push_back(static_cast<std::int64_t>(offset));
    for (std::size_t g = 0; g < groups.count(); ++g) largest = largest < groups.size(g) ? groups.size(g) : largest;
    offsets_.reserve(offsets_of_.size());
    executor_.upload(offsets_of_.data(), offsets_.data(), offsets_of_.size());
    return GroupLayout::ragged(offsets_.data(), groups.count(), groups.rows(), largest);
  }

  mutable E executor_;
  mutable LearnedConductor<E, Network, S> conductor_;
  mutable FaultRecord<E> record_;
  mutable Buffer<S> hidden_;
  mutable maestro::detail::DecidedHidden decided_;  // the hidden states that hidden_ holds, if any
  DecisionView drawn_;                              // of that decision, on the executor
  std::vector<std::int32_t> drawn_actions_;         // the same, on the host: a caller may change what it was given
  Matrix<float> drawn_probabilities_;
  Buffer<float> rewards_;
  Buffer<float> meta_;
  Buffer<float> propensities_;
  mutable Buffer<float> soft_;
  Buffer<std::int32_t> taken_;
  Buffer<std::int64_t> offsets_;
  Buffer<std::int64_t> data_rows_;
  std::vector<std::int64_t> offsets_of_;
  mutable std::vector<float> packed_;
  mutable std::vector<S> rounded_;
};

/// DeviceConductor is a maestro::Conductor that works on a device, for a Trainer. Interface, options and errors are
/// those of maestro::LearnedConductor; each of the two reads the other's checkpoints. A C++ file needs this header
/// only; the backend is made in a file that nvcc compiles (make_conductor() of cuda/conductor/device.cuh).
template <class Network>
class DeviceConductor {
 public:
  static constexpr std::size_t actions = Network::actions;

  /// Takes over a backend, which must not be null.
  explicit DeviceConductor(std::unique_ptr<ConductorBackend<Network>> backend) : backend_(std::move(backend)) {}

  const LearnedConductorOptions& options() const { return backend_->options(); }
  Decision decide(const StepView& view) { return backend_->decide(view); }
  void observe(const Feedback& feedback) { backend_->observe(feedback); }
  std::optional<ConductorReport> update() { return backend_->update(); }
  void weights(MatrixView<const float> hidden, MatrixView<float> out) const { backend_->weights(hidden, out); }
  bool wants_counterfactuals() const { return options().estimator == Estimator::counterfactual; }
  template <class Visitor>
  void visit_state(Visitor& v) {
    LearnedState<Network> state = backend_->save();
    state.visit_state(v);
    if (may_load(v)) backend_->load(state);
  }

 private:
  std::unique_ptr<ConductorBackend<Network>> backend_;
};

}  // namespace maestro::gpu
