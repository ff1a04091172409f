#pragma once

/// @file
/// The policy's side of a step: micro-batches of whole groups, forward, objective, backward, clipping, optimizer.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "maestro/core/communicator.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/objective/loss.hpp"
#include "maestro/optimizer/clip.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/trainer/options.hpp"

namespace maestro {

/// An UpdateReport holds the figures of one call of PolicyUpdate::run; StepReport says what each means.
struct UpdateReport {
  LossReport loss;
  double grad_norm = 0.0;
  double rollout_gap_mean = 0.0;
  double rollout_gap_max = 0.0;
};

/// PolicyUpdate turns advantages into optimizer updates of a policy.
///
/// On the first visit of a mini-batch before any update, the old log-probs are the training pass's own, so the first
/// ratio is exactly 1. For later visits they are computed under the weights with which the batch was drawn.
template <Policy P>
class PolicyUpdate {
 public:
  using Scalar = typename P::scalar_type;
  static_assert(detail::compiles_visit<P>());

  explicit PolicyUpdate(const TrainerOptions& options)
      : options_(options), objective_(options.objective), optimizer_(options.optimizer) {}

  /// Makes the updates of one batch.
  /// @param before_change  called before each optimizer step; if it throws before the first, no parameter has changed.
  template <Communicator Comm, class BeforeChange>
  UpdateReport run(P& policy, const Rollouts& rollouts, std::span<const float> advantages,
                   std::span<const float> reference_log_probs, double learning_rate, Comm& communicator,
                   BeforeChange&& before_change) {
    const std::size_t tokens = rollouts.tokens.size();
    log_probs_.resize(tokens);
    d_log_probs_.resize(tokens);
    const bool uses_entropy = options_.objective.entropy_bonus != 0.0;
    entropies_.resize(uses_entropy ? tokens : 0);
    d_entropies_.resize(uses_entropy ? tokens : 0);
    const std::size_t minibatches = std::min(options_.num_minibatches, rollouts.groups.count());
    off_policy_ = options_.num_iterations * minibatches > 1;
    old_log_probs_.clear();
    if (off_policy_) remember_old_log_probs(policy, rollouts, rollouts.groups.count() / minibatches);

    UpdateReport report;
    for (std::size_t iteration = 0; iteration < options_.num_iterations; ++iteration) {
      for (std::size_t m = 0; m < minibatches; ++m) {
        const GroupRange range{m * rollouts.groups.count() / minibatches,
                               (m + 1) * rollouts.groups.count() / minibatches};
        const bool first_visit = iteration == 0 && m == 0;
        policy.zero_gradients();
        accumulate(policy, rollouts, range, advantages, reference_log_probs, first_visit, communicator, report.loss);
        if (first_visit) measure_gap(rollouts, range, report);
        if (communicator.size() > 1) {
          policy.visit([&](auto parameter) { communicator.all_reduce_sum(parameter.gradients); });
        }
        report.grad_norm =
            options_.max_grad_norm > 0.0 ? clip_global_norm(policy, options_.max_grad_norm) : global_norm(policy);
        before_change();
        optimizer_.step(policy, learning_rate);
      }
    }
    report.loss.all_reduce(communicator);
    // Each update's loss is already a mean over its own mini-batch; the step reports their mean.
    const auto updates = static_cast<double>(options_.num_iterations * minibatches);
    report.loss.loss /= updates;
    report.loss.policy_loss /= updates;
    return report;
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("optimizer", optimizer_);
  }

 private:
  /// Computes the log-probs, under the current weights, of the groups from `first_group` on. The groups before it are
  /// the first mini-batch, whose own training pass supplies them.
  void remember_old_log_probs(const P& policy, const Rollouts& rollouts, std::size_t first_group) {
    old_log_probs_.resize(rollouts.tokens.size());
    for_each_micro_batch(
        rollouts, {first_group, rollouts.groups.count()}, options_.micro_batch_tokens, [&](GroupRange micro) {
          policy.log_probs(rollouts, micro, tokens_of(rollouts, micro, std::span<float>(old_log_probs_)));
        });
  }

  template <Communicator Comm>
  void accumulate(P& policy, const Rollouts& rollouts, GroupRange range, std::span<const float> advantages,
                  std::span<const float> reference_log_probs, bool first_visit, Comm& communicator,
                  LossReport& report) {
    const std::size_t batch_row = rollouts.groups.offsets()[range.first];
    const std::size_t batch_rows = rollouts.groups.offsets()[range.last] - batch_row;
    const BatchCounts counts = count_batch(rollouts.tokens.offsets().subspan(batch_row, batch_rows + 1), communicator);
    for_each_micro_batch(rollouts, range, options_.micro_batch_tokens, [&](GroupRange micro) {
      const auto log_probs = tokens_of(rollouts, micro, std::span<float>(log_probs_));
      const auto entropies = tokens_of(rollouts, micro, std::span<float>(entropies_));
      const auto d_log_probs = tokens_of(rollouts, micro, std::span<float>(d_log_probs_));
      const auto d_entropies = tokens_of(rollouts, micro, std::span<float>(d_entropies_));
      policy.forward(rollouts, micro, log_probs, entropies);
      const auto old = tokens_of(rollouts, micro, std::span<float>(old_log_probs_));
      if (first_visit && off_policy_) std::copy(log_probs.begin(), log_probs.end(), old.begin());
      const std::size_t first_row = rollouts.groups.offsets()[micro.first];
      const std::size_t rows = rollouts.groups.offsets()[micro.last] - first_row;
      mark_truncated(rollouts, first_row, rows);
      report += objective_(LossInput<float>{.log_probs = log_probs,
                                            .old_log_probs = first_visit ? std::span<const float>{} : old,
                                            .reference_log_probs = tokens_of(rollouts, micro, reference_log_probs),
                                            .entropies = entropies,
                                            .offsets = rollouts.tokens.offsets().subspan(first_row, rows + 1),
                                            .advantages = advantages.subspan(first_row, rows),
                                            .batch = counts,
                                            .masked = masked_,
                                            .first_row = first_row},
                           LossGradient<float>{.d_log_probs = d_log_probs, .d_entropies = d_entropies});
      policy.backward(std::span<const float>(d_log_probs), std::span<const float>(d_entropies));
    });
  }

  /// Fills masked_ for the responses of a micro-batch, if cut ones are to teach nothing.
  void mark_truncated(const Rollouts& rollouts, std::size_t first_row, std::size_t rows) {
    if (options_.mask_truncated == MaskTruncated::no) return;
    masked_.resize(rows);
    for (std::size_t i = 0; i < rows; ++i) masked_[i] = rollouts.finish[first_row + i] == Finish::length ? 1 : 0;
  }

  void measure_gap(const Rollouts& rollouts, GroupRange range, UpdateReport& report) const {
    const auto trained = tokens_of(rollouts, range, std::span<const float>(log_probs_));
    const auto drawn = tokens_of(rollouts, range, std::span<const float>(rollouts.log_probs));
    double sum = 0.0;
    for (std::size_t t = 0; t < trained.size(); ++t) {
      const double gap = std::abs(static_cast<double>(trained[t]) - static_cast<double>(drawn[t]));
      sum += gap;
      report.rollout_gap_max = std::max(report.rollout_gap_max, gap);
    }
    if (!trained.empty()) report.rollout_gap_mean = sum / static_cast<double>(trained.size());
  }

  TrainerOptions options_;
  Objective objective_;
  Optimizer<Scalar> optimizer_;
  bool off_policy_ = false;
  std::vector<float> log_probs_;
  std::vector<float> old_log_probs_;
  std::vector<float> d_log_probs_;
  std::vector<float> entropies_;
  std::vector<float> d_entropies_;
  std::vector<unsigned char> masked_;
};

}  // namespace maestro
