#pragma once

/// @file
/// The policy's part of a step: micro-batches of whole groups, forward pass, objective, backward pass, clipping,
/// optimizer.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/objective/importance.hpp"
#include "maestro/objective/loss.hpp"
#include "maestro/optimizer/clip.hpp"
#include "maestro/optimizer/layout.hpp"
#include "maestro/optimizer/optimizer.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/scalarization/merge_ranks.hpp"
#include "maestro/trainer/gradient_exchange.hpp"
#include "maestro/trainer/options.hpp"
#include "maestro/trainer/ranks.hpp"

namespace maestro {

/// UpdateReport holds the figures of one call of PolicyUpdate::run; StepReport describes them.
struct UpdateReport {
  LossReport loss;
  double grad_norm = 0.0;
  double rollout_gap_mean = 0.0;
  double rollout_gap_max = 0.0;
  double communication = 0.0;  ///< seconds with the other ranks since the last report, waiting for them included
  double exchange = 0.0;       ///< part of it: gradients summed, parameters gathered
  ImportanceFigures importance{};
};

/// PolicyUpdate makes optimizer updates of a policy from advantages.
///
/// On the first visit of the first mini-batch, the old log-probs are those of the training pass itself, so the first
/// ratio is exactly 1. For later visits they are computed with the weights before the first update.
///
/// Each rank has the whole batch, and trains on a share of the groups of every mini-batch. The loss and its divisors
/// are those of the mini-batch, so the sum over ranks is that of one rank, except for the order of the sums.
template <Policy P>
class PolicyUpdate {
 public:
  using Scalar = typename P::scalar_type;
  static_assert(detail::compiles_visit<P>());

  explicit PolicyUpdate(const TrainerOptions& options)
      : options_(options), objective_(options.objective), optimizer_(options.optimizer) {}

  /// Makes the updates of one batch.
  /// @param rollouts             those of all ranks.
  /// @param advantages           (B) constants of the loss.
  /// @param reference_log_probs  (tokens) of the KL reference; empty if there is none.
  /// @param before_change        called before each optimizer step; if it throws before the first one, no parameter has
  ///                             changed.
  /// @throws BadData if a log-prob or a gradient is not finite; RankFailed.
  template <Communicator Comm, class BeforeChange>
  UpdateReport run(P& policy, const Rollouts& rollouts, std::span<const float> advantages,
                   std::span<const float> reference_log_probs, double learning_rate, Comm& communicator,
                   BeforeChange&& before_change) {
    const std::size_t tokens = rollouts.tokens.size();
    prepare(tokens, options_.objective.entropy_bonus != 0.0);
    const std::size_t minibatches = std::min(options_.num_minibatches, rollouts.groups.count());
    off_policy_ = options_.num_iterations * minibatches > 1;
    const auto range_of = [&](std::size_t m) {
      return GroupRange{m * rollouts.groups.count() / minibatches, (m + 1) * rollouts.groups.count() / minibatches};
    };
    const auto share_of = [&](std::size_t m) {
      return detail::rank_share(range_of(m), communicator.rank(), communicator.size());
    };
    if (off_policy_) {
      phase(communicator, [&] {
        old_log_probs_.resize(tokens);
        for (std::size_t m = 1; m < minibatches; ++m) remember_old_log_probs(policy, rollouts, share_of(m));
      });
    }

    UpdateReport report;
    for (std::size_t iteration = 0; iteration < options_.num_iterations; ++iteration) {
      for (std::size_t m = 0; m < minibatches; ++m) {
        const bool first_visit = iteration == 0 && m == 0;
        phase(communicator, [&] {
          policy.zero_gradients();
          accumulate(policy, objective_, rollouts, {range_of(m), share_of(m)}, advantages, reference_log_probs,
                     first_visit, report.loss);
        });
        if (first_visit) measure_gap(rollouts, share_of(m), report, communicator);
        report.grad_norm = change(policy, learning_rate, communicator, before_change);
      }
    }
    report.loss.all_reduce(communicator);
    report.exchange = std::exchange(exchange_seconds_, 0.0);
    report.communication = std::exchange(communication_, 0.0) + report.exchange;
    report.importance = corrects() ? detail::merge_ranks(importance_, merge_importance, communicator) : importance_;
    // Each update's loss is already a mean over its own mini-batch; the step reports their mean.
    const auto updates = static_cast<double>(options_.num_iterations * minibatches);
    report.loss.loss /= updates;
    report.loss.policy_loss /= updates;
    return report;
  }

  /// Overwrites products (K x K) with the inner products <g_k, g_l>. g_k is the gradient, summed over the ranks, of the
  /// loss on the whole batch with the advantages of column k, without KL and entropy terms. Afterwards gradients are 0
  /// and parameters unchanged. It stores K copies of the gradients. Inner products are summed in double, in the order
  /// of the parameters.
  /// @param advantages  (B x K) those of each reward alone.
  /// @throws BadData if a log-prob is not finite; RankFailed.
  template <Communicator Comm>
  void reward_gradients(P& policy, const Rollouts& rollouts, MatrixView<const float> advantages,
                        MatrixView<double> products, Comm& communicator) {
    ObjectiveOptions alone = options_.objective;
    alone.beta = 0.0;
    alone.entropy_bonus = 0.0;
    const Objective objective(alone);
    off_policy_ = false;
    prepare(rollouts.tokens.size(), false);
    const GroupRange all{0, rollouts.groups.count()};
    const GroupRange own = detail::rank_share(all, communicator.rank(), communicator.size());
    std::vector<float> column(advantages.rows());
    std::vector<std::vector<Scalar>> gradients(advantages.cols());
    for (std::size_t k = 0; k < advantages.cols(); ++k) {
      for (std::size_t i = 0; i < column.size(); ++i) column[i] = advantages(i, k);
      phase(communicator, [&] {
        LossReport unread;
        policy.zero_gradients();
        accumulate(policy, objective, rollouts, {all, own}, column, {}, true, unread);
      });
      if (communicator.size() > 1) {
        detail::add_seconds(exchange_seconds_, [&] {
          exchange_.sum_gradients(policy, GradientExchange<Scalar>::Sums::all, communicator);
        });
      }
      visit_trainable(policy, [&](const ParameterView<Scalar>& view) {
        gradients[k].insert(gradients[k].end(), view.gradients.begin(), view.gradients.end());
      });
    }
    policy.zero_gradients();
    for (std::size_t k = 0; k < gradients.size(); ++k) {
      for (std::size_t l = 0; l <= k; ++l) {
        double sum = 0.0;
        for (std::size_t p = 0; p < gradients[k].size(); ++p) {
          sum += static_cast<double>(gradients[k][p]) * static_cast<double>(gradients[l][p]);
        }
        products(k, l) = products(l, k) = sum;
      }
    }
  }

  /// Gathers the optimizer's state on every rank if each has only a share of it. visit_state then visits the state that
  /// one rank would have. All ranks call it. The next update makes shares again.
  template <Communicator Comm>
  void gather_state(P& policy, Comm& communicator) {
    if (!is_share_) return;
    const RankShares shares = exchange_.shares_of(policy, communicator.size());
    for_each_moments([&](AlignedVector<Scalar>& moments) { moments = exchange_.join(moments, shares, communicator); },
                     layout_of(policy).fingerprint);
    is_share_ = false;
  }

  /// Visits the optimizer's state.
  /// @throws BadArgument if the state is a share that gather_state has not gathered.
  template <class Visitor>
  void visit_state(Visitor& v) {
    const std::uint64_t before = layout();
    v("optimizer", optimizer_);
    require(!is_share_ || layout() != before,
            "trainer: each rank has a share of the optimizer's state; all ranks must call gather_state before it is "
            "saved");
    is_share_ = false;
  }

 private:
  void prepare(std::size_t tokens, bool uses_entropy) {
    log_probs_.resize(tokens);
    d_log_probs_.resize(tokens);
    entropies_.resize(uses_entropy ? tokens : 0);
    d_entropies_.resize(uses_entropy ? tokens : 0);
    weights_.resize(corrects() ? tokens : 0);
    importance_ = {};
    old_log_probs_.clear();
  }
  bool corrects() const { return options_.correction.correction != ImportanceCorrection::none; }

  /// MiniBatch holds the groups of a mini-batch, and this rank's part of them.
  struct MiniBatch {
    GroupRange all;
    GroupRange own;
  };

  /// Does this rank's work, and then checks whether the other ranks could do theirs.
  template <Communicator Comm, class Work>
  void phase(Comm& communicator, const Work& work) {
    detail::timed_phase(communicator, communication_, work);
  }

  /// Sums the gradients over the ranks, clips them and makes one optimizer step. It gives the norm before clipping.
  template <Communicator Comm, class BeforeChange>
  double change(P& policy, double learning_rate, Comm& communicator, BeforeChange& before_change) {
    if (communicator.size() == 1) {
      const double norm =
          options_.max_grad_norm > 0.0 ? clip_global_norm(policy, options_.max_grad_norm) : global_norm(policy);
      before_change();
      optimizer_.step(policy, learning_rate);
      return norm;
    }
    using Sums = typename GradientExchange<Scalar>::Sums;
    const bool sharded = options_.shard_optimizer == ShardOptimizer::yes;
    const RankShares shares = exchange_.shares_of(policy, communicator.size());
    OwnShare<P> own(policy, shares, communicator.rank());
    double norm = 0.0;
    detail::add_seconds(exchange_seconds_,
                        [&] { exchange_.sum_gradients(policy, sharded ? Sums::own : Sums::all, communicator); });
    detail::add_seconds(communication_, [&] { norm = norm_over_ranks(policy, shares, communicator); });
    const auto step = [&](auto& part) {
      if (options_.max_grad_norm > 0.0) clip_known_norm(part, norm, options_.max_grad_norm);
      optimizer_.step(part, learning_rate);
    };
    before_change();
    if (!sharded) {
      phase(communicator, [&] { step(policy); });
      return norm;
    }
    phase(communicator, [&] {
      keep_share(policy, own, shares, communicator.rank());
      step(own);
      is_share_ = layout() != 0;  // SGD without momentum has no state
    });
    detail::add_seconds(exchange_seconds_, [&] { exchange_.gather_values_of(policy, communicator); });
    return norm;
  }

  /// Keeps only this rank's share of the optimizer's state.
  void keep_share(P& policy, OwnShare<P>& own, const RankShares& shares, std::size_t rank) {
    if (is_share_) return;
    const std::uint64_t whole = layout_of(policy).fingerprint;
    require(layout() == 0 || layout() == whole,
            "trainer: the optimizer's state is that of other trainable parameters; use a fresh optimizer");
    for_each_moments(
        [&](AlignedVector<Scalar>& moments) { moments = GradientExchange<Scalar>::cut(moments, shares, rank); },
        layout_of(own).fingerprint);
  }

  /// StateFields finds the parts of an optimizer's state.
  struct StateFields {
    std::uint64_t* layout = nullptr;
    std::vector<AlignedVector<Scalar>*> moments{};

    void operator()(std::string_view name, std::uint64_t& value) {
      if (name == "layout") layout = &value;
    }
    void operator()(std::string_view, AlignedVector<Scalar>& values) { moments.push_back(&values); }
  };
  /// Changes the moments that exist, and the layout that they belong to.
  template <class F>
  void for_each_moments(const F& f, std::uint64_t layout) {
    StateFields fields;
    optimizer_.visit_state(fields);
    for (AlignedVector<Scalar>* moments : fields.moments) {
      if (!moments->empty()) f(*moments);
    }
    if (*fields.layout != 0) *fields.layout = layout;
  }
  std::uint64_t layout() {
    StateFields fields;
    optimizer_.visit_state(fields);
    return *fields.layout;
  }

  /// Computes the log-probs of these groups with the current weights. The first mini-batch needs none, since its own
  /// training pass gives them.
  void remember_old_log_probs(const P& policy, const Rollouts& rollouts, GroupRange range) {
    for_each_micro_batch(rollouts, range, options_.micro_batch_tokens, [&](GroupRange micro) {
      policy.log_probs(rollouts, micro, tokens_of(rollouts, micro, std::span<float>(old_log_probs_)));
    });
  }

  void accumulate(P& policy, const Objective& objective, const Rollouts& rollouts, const MiniBatch& batch,
                  std::span<const float> advantages, std::span<const float> reference_log_probs, bool first_visit,
                  LossReport& report) {
    const std::size_t batch_row = rollouts.groups.offsets()[batch.all.first];
    const std::size_t batch_rows = rollouts.groups.offsets()[batch.all.last] - batch_row;
    SingleProcess alone;  // every rank has the whole batch
    const BatchCounts counts = count_batch(rollouts.tokens.offsets().subspan(batch_row, batch_rows + 1), alone);
    for_each_micro_batch(rollouts, batch.own, options_.micro_batch_tokens, [&](GroupRange micro) {
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
      const auto offsets = rollouts.tokens.offsets().subspan(first_row, rows + 1);
      const auto weights = tokens_of(rollouts, micro, std::span<float>(weights_));
      if (corrects()) {
        importance_weights(options_.correction, first_visit ? log_probs : old,
                           tokens_of(rollouts, micro, std::span<const float>(rollouts.log_probs)), offsets, weights,
                           importance_);
      }
      report += objective(LossInput<float>{.log_probs = log_probs,
                                           .old_log_probs = first_visit ? std::span<const float>{} : old,
                                           .reference_log_probs = tokens_of(rollouts, micro, reference_log_probs),
                                           .entropies = entropies,
                                           .offsets = offsets,
                                           .advantages = advantages.subspan(first_row, rows),
                                           .batch = counts,
                                           .weights = weights,
                                           .masked = masked_,
                                           .first_row = first_row},
                          LossGradient<float>{.d_log_probs = d_log_probs, .d_entropies = d_entropies});
      policy.backward(std::span<const float>(d_log_probs), std::span<const float>(d_entropies));
    });
  }

  /// Fills masked_ for the responses of a micro-batch if cut responses are masked.
  void mark_truncated(const Rollouts& rollouts, std::size_t first_row, std::size_t rows) {
    if (options_.mask_truncated == MaskTruncated::no) return;
    masked_.resize(rows);
    for (std::size_t i = 0; i < rows; ++i) masked_[i] = rollouts.finish[first_row + i] == Finish::length ? 1 : 0;
  }

  template <Communicator Comm>
  void measure_gap(const Rollouts& rollouts, GroupRange range, UpdateReport& report, Comm& communicator) const {
    const auto trained = tokens_of(rollouts, range, std::span<const float>(log_probs_));
    const auto drawn = tokens_of(rollouts, range, std::span<const float>(rollouts.log_probs));
    double sum = 0.0;
    for (std::size_t t = 0; t < trained.size(); ++t) {
      const double gap = std::abs(static_cast<double>(trained[t]) - static_cast<double>(drawn[t]));
      sum += gap;
      report.rollout_gap_max = std::max(report.rollout_gap_max, gap);
    }
    const double own[3] = {sum, static_cast<double>(trained.size()), report.rollout_gap_max};
    const std::vector<double> all = gather_values(std::span<const double>(own), communicator);
    double tokens = sum = 0.0;
    for (std::size_t r = 0; r < all.size(); r += 3) {
      sum += all[r];
      tokens += all[r + 1];
      report.rollout_gap_max = std::max(report.rollout_gap_max, all[r + 2]);
    }
    if (tokens > 0.0) report.rollout_gap_mean = sum / tokens;
  }

  TrainerOptions options_;
  Objective objective_;
  Optimizer<Scalar> optimizer_;
  GradientExchange<Scalar> exchange_;
  bool is_share_ = false;       // optimizer_ has the state of this rank's share alone
  double communication_ = 0.0;  // seconds, without those of the exchange
  double exchange_seconds_ = 0.0;
  bool off_policy_ = false;
  std::vector<float> log_probs_;
  std::vector<float> old_log_probs_;
  std::vector<float> d_log_probs_;
  std::vector<float> entropies_;
  std::vector<float> d_entropies_;
  std::vector<unsigned char> masked_;
  std::vector<float> weights_;  // of the importance correction; empty: there is none
  ImportanceFigures importance_;
};

}  // namespace maestro
