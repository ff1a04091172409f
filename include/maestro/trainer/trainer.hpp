#pragma once

/// @file
/// One step of MAESTRO: rollouts, rewards, Conductor, scalarization, advantages, policy update, and the Conductor's own
/// update after every few steps.

#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "maestro/conductor/anchor_rows.hpp"
#include "maestro/conductor/conductor.hpp"
#include "maestro/conductor/probability.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/parallel.hpp"
#include "maestro/core/state.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/data/anchor.hpp"
#include "maestro/data/micro_batches.hpp"
#include "maestro/data/rollouts.hpp"
#include "maestro/distributed/collectives.hpp"
#include "maestro/objective/kl_penalty.hpp"
#include "maestro/policy/policy.hpp"
#include "maestro/policy/snapshot.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/scalarization/draw_noise.hpp"
#include "maestro/scalarization/scalarization.hpp"
#include "maestro/trainer/anchor_step.hpp"
#include "maestro/trainer/checks.hpp"
#include "maestro/trainer/gather_rollouts.hpp"
#include "maestro/trainer/options.hpp"
#include "maestro/trainer/policy_update.hpp"
#include "maestro/trainer/ranks.hpp"
#include "maestro/trainer/requirements.hpp"
#include "maestro/trainer/reward_conflict.hpp"
#include "maestro/trainer/reward_figures.hpp"
#include "maestro/trainer/step_report.hpp"

namespace maestro {

namespace detail {

/// RewardCount gives K of a set of rewards. It takes no space if K is known at compile time.
template <Rewards R>
class RewardCount {
 public:
  explicit RewardCount(const R&) {}
  constexpr operator std::size_t() const { return R::size; }
};
template <Rewards R>
requires requires(const R& rewards) { rewards.size(); }
class RewardCount<R> {
 public:
  explicit RewardCount(const R& rewards) : count_(rewards.size()) {}
  operator std::size_t() const { return count_; }

 private:
  std::size_t count_;
};

}  // namespace detail

/// Trainer trains a policy by GRPO on K rewards whose weights a Conductor chooses.
///
///     maestro::Trainer trainer{std::move(policy), rewards, conductor, options};
///     while (more) report(trainer.step(prompts));
///
/// A scalarization or an advantage estimator may precede the options; the default is DefaultScalarization. The parts
/// are moved in and held by value. `policy()`, `rewards()` and `conductor()` give access to them. Parameters are copied
/// for the KL reference, if beta is above 0, and by rewards that keep a proxy. The same seed, build, thread count and
/// GEMM backend give the same bits.
///
/// With a communicator of several ranks, each rank has a trainer of the same parts and options, and all make the same
/// calls with the same prompts. A rank generates and scores the responses to its share of the prompts. Then all ranks
/// have the whole step, so Conductor, scalarization and figures are the same on every rank as on one rank. Each rank
/// trains on its share of the groups, and gradients are summed. Only rank 0 asks an anchor. A reward sees only the
/// responses of its own rank, so its counts and its state are those of that rank. Policy and Conductor have the same
/// bits on all ranks. Results are those of one rank, except for the order of the gradients' sums (and, with
/// Reduction::bnpo, the micro-batches). If a rank fails, all fail in the same phase; see in_step().
///
/// Source: Zhao et al. 2026 (MAESTRO); Shao et al. 2024 (GRPO).
template <Policy P, Rewards R, Conductor C, class S, Communicator Comm = SingleProcess>
requires detail::TrainerParts<P, R, C, S, Comm>
class Trainer {
 public:
  [[no_unique_address]] detail::RewardCount<R> num_rewards;  ///< K

  /// Takes over the parts. A communicator that does not own its ranks, such as a ThreadCommunicator, is copied.
  /// @throws BadArgument for options outside their domains, or if the Conductor is for another number of rewards.
  Trainer(P policy, R rewards, C conductor, S scalarization, TrainerOptions options, Comm communicator = {})
      : num_rewards(rewards),
        options_(std::move(options)),
        communicator_(std::move(communicator)),
        policy_(std::move(policy)),
        rewards_(std::move(rewards)),
        conductor_(std::move(conductor)),
        scalarization_(std::move(scalarization)),
        update_(options_) {
    check(options_);
    detail::check_action_count(conductor_, num_rewards);
    if (options_.objective.beta > 0.0) make_reference();
    if constexpr (requires { rewards_.attach(std::as_const(policy_)); }) rewards_.attach(std::as_const(policy_));
    report_ = blank_report();
  }
  /// Makes a trainer with DefaultScalarization.
  /// @throws BadArgument as the other constructor.
  Trainer(P policy, R rewards, C conductor, TrainerOptions options = {}) requires std::same_as<S, DefaultScalarization>
      : Trainer(std::move(policy), std::move(rewards), std::move(conductor), S(), std::move(options)) {}

  /// Stand for what a call without a Conductor, or without options, would make; such a call does not compile.
  Trainer(P, R) requires std::same_as<P, detail::RefusedPart>;
  Trainer(P, R, TrainerOptions) requires std::same_as<P, detail::RefusedPart>;
  template <class Other>
  Trainer(P, R, C, Other) requires std::same_as<P, detail::RefusedPart>;

  /// Refuses prompts that a step would refuse, as far as policy and rewards can tell (their optional check_prompts),
  /// and a run of which a scalarization of this library would make nothing. run_loop calls it before its first step.
  /// @throws what check_prompts of policy and rewards throws; BadArgument for one response a prompt under a
  ///         scalarization that makes nothing of it.
  void check_prompts(std::span<const Prompt> prompts) const {
    detail::refuse_lone_responses(scalarization_, num_rewards, options_.sampling.num_generations);
    if constexpr (requires { policy_.check_prompts(prompts, options_.sampling); }) {
      policy_.check_prompts(prompts, options_.sampling);
    }
    if constexpr (requires { rewards_.check_prompts(prompts, options_.sampling); }) {
      rewards_.check_prompts(prompts, options_.sampling);
    }
  }

  /// Generates responses to `prompts`, learns from them, and reports the figures of the step.
  ///
  /// A step that throws before the policy's first optimizer update has changed nothing that a checkpoint stores, with
  /// two exceptions: copies that follow the policy periodically (proxies, the KL reference), and the counted calls of
  /// an anchor. The step may be repeated, or another may follow. A step that throws later leaves policy, optimizer and
  /// Conductor at different steps. Every further step is then refused until the state of a checkpoint is loaded.
  /// @param prompts  those of all ranks, the same on each; at least one per rank.
  /// @param epoch    passes over the prompts after this step, for the report; run_loop knows it.
  /// @throws BadData naming a reward, log-prob or gradient that is not finite; BadArgument after a step that failed too
  ///         late, or if ranks differ in prompts, step or parameters; Unsupported for a rollout server with several
  ///         ranks; RankFailed.
  const StepReport& step(std::span<const Prompt> prompts, double epoch = 0.0) {
    require(!prompts.empty(), "trainer: a step needs at least one prompt");
    require(condition_ == Condition::whole,
            "trainer: an earlier step failed in the middle of its updates, so that policy, optimizer and Conductor do "
            "not belong together; go on from a checkpoint");
    const auto start = Clock::now();
    report_ = blank_report();
    report_.epoch = epoch;
    check_ranks(prompts);
    generate(prompts);
    report_.seconds.rollout = seconds_since(start);

    const auto rewards_start = Clock::now();
    score_rollouts();
    report_.seconds.rewards = seconds_since(rewards_start);

    const auto reference_start = Clock::now();
    ask_reference();
    report_.seconds.reference = seconds_since(reference_start);

    const auto conductor_start = Clock::now();
    phase([this] { weigh_rewards(); });
    report_.seconds.conductor = seconds_since(conductor_start);

    const auto anchor_start = Clock::now();
    consult_anchor();
    report_.seconds.rewards += seconds_since(anchor_start);

    const auto training_start = Clock::now();
    measure_reward_gradients();
    train_policy();
    report_.seconds.training = seconds_since(training_start);

    const auto learning_start = Clock::now();
    phase([this] { teach_conductor(); });
    report_.seconds.conductor += seconds_since(learning_start);

    condition_ = Condition::whole;
    ++step_;
    total_tokens_ += rollouts_.tokens.size() + rollouts_.prompt_tokens.size();
    describe_step();
    report_.seconds.total = seconds_since(start);
    return report_;
  }

  /// Gives the data of the last step. It is valid until the next step.
  StepTrace trace() const { return {rollouts_, scores_, decision_, scalar_rewards_, trained_advantages()}; }
  /// Gives the figures of the last step. Before the first step of this object, also after the state of a checkpoint was
  /// loaded, `step` is 0, and each of the K rewards has its name and no value: its mean is NaN, its count 0.
  const StepReport& report() const { return report_; }
  /// Gives the number of steps done.
  std::uint32_t steps_done() const { return step_; }
  /// Tells whether all parts are at the same step, so that the trainer may be saved. It is false after a step that
  /// failed too late.
  bool whole() const { return condition_ == Condition::whole; }

  P& policy() { return policy_; }
  const P& policy() const { return policy_; }
  R& rewards() { return rewards_; }
  const R& rewards() const { return rewards_; }
  C& conductor() { return conductor_; }
  const C& conductor() const { return conductor_; }
  const TrainerOptions& options() const { return options_; }
  Comm& communicator() { return communicator_; }

  /// Gathers the state of which each rank has only a share (TrainerOptions::shard_optimizer), and checks that all ranks
  /// have the same parameters. All ranks call it before one of them saves the state; Checkpoints does this.
  /// @throws BadArgument on every rank if their parameters differ; RankFailed.
  void gather_state() {
    if (!shares_step()) return;
    compare_parameters();
    update_.gather_state(policy_, communicator_);
  }

  /// Visits everything that the next step depends on; see core/state.hpp. It is the same for any number of ranks, so
  /// that a run may continue with another number.
  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step_);
    v("condition", condition_);
    v("total_tokens", total_tokens_);
    v("policy", ParameterValues{policy_});
    v("policy_update", update_);
    if constexpr (Stateful<R>) v("rewards", rewards_);
    if constexpr (Stateful<C>) v("conductor", conductor_);
    if constexpr (Stateful<S>) v("scalarization", scalarization_);
    if (reference_) v("reference", *reference_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  /// Condition says whether the parts that a step changes are at the same step.
  enum class Condition : std::uint8_t { whole, torn };

  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  bool shares_step() const { return size_ > 1; }
  /// Does this rank's part of a phase, and then checks whether the other ranks could do theirs.
  template <class Work>
  void phase(const Work& work) {
    detail::timed_phase(communicator_, report_.seconds.communication, work);
  }
  /// Does work that needs the other ranks.
  template <class Work>
  void together(const Work& work) {
    detail::add_seconds(report_.seconds.communication, work);
  }

  /// Gives the report of no step.
  StepReport blank_report() const {
    StepReport report;
    report.rewards.resize(num_rewards);
    const auto names = rewards_.names();
    for (std::size_t k = 0; k < num_rewards; ++k) {
      report.rewards[k].name = std::string(names[k]);
      report.rewards[k].mean = std::nan("");
      report.rewards[k].advantage_correlation = std::nan("");
      report.rewards[k].correlations.assign(num_rewards - k - 1, std::nan(""));
    }
    return report;
  }

  /// Checks that the ranks can do this step together.
  /// @throws BadArgument on every rank if they cannot.
  void check_ranks(std::span<const Prompt> prompts) {
    report_.ranks = size_;
    report_.threads = max_threads();
    if (!shares_step()) return;
    if (prompts.size() < size_) {
      throw BadArgument("trainer: " + std::to_string(prompts.size()) + " prompts for " + std::to_string(size_) +
                        " ranks; a step needs at least one prompt for each rank");
    }
    together([&] {
      detail::require_alike(detail::hash_of_step(step_, prompts),
                            "trainer: the ranks are at different steps or have different prompts; give all of them the "
                            "same data, seed and checkpoint",
                            communicator_);
      if (!compared_) compare_parameters();
      compared_ = true;
    });
  }
  void compare_parameters() {
    detail::require_alike(detail::hash_of_values(policy_),
                          "trainer: the ranks have policies of different parameters; load the same files on all, and "
                          "use processors and libraries of one kind",
                          communicator_);
  }

  /// Draws the responses to this rank's share of the prompts, and gathers those of all ranks.
  void generate(std::span<const Prompt> prompts) {
    const GroupRange share = detail::rank_share({0, prompts.size()}, communicator_.rank(), size_);
    phase([&] {
      if constexpr (requires { policy_.served() && true; }) {
        if (policy_.served() && shares_step()) {
          throw Unsupported("trainer: a rollout server serves one process; run without other ranks");
        }
      }
      follow_policy();
      own_rollouts_ =
          policy_.generate(prompts.subspan(share.first, share.last - share.first), options_.sampling,
                           DrawKey{.seed = options_.seed, .step = step_, .earlier = prompts.first(share.first)});
    });
    const auto keep = [this](std::string_view name, double value) { report_.served.emplace_back(name, value); };
    if constexpr (detail::VisitsFigures<P>) policy_.visit_figures(keep);
    own_groups_ = share;
    if (!shares_step()) {
      rollouts_ = std::move(own_rollouts_);
      own_groups_ = {0, rollouts_.groups.count()};  // a server may have left groups out
      return;
    }
    together([&] {
      rollouts_ = gather_rollouts(own_rollouts_, std::vector<Prompt>(prompts.begin(), prompts.end()), communicator_);
    });
  }

  /// Makes the reference: the base of a policy with adapters, or the policy as it is.
  void make_reference() {
    if constexpr (requires { policy_.without_adapters(); }) {
      reference_.emplace(policy_.without_adapters());
    } else {
      reference_.emplace(policy_);
    }
  }

  /// Updates proxies and the KL reference from the policy if their periods have passed.
  void follow_policy() {
    if constexpr (requires { rewards_.before_step(policy_, step_); }) rewards_.before_step(policy_, step_);
    const bool due = options_.reference_sync_steps > 0 && step_ > 0 && step_ % options_.reference_sync_steps == 0;
    if (reference_ && due) reference_->synchronize(policy_);
  }

  void score_rollouts() {
    scores_.resize(rollouts_.size(), num_rewards);
    phase([this] {
      own_scores_.resize(shares_step() ? own_rollouts_.size() : 0, num_rewards);
      if (shares_step()) {
        rewards_.evaluate(own_rollouts_, own_scores_.view());
      } else {
        rewards_.evaluate(rollouts_, scores_.view());
      }
      describe_failures();  // now, since an anchor may have responses from outside scored too
    });
    if (!shares_step()) return;
    together([this] {
      detail::gather_rows(own_scores_, scores_, communicator_);
      detail::merge_reward_figures(report_, communicator_);
    });
  }

  /// Computes the KL reference's log-probs, and the penalty if the KL is part of the reward.
  void ask_reference() {
    reference_log_probs_.clear();
    penalty_.clear();
    if (!reference_) return;
    reference_log_probs_.resize(rollouts_.tokens.size());
    phase([this] {
      for_each_micro_batch(rollouts_, own_groups_, options_.micro_batch_tokens, [&](GroupRange range) {
        reference_->log_probs(rollouts_, range, tokens_of(rollouts_, range, std::span<float>(reference_log_probs_)));
      });
    });
    if (shares_step()) {
      together([this] {
        const auto own = tokens_of(rollouts_, own_groups_, std::span<const float>(reference_log_probs_));
        reference_log_probs_ = gather_values(own, communicator_);
      });
    }
    if (options_.objective.kl_placement != KlPlacement::reward) return;
    penalty_.resize(rollouts_.size());
    penalty_clamped_ = kl_penalty(options_.objective.beta, options_.objective.kl_estimator, rollouts_.log_probs,
                                  reference_log_probs_, rollouts_.tokens.offsets(), penalty_);
  }

  /// Gives the Conductor's view of the step.
  StepView view() const {
    return {.hidden = rollouts_.hidden,
            .rewards = scores_,
            .groups = rollouts_.groups,
            .rows = rows_,
            .seed = options_.seed,
            .step = step_,
            .tasks = tasks_,
            .prompt_hidden = rollouts_.prompt_hidden};
  }

  void weigh_rewards() {
    rows_.clear();
    tasks_.clear();
    for (const Prompt& prompt : rollouts_.prompts) {
      rows_.push_back(prompt.row);
      tasks_.emplace_back(prompt.task);
    }
    const std::size_t responses = rollouts_.size();
    decision_ = conductor_.decide(view());
    detail::check_decision<C>(decision_, scores_);
    advantages_.assign(responses, detail::unwritten);
    scalar_rewards_.assign(responses, detail::unwritten);
    counterfactuals_.assign(wants_counterfactuals(conductor_) ? responses : 0, num_rewards, detail::unwritten);
    lengths_.clear();
    for (std::size_t i = 0; i < responses; ++i) {
      lengths_.push_back(static_cast<std::int32_t>(rollouts_.tokens.length(i)));
    }
    const ScalarizationInput in{scores_, decision_, rollouts_.groups, penalty_, lengths_};
    const ScalarizationOutput out{advantages_, scalar_rewards_, counterfactuals_};
    SingleProcess alone;  // every rank has the whole batch
    scalarization_(in, out, alone);
    detail::check_scalarized<S>(out, scores_);
    report_.draw_noise_share = draw_noise_.share(scalarization_, in, advantages_, alone);
  }

  /// Asks the anchor, if the rewards have one, after everything that can fail without it. Its scores change the
  /// advantages that train the policy, but not those from which the Conductor learns.
  void consult_anchor() {
    signal_ = AnchorSignal{};
    blended_.clear();
    if constexpr (requires(const AnchorView& step) { rewards_.consult(policy_, step); }) {
      std::vector<std::pair<std::string, double>> own;
      std::string failure;
      phase([&] {
        if (communicator_.rank() == 0) ask_anchor(own, failure);
      });
      if (shares_step()) together([&] { detail::share_signal(signal_, own, failure, communicator_); });
      if (signal_.silent()) return;
      AnchorFigures& figures = report_.anchor.emplace();
      figures.groups = signal_.groups.size();
      figures.calls = signal_.calls;
      figures.calls_total = signal_.total;
      figures.rank_correlation = anchor_rank_correlation(signal_, rollouts_.groups, advantages_);
      if (signal_.groups.empty()) return;
      figures.own = std::move(own);
      if (report_.reward_failure.empty()) report_.reward_failure = failure;
      if (signal_.blend == 0.0) return;
      blended_ = advantages_;
      blend_advantages(signal_, rollouts_.groups, blended_);
    }
  }
  /// Asks the anchor on this rank.
  /// @param own      receives the anchor's own figures.
  /// @param failure  receives the reason of the anchor's first failure.
  void ask_anchor(std::vector<std::pair<std::string, double>>& own, std::string& failure) {
    uncertainty_.clear();
    if constexpr (detail::GivesUncertainty<C>) {
      uncertainty_.resize(rewards_.wants_uncertainty() ? rollouts_.groups.count() : 0);
      if (!uncertainty_.empty()) conductor_.uncertainty(view(), uncertainty_);
    }
    signal_ = rewards_.consult(policy_, AnchorView{.rollouts = rollouts_,
                                                   .rewards = scores_,
                                                   .uncertainty = uncertainty_,
                                                   .seed = options_.seed,
                                                   .step = step_});
    if (signal_.groups.empty()) return;
    rewards_.visit_anchor_figures([&](std::string_view name, double value) { own.emplace_back(name, value); });
    const auto* failed = rewards_.anchor_failures();
    if (failed != nullptr) failure = failed->reason;
  }
  /// Computes the gradients from which a Conductor that follows them learns, before anything changes.
  void measure_reward_gradients() {
    const std::size_t wanted = wants_reward_gradients(conductor_) ? std::size_t{num_rewards} : 0;
    reward_gradients_.assign(wanted, wanted, 0.0);
    if (wanted == 0) return;
    Matrix<float> alone(scores_.rows(), wanted);
    for (std::size_t g = 0; g < rollouts_.groups.count(); ++g) {
      const std::size_t first = rollouts_.groups.begin(g);
      for (std::size_t k = 0; k < wanted; ++k) {
        z_scores(
            rollouts_.groups.size(g), [&](std::size_t i) { return scores_(first + i, k); },
            [&](std::size_t i, double score) { alone(first + i, k) = static_cast<float>(score); });
      }
    }
    update_.reward_gradients(policy_, rollouts_, alone, reward_gradients_.view(), communicator_);
  }
  /// Gives the advantages that train the policy.
  std::span<const float> trained_advantages() const { return blended_.empty() ? advantages_ : blended_; }

  /// Teaches the Conductor. This follows the policy's update, so that a failure there leaves the Conductor unchanged.
  void teach_conductor() {
    if constexpr (detail::Observes<C>) {
      conductor_.observe(Feedback{.decision = decision_,
                                  .hidden = rollouts_.hidden,
                                  .groups = rollouts_.groups,
                                  .advantages = advantages_,
                                  .counterfactuals = counterfactuals_,
                                  .step = step_,
                                  .rewards = scores_,
                                  .seed = options_.seed,
                                  .tasks = tasks_,
                                  .judged = signal_.judged,
                                  .demonstrated = signal_.demonstrated,
                                  .prompt_hidden = rollouts_.prompt_hidden,
                                  .reward_gradients = reward_gradients_});
    }
    if constexpr (detail::Updates<C>) report_.conductor = conductor_.update();
  }

  void train_policy() {
    report_.learning_rate = options_.learning_rate * learning_rate_factor(options_.schedule, step_);
    const UpdateReport done =
        update_.run(policy_, rollouts_, trained_advantages(), reference_log_probs_, report_.learning_rate,
                    communicator_, [this] { condition_ = Condition::torn; });
    report_.loss = done.loss;
    report_.kl_clamped = penalty_.empty() ? done.loss.kl_clamped : static_cast<double>(penalty_clamped_);
    report_.grad_norm = done.grad_norm;
    report_.rollout_gap_mean = done.rollout_gap_mean;
    report_.rollout_gap_max = done.rollout_gap_max;
    report_.seconds.communication += done.communication;
    report_.seconds.exchange = done.exchange;
    report_.importance = done.importance;
  }

  void describe_step() {
    report_.step = step_;
    report_.total_tokens = total_tokens_;
    report_.response_tokens = rollouts_.tokens.size();
    report_.prompt_tokens = rollouts_.prompt_tokens.size();
    describe_lengths();
    const Moments scalar = moments_of(scalar_rewards_.data(), scalar_rewards_.size());
    report_.reward_mean = scalar.mean;
    report_.reward_std_dev = scalar.std_dev(1);
    describe_rewards(scores_, decision_, rollouts_.groups, report_);
    describe_conflict(scores_, advantages_, rollouts_.groups, report_);
    report_.entropy = moments_of(rollouts_.entropies.data(), rollouts_.entropies.size()).mean;
    report_.kl_to_uniform = kl_to_uniform(decision_, scores_);
  }

  /// Records the rewards' own figures, and the first failure among them.
  void describe_failures() {
    const auto keep = [this](std::size_t k, std::string_view name, double value) {
      report_.rewards[k].own.emplace_back(name, value);
    };
    if constexpr (requires { rewards_.visit_figures(keep); }) rewards_.visit_figures(keep);
    if constexpr (requires { rewards_.failures()[std::size_t{}]->reason; }) {
      for (const auto* failures : rewards_.failures()) {
        if (failures != nullptr && report_.reward_failure.empty()) report_.reward_failure = failures->reason;
      }
    }
  }

  void describe_lengths() {
    const auto length = [&](std::size_t i) { return static_cast<double>(rollouts_.tokens.length(i)); };
    std::size_t cut = 0;
    report_.min_length = length(0);
    double sum = 0.0;
    for (std::size_t i = 0; i < rollouts_.size(); ++i) {
      report_.min_length = std::min(report_.min_length, length(i));
      report_.max_length = std::max(report_.max_length, length(i));
      sum += length(i);
      if (rollouts_.finish[i] == Finish::length) ++cut;
    }
    const auto count = static_cast<double>(rollouts_.size());
    report_.mean_length = sum / count;
    report_.clipped_fraction = static_cast<double>(cut) / count;
  }

  TrainerOptions options_;
  Comm communicator_;
  std::size_t size_ = communicator_.size();
  bool compared_ = false;  // the parameters with those of the other ranks
  P policy_;
  R rewards_;
  C conductor_;
  S scalarization_;
  PolicyUpdate<P> update_;
  std::optional<Snapshot<P>> reference_;
  Condition condition_ = Condition::whole;
  std::uint32_t step_ = 0;
  std::uint64_t total_tokens_ = 0;

  Rollouts rollouts_;
  Matrix<float> scores_;   // (B x K)
  Rollouts own_rollouts_;  // this rank's share, if there are others
  Matrix<float> own_scores_;
  GroupRange own_groups_;  // that this rank generated
  Decision decision_;
  Matrix<float> counterfactuals_;
  DrawNoise draw_noise_;
  std::vector<std::int64_t> rows_;
  std::vector<std::string_view> tasks_;  // of the rollouts' prompts
  AnchorSignal signal_;
  std::vector<double> uncertainty_;    // (N) or empty
  std::vector<float> blended_;         // (B), or empty: as advantages_
  Matrix<double> reward_gradients_;    // (K x K) or empty
  std::vector<std::int32_t> lengths_;  // (B) tokens
  std::vector<float> advantages_;
  std::vector<float> scalar_rewards_;
  std::vector<float> reference_log_probs_;
  std::vector<float> penalty_;
  std::size_t penalty_clamped_ = 0;
  StepReport report_;
};

/// Deduces the scalarization Advantages<E> from an advantage estimator E.
template <class P, class R, class C, AdvantageEstimator E, class Comm = SingleProcess>
requires detail::TrainerParts<P, R, C, Advantages<E>, Comm> Trainer(P, R, C, E, TrainerOptions, Comm = {})
->Trainer<P, R, C, Advantages<E>, Comm>;

/// Deduces DefaultScalarization if there is no scalarization.
template <class P, class R, class C>
Trainer(P, R, C, TrainerOptions = {}) -> Trainer<P, R, C, DefaultScalarization>;

/// Gives one error for parts that do not fit, which says what is missing; see requirements.hpp.
template <class P, class R, class C, class S, detail::UnfitFor<P, R, C, S> Comm = SingleProcess>
Trainer(P, R, C, S, TrainerOptions, Comm = {})
    -> Trainer<typename decltype(detail::refuse_parts<P, R, C, S, Comm>())::type, detail::RefusedPart,
               detail::RefusedPart, detail::RefusedPart>;
template <class P, class R, class C, detail::UnfitFor<P, R, C, DefaultScalarization> Comm = SingleProcess>
Trainer(P, R, C, TrainerOptions = {})
    -> Trainer<typename decltype(detail::refuse_parts<P, R, C, DefaultScalarization, Comm>())::type,
               detail::RefusedPart, detail::RefusedPart, DefaultScalarization>;
template <class P, class R>
Trainer(P, R) -> Trainer<typename decltype(detail::refuse_missing_conductor<P>())::type, detail::RefusedPart,
                         detail::RefusedPart, DefaultScalarization>;
template <class P, class R>
Trainer(P, R, TrainerOptions) -> Trainer<typename decltype(detail::refuse_missing_conductor<P>())::type,
                                         detail::RefusedPart, detail::RefusedPart, DefaultScalarization>;
template <class P, class R, class C, detail::NoOptions S>
Trainer(P, R, C, S) -> Trainer<typename decltype(detail::refuse_missing_options<S>())::type, detail::RefusedPart,
                               detail::RefusedPart, DefaultScalarization>;

}  // namespace maestro
