#pragma once

/// @file
/// The learned Conductor on data that lies on a device. CUDA programs begin here. This header compiles without nvcc and
/// without the CUDA toolkit.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/learned_checks.hpp"
#include "maestro/conductor/learned_options.hpp"
#include "maestro/core/error.hpp"
#include "maestro/cuda/conductor/decide.hpp"
#include "maestro/cuda/conductor/head.hpp"
#include "maestro/cuda/conductor/state.hpp"
#include "maestro/cuda/conductor/update.hpp"
#include "maestro/cuda/core/executor.hpp"
#include "maestro/cuda/core/fault.hpp"
#include "maestro/cuda/core/group_layout.hpp"
#include "maestro/optimizer/adamw.hpp"

namespace maestro::gpu {

/// DecideBatch holds what the Conductor reads to decide. Every pointer points into the executor's memory.
template <class S>
struct DecideBatch {
  const S* hidden = nullptr;                ///< (B x d) terminal hidden states
  const float* rewards = nullptr;           ///< (B x K), NaN if a reward does not apply
  GroupLayout groups;                       ///< of the B rows
  const std::int64_t* data_rows = nullptr;  ///< (N) data row of each group's prompt, in [0, 2^32): keys the draws
  std::uint64_t seed = 0;                   ///< of the run
  std::uint32_t step = 0;                   ///< trainer step
};

/// LearnedConductor is maestro::LearnedConductor, with all of its options, on an executor. `decide`, `observe` and
/// `update` enqueue their work and return: nothing leaves the executor's memory, no device memory is allocated once the
/// largest batch was seen, and nothing waits. A complete decision is one recorded sequence (a CUDA graph on a device),
/// a complete update another. A recording is valid for the pointers and sizes that it was made with; for others the
/// sequence is first run without a recording.
///
///     gpu::LearnedConductor<gpu::StreamExecutor, LinearNetwork<5>> conductor(executor, {.hidden_size = 4096});
///     gpu::DecisionView d = conductor.decide({hidden, rewards, layout, data_rows, seed, step}, record.data());
///     ... scalarize with d.weights, d.base, d.emphasis, d.actions ...
///     conductor.observe(d, hidden, advantages, rows, step, record.data());
///     if (conductor.update(record.data())) report = conductor.report();   // report() waits
///
/// The same logits, seed and keys give the same actions as on the host. Logits agree with the host's up to the rounding
/// of float sums. S is the type of hidden states and activations (see Head). One thread at a time may use the object.
/// Source: MAESTRO (arXiv 2601.07208), as maestro::LearnedConductor.
template <Executor E, class Network, class S = float>
class LearnedConductor {
 public:
  static constexpr std::size_t actions = Network::actions;

  /// Makes a Conductor.
  /// @throws BadArgument naming an option outside its domain, or a baseline without effect.
  explicit LearnedConductor(E& executor, const LearnedConductorOptions& options = {})
      : options_(options), executor_(&executor), head_(executor) {
    check(options_, actions);
    scalars_.reserve(1);
    figures_.reserve(1);
    if (options_.hidden_size > 0) initialize(options_.hidden_size);
  }
  const LearnedConductorOptions& options() const { return options_; }
  /// Gives d, and 0 while it is not known.
  std::size_t hidden_size() const { return head_.inputs(); }

  /// Initializes the head for hidden states of size d; the same options give the same parameters as on the host.
  /// @throws BadFile if the options name another hidden_size.
  void initialize(std::size_t hidden_size) {
    LearnedState<Network> state;
    state.network.initialize(hidden_size, options_.init);
    state.log_tau = static_cast<float>(std::log(options_.temperature));
    load(state);
  }

  /// Draws an action for each response. The result points into this object's memory and is valid until the next decide.
  /// @param record  where hidden states and data rows that no formula admits are reported (FaultRecord::data).
  /// @throws BadArgument if the size of the hidden states is not known, or a pointer is null.
  DecisionView decide(const DecideBatch<S>& in, FaultWord* record) {
    const std::size_t rows = in.groups.rows;
    require_size();
    require(rows == 0 || (in.hidden != nullptr && in.rewards != nullptr && in.data_rows != nullptr),
            "conductor: hidden, rewards and data_rows are needed");
    reserve_decision(rows, in.groups.groups);
    const DecisionView out = decision();
    if (rows == 0) return out;
    head_.prepare(rows, false);
    const S* hidden = options_.hidden_scaling == HiddenScaling::none ? in.hidden : scaled_.data();
    executor_->launch(1, SetScalars{scalars_.data(), {.seed = in.seed, .step = in.step}});
    const GraphKey key(in.hidden, in.rewards, in.groups.offsets, in.groups.groups, rows, in.groups.largest,
                       in.data_rows, record, out.actions, logits_.data(), hidden, numbers_.data(), head_.moves());
    executor_->replay(decide_graph_, key, [&] { launch_decision(in, hidden, out, record); });
    return out;
  }

  /// Adds the responses of a step to the buffer for the next update. If they are more than the options' `capacity`, the
  /// last ones are kept.
  /// @param hidden  (B x d), as at the decision.
  /// @param meta    the meta-rewards: advantages (B) for the sampled estimator, counterfactual advantages (B x K) for
  ///   the counterfactual one.
  /// @throws BadArgument if the size of the hidden states is not known, or a pointer is null.
  void observe(const DecisionView& decision, const S* hidden, const float* meta, std::size_t rows, std::uint32_t step,
               FaultWord* record) {
    require_size();
    if (rows == 0) return;
    require(hidden != nullptr && meta != nullptr, "conductor: hidden and meta-rewards are needed");
    const std::size_t kept = std::min(rows, options_.capacity);  // of these rows, the last ones
    if (entries() + kept > options_.capacity) drop_oldest(entries() + kept - options_.capacity);
    dropped_ += rows - kept;
    remember(decision, hidden, meta, rows - kept, kept, record);
    steps_.insert(steps_.end(), kept, step);
    last_step_ = step;
    observed_ = 1;
  }

  /// Takes, after every `period` observed steps, one optimizer step over the buffer, which is then cleared or kept as
  /// the options say. It returns false if no update was due.
  bool update(FaultWord* record) {
    if (observed_ == 0) return false;
    observed_ = 0;
    if (++steps_since_update_ < options_.period) return false;
    steps_since_update_ = 0;
    drop_stale();
    if (steps_.empty()) return false;
    ++adamw_steps_;
    prepare_update();
    executor_->launch(1,
                      SetScalars{scalars_.data(),
                                 {.adamw = adamw_step<float>(options_.adamw, options_.learning_rate, adamw_steps_)}});
    executor_->replay(update_graph_, update_key(record), [&] {
      launch_gradients(record);
      head_.step(learns_temperature(), options_.gradient_clip, figures_.data(), scalars_.data());
    });
    report_ = ConductorReport{.samples = entries(), .dropped = static_cast<std::size_t>(dropped_)};
    if (options_.after_update == AfterUpdate::clear) steps_.clear();
    dropped_ = 0;
    return true;
  }

  /// Gives the report of the last update, and waits for that update.
  /// @throws BadArgument while the size of the hidden states is not known.
  ConductorReport report() {
    require_size();
    UpdateFigures figures;
    float log_tau = 0.0f;
    executor_->download(figures_.data(), &figures, 1);
    executor_->download(head_.log_tau(), &log_tau, 1);
    executor_->wait();
    ConductorReport result = report_;
    result.surrogate = figures.surrogate;
    result.entropy = figures.entropy;
    result.loss = -figures.surrogate - options_.entropy_bonus * figures.entropy;
    result.gradient_norm = figures.gradient_norm;
    result.temperature = std::exp(static_cast<double>(log_tau));
    return result;
  }

  /// Computes the loss over the buffer and its gradients, which gradients() gives; the parameters do not change. It
  /// waits for the result.
  /// @throws BadArgument if the buffer is empty.
  ConductorReport differentiate(FaultWord* record) {
    require(entries() > 0, "conductor: nothing was observed that could be differentiated");
    report_ = ConductorReport{.samples = entries(), .dropped = static_cast<std::size_t>(dropped_)};
    prepare_update();
    launch_gradients(record);
    return report();
  }
  /// Gives the gradients of the parameters in the order of Network::visit, then log tau's.
  float* gradients() { return head_.gradients(); }
  /// Gives the number of parameters, log tau included; 0 while d is not known.
  std::size_t parameter_count() const { return head_.count(); }

  /// Computes weights without exploration: it overwrites out (rows x K) with softmax(logits / tau), without floor.
  /// @throws BadArgument if the size of the hidden states is not known.
  void weights(const S* hidden, std::size_t rows, float* out, FaultWord* record) {
    require_size();
    if (rows == 0) return;
    head_.prepare(rows, false);
    head_.forward(scaled(hidden, rows), rows, SoftWeights<actions>{head_.log_tau(), out, record}, record);
  }

  /// Tells whether the meta-rewards of observe() are counterfactual advantages (B x K).
  bool wants_counterfactuals() const { return options_.estimator == Estimator::counterfactual; }
  /// Gives the number of entries in the buffer.
  std::size_t entries() const { return steps_.size(); }

  /// Gives everything that the next step depends on, in the form of the host's Conductor, which can read it. It waits
  /// for the copies.
  LearnedState<Network> save() {
    LearnedState<Network> state;
    state.last_step = last_step_;
    state.steps_since_update = steps_since_update_;
    state.observed = observed_;
    state.dropped = dropped_;
    if (head_.inputs() == 0) {
      state.log_tau = static_cast<float>(std::log(options_.temperature));
      return state;
    }
    state.network.initialize(head_.inputs(), options_.init);
    std::vector<float> values(head_.count());
    executor_->download(head_.values(), values.data(), values.size());
    const std::size_t trained = values.size() - (learns_temperature() ? 0 : 1);
    if (adamw_steps_ > 0) {
      state.optimizer.first.resize(trained);
      state.optimizer.second.resize(trained);
      executor_->download(head_.first_moments(), state.optimizer.first.data(), trained);
      executor_->download(head_.second_moments(), state.optimizer.second.data(), trained);
    }
    std::vector<float> hidden(entries() * head_.inputs());
    std::vector<float> propensities(entries() * actions);
    std::vector<float> meta(entries() * meta_columns());
    std::vector<std::int32_t> taken(entries());
    std::vector<S> stored(hidden.size());
    executor_->download(hidden_.data(), stored.data(), stored.size());
    executor_->download(propensities_.data(), propensities.data(), propensities.size());
    executor_->download(meta_.data(), meta.data(), meta.size());
    executor_->download(actions_.data(), taken.data(), taken.size());
    executor_->wait();
    for (std::size_t e = 0; e < stored.size(); ++e) hidden[e] = static_cast<float>(stored[e]);
    state.log_tau = values.back();
    state.set_parameters(values);
    state.optimizer.step = adamw_steps_;
    if (adamw_steps_ > 0) state.optimizer.layout = state.layout(learns_temperature()).fingerprint;
    for (std::size_t i = 0; i < entries(); ++i) {
      state.buffer.push({.hidden = {hidden.data() + i * head_.inputs(), head_.inputs()},
                         .action = taken[i],
                         .propensity = {propensities.data() + i * actions, actions},
                         .meta = {meta.data() + i * meta_columns(), meta_columns()},
                         .step = steps_[i]});
    }
    return state;
  }

  /// Loads a state that save() gave, or that the host's Conductor saved.
  /// @throws BadFile naming what does not fit this Conductor.
  void load(LearnedState<Network>& state) {
    state.check(options_, actions);
    last_step_ = state.last_step;
    steps_since_update_ = state.steps_since_update;
    observed_ = state.observed;
    dropped_ = state.dropped;
    adamw_steps_ = state.optimizer.step;
    steps_.assign(state.buffer.steps().begin(), state.buffer.steps().end());
    head_.resize(state.network.input_size());
    if (head_.inputs() == 0) return;
    std::vector<float> values = state.parameters();
    values.push_back(state.log_tau);
    executor_->upload(values.data(), head_.values(), values.size());
    executor_->clear(head_.first_moments(), head_.count());
    executor_->clear(head_.second_moments(), head_.count());
    executor_->upload(state.optimizer.first.data(), head_.first_moments(), state.optimizer.first.size());
    executor_->upload(state.optimizer.second.data(), head_.second_moments(), state.optimizer.second.size());
    head_.values_changed();
    if (steps_.empty()) return executor_->wait();
    reserve_buffer(steps_.size());
    std::vector<S> hidden;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      for (const float value : state.buffer.hidden().row(i)) hidden.push_back(S(value));
    }
    executor_->upload(hidden.data(), hidden_.data(), hidden.size());
    executor_->upload(state.buffer.propensities().data(), propensities_.data(), steps_.size() * actions);
    executor_->upload(state.buffer.meta().data(), meta_.data(), steps_.size() * meta_columns());
    executor_->upload(state.buffer.actions().data(), actions_.data(), steps_.size());
    executor_->wait();
  }

 private:
  template <class T>
  using Buffer = typename E::template Buffer<T>;

  bool learns_temperature() const { return options_.temperature_mode == TemperatureMode::learned; }
  std::size_t meta_columns() const { return maestro::detail::meta_columns(options_.estimator, actions); }
  void require_size() const {
    require(head_.inputs() > 0,
            "conductor: the size of the hidden states is not known yet; set hidden_size in the options");
  }

  void reserve_decision(std::size_t rows, std::size_t groups) {
    decided_actions_.reserve(rows);
    probabilities_.reserve(rows * actions);
    weights_.reserve(rows * actions);
    base_.reserve(rows * actions);
    numbers_.reserve(groups);
    if (options_.sharing == ActionSharing::per_group) logits_.reserve(rows * actions);
    if (options_.hidden_scaling == HiddenScaling::unit_rms) scaled_.reserve(rows * head_.inputs());
  }
  DecisionView decision() {
    return {decided_actions_.data(), probabilities_.data(), weights_.data(), base_.data(),
            action_share(options_.emphasis, options_.strength)};
  }

  void launch_decision(const DecideBatch<S>& in, const S* hidden, const DecisionView& out, FaultWord* record) {
    const std::size_t rows = in.groups.rows;
    launch_elements(*executor_, in.groups.groups, CountResponses{in.data_rows, in.groups, numbers_.data(), record});
    if (hidden != in.hidden) {
      executor_->launch(rows, CopyRows<S, S>{in.hidden, scaled_.data(), head_.inputs(), true});
    }
    const DrawAction<actions> draw{in.rewards,
                                   in.groups,
                                   in.data_rows,
                                   numbers_.data(),
                                   scalars_.data(),
                                   head_.log_tau(),
                                   options_.floor,
                                   options_.epsilon,
                                   static_cast<float>(policy_share(options_.emphasis, options_.strength)),
                                   uniform_share(options_.emphasis, options_.strength, actions),
                                   out,
                                   record};
    if (options_.sharing == ActionSharing::per_response) return head_.forward(hidden, rows, draw, record);
    head_.forward(hidden, rows, StoreValues{logits_.data(), actions}, record);
    launch_elements(*executor_, rows, DrawPerGroup<actions>{draw, logits_.data()});
  }

  const S* scaled(const S* hidden, std::size_t rows) {
    if (options_.hidden_scaling == HiddenScaling::none) return hidden;
    scaled_.reserve(rows * head_.inputs());
    executor_->launch(rows, CopyRows<S, S>{hidden, scaled_.data(), head_.inputs(), true});
    return scaled_.data();
  }

  /// Makes room for `count` entries; the present ones are kept.
  void reserve_buffer(std::size_t count) {
    const std::size_t size = std::min(std::max(count, 2 * hidden_rows_), options_.capacity);
    if (count <= hidden_rows_) return;
    grow(hidden_, hidden_rows_ * head_.inputs(), size * head_.inputs());
    grow(propensities_, hidden_rows_ * actions, size * actions);
    grow(meta_, hidden_rows_ * meta_columns(), size * meta_columns());
    grow(actions_, hidden_rows_, size);
    hidden_rows_ = size;
  }
  template <class T>
  void grow(Buffer<T>& buffer, std::size_t kept, std::size_t size) {
    Buffer<T> larger;
    larger.reserve(size);
    executor_->copy(buffer.data(), larger.data(), kept);
    executor_->wait();  // before the old memory is freed
    buffer = std::move(larger);
  }

  void remember(const DecisionView& decision, const S* hidden, const float* meta, std::size_t first, std::size_t count,
                FaultWord* record) {
    const std::size_t at = entries();
    const std::size_t d = head_.inputs();
    reserve_buffer(at + count);
    if (options_.hidden_scaling == HiddenScaling::none) {
      executor_->copy(hidden + first * d, hidden_.data() + at * d, count * d);
    } else {
      executor_->launch(count, CopyRows<S, S>{hidden + first * d, hidden_.data() + at * d, d, true});
    }
    const std::size_t columns = meta_columns();
    launch_elements(*executor_, count,
                    KeepEntries<actions>{decision.actions + first, decision.probabilities + first * actions,
                                         meta + first * columns, columns, actions_.data() + at,
                                         propensities_.data() + at * actions, meta_.data() + at * columns, record});
  }

  void drop_stale() {
    std::size_t count = 0;
    while (count < entries() && last_step_ > steps_[count] && last_step_ - steps_[count] > options_.max_age) ++count;
    drop_oldest(count);
  }
  /// Moves the entries that stay to the front, by way of a second buffer.
  void drop_oldest(std::size_t count) {
    dropped_ += count;
    const std::size_t stay = entries() - count;
    if (count > 0 && stay > 0) {
      shift(hidden_, head_.inputs(), count, stay);
      shift(propensities_, actions, count, stay);
      shift(meta_, meta_columns(), count, stay);
      shift(actions_, 1, count, stay);
    }
    steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(count));
  }
  template <class T>
  void shift(Buffer<T>& buffer, std::size_t columns, std::size_t count, std::size_t stay) {
    const std::size_t bytes = stay * columns * sizeof(T);
    shifted_.reserve(bytes);
    auto* const from = reinterpret_cast<unsigned char*>(buffer.data());
    executor_->copy(from + count * columns * sizeof(T), shifted_.data(), bytes);
    executor_->copy(shifted_.data(), from, bytes);
  }

  void prepare_update() {
    head_.prepare(entries(), true);
    by_logits_.reserve(entries() * actions);
    terms_.reserve(entries());
  }
  GraphKey update_key(FaultWord* record) {
    return GraphKey(entries(), hidden_.data(), propensities_.data(), meta_.data(), actions_.data(), by_logits_.data(),
                    terms_.data(), record, head_.values(), head_.moves());
  }
  void launch_gradients(FaultWord* record) {
    const std::size_t count = entries();
    executor_->launch(1,
                      StartUpdate{meta_.data(), count, options_.baseline == MetaBaseline::centered, figures_.data()});
    const DifferentiateEntry<actions> differentiate{entry_rule(options_),
                                                    head_.log_tau(),
                                                    actions_.data(),
                                                    propensities_.data(),
                                                    meta_.data(),
                                                    meta_columns(),
                                                    1.0 / static_cast<double>(count),
                                                    figures_.data(),
                                                    by_logits_.data(),
                                                    terms_.data()};
    head_.forward(hidden_.data(), count, differentiate, record);
    executor_->launch(
        1, SumTerms{terms_.data(), count, figures_.data(), learns_temperature() ? head_.log_tau_gradient() : nullptr});
    head_.backward(hidden_.data(), count, by_logits_.data());
    head_.measure(learns_temperature(), figures_.data(), record);
  }

  LearnedConductorOptions options_;
  E* executor_;
  Head<E, Network, S> head_;
  typename E::Graph decide_graph_;
  typename E::Graph update_graph_;

  // These hold the last decision.
  Buffer<std::int32_t> decided_actions_;
  Buffer<float> probabilities_;
  Buffer<float> weights_;
  Buffer<float> base_;
  Buffer<std::uint32_t> numbers_;
  Buffer<float> logits_;
  Buffer<S> scaled_;

  // The buffer's entries, oldest first; steps_ has one element for each.
  Buffer<S> hidden_;
  Buffer<float> propensities_;
  Buffer<float> meta_;
  Buffer<std::int32_t> actions_;
  Buffer<unsigned char> shifted_;
  std::size_t hidden_rows_ = 0;  // the number of entries that there is room for
  std::vector<std::uint32_t> steps_;
  std::uint32_t last_step_ = 0;
  std::uint32_t steps_since_update_ = 0;
  std::uint32_t observed_ = 0;
  std::uint64_t dropped_ = 0;

  // These serve the update.
  Buffer<StepScalars> scalars_;
  Buffer<UpdateFigures> figures_;
  Buffer<float> by_logits_;
  Buffer<EntryTerms> terms_;
  std::uint64_t adamw_steps_ = 0;
  ConductorReport report_;
};

}  // namespace maestro::gpu
