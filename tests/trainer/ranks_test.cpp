// One training on several ranks: what is the same to the bit, what is the same within rounding, and what fails
// together.

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "maestro/conductor/anchored.hpp"
#include "maestro/distributed/any.hpp"
#include "maestro/distributed/thread.hpp"
#include "maestro/io/file.hpp"
#include "maestro/reward/anchored_rewards.hpp"
#include "maestro/trainer/gradient_exchange.hpp"
#include "maestro/trainer/run.hpp"
#include "message_of.hpp"
#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(ranks)

namespace {

using maestro::AnyCommunicator;
using maestro::ShardOptimizer;
using maestro::ThreadCommunicator;
using maestro::TrainerOptions;
using test::message_of;
using State = std::vector<std::pair<std::string, std::string>>;

template <class Rewards, class Comm>
auto trainer_with(Rewards rewards, const TrainerOptions& options, Comm comm) {
  return maestro::Trainer(tiny::Policy({.contexts = 3, .actions = 5, .length = 2}), std::move(rewards),
                          tiny::Conductor({.period = 2, .learning_rate = 0.05}), maestro::GroupRelative{}, options,
                          std::move(comm));
}
template <class Comm>
auto trainer_on(const TrainerOptions& options, Comm comm) {
  return trainer_with(tiny::Rewards{tiny::Match{}, tiny::Small{}}, options, std::move(comm));
}

/// What a rank has after some steps.
struct Outcome {
  std::vector<float> policy;
  State state;
  State conductor;
  std::vector<maestro::StepReport> reports;
  std::vector<std::string> texts;
  float largest = 0.0f;  // |advantage|
};

template <class Trainer>
Outcome outcome_of(Trainer& trainer, std::uint32_t steps) {
  Outcome outcome;
  const auto prompts = tiny::prompts(4);  // fewer than a step has: rows come twice, on different ranks
  while (trainer.steps_done() < steps) {
    maestro::run_loop(trainer, prompts, {.steps = trainer.steps_done() + 1});
    outcome.reports.push_back(trainer.report());
    for (const auto& text : trainer.trace().rollouts.texts) outcome.texts.push_back(text);
    for (const float a : trainer.trace().advantages) outcome.largest = std::max(outcome.largest, std::abs(a));
  }
  trainer.gather_state();
  trainer.policy().visit(
      [&](auto view) { outcome.policy.insert(outcome.policy.end(), view.values.begin(), view.values.end()); });
  outcome.state = tiny::state_of(trainer);
  outcome.conductor = tiny::state_of(trainer.conductor());
  return outcome;
}

std::vector<Outcome> on_ranks(std::size_t ranks, const TrainerOptions& options, std::uint32_t steps) {
  std::vector<Outcome> outcomes(ranks);
  maestro::run_on_threads(ranks, [&](ThreadCommunicator& comm) {
    auto trainer = trainer_on(options, AnyCommunicator(comm));
    outcomes[comm.rank()] = outcome_of(trainer, steps);
  });
  return outcomes;
}

Outcome on_one(const TrainerOptions& options, std::uint32_t steps) {
  auto trainer = trainer_on(options, maestro::SingleProcess{});
  return outcome_of(trainer, steps);
}

/// Everything that a step can do: several updates, a reference, clipping.
TrainerOptions full_options() {
  TrainerOptions options = tiny::options();
  options.num_iterations = 2;
  options.num_minibatches = 2;
  options.objective.beta = 0.05;
  options.reference_sync_steps = 2;
  options.max_grad_norm = 0.05;
  return options;
}

}  // namespace

BOOST_AUTO_TEST_CASE(all_ranks_have_the_same_bits) {
  for (const std::size_t ranks : {2u, 3u, 4u}) {
    const std::vector<Outcome> all = on_ranks(ranks, full_options(), 5);
    for (std::size_t r = 1; r < ranks; ++r) {
      BOOST_TEST((all[r].state == all[0].state));
      BOOST_TEST(all[r].reports.back().loss.loss == all[0].reports.back().loss.loss);
      BOOST_TEST(all[r].reports.back().grad_norm == all[0].reports.back().grad_norm);
    }
  }
}

// A tabular policy's logit has the gradient sum_i c_i A_i (1[a_i] - p): of T terms, whose |c_i A_i| sum to at most the
// largest |A|. Sums of T floats in another order differ by at most 2 T 2^-24 times that sum, and SGD moves a logit by
// the learning rate times the gradient. The next gradients differ by that (the softmax is 1-Lipschitz) and their own
// rounding: lr sum of (1 + lr A)^s over the steps. Draws and decisions must be the very same.
BOOST_AUTO_TEST_CASE(several_ranks_train_as_one_within_the_rounding_of_sums) {
  TrainerOptions options = tiny::options();
  options.optimizer.kind = maestro::OptimizerKind::sgd;
  options.max_grad_norm = 0.0;
  options.learning_rate = 0.1;
  options.correction.correction = maestro::ImportanceCorrection::token_truncate;  // ratios are 1 here
  constexpr std::uint32_t steps = 6;
  const Outcome one = on_one(options, steps);
  const double terms = 6.0 * 8.0 * 2.0;
  const double gradient = 2.0 * terms * 0x1p-24 * static_cast<double>(one.largest);
  double tolerance = 0.0;
  for (std::uint32_t s = 0; s < steps; ++s) {
    tolerance += options.learning_rate * gradient *
                 std::pow(1.0 + options.learning_rate * static_cast<double>(one.largest), static_cast<double>(s));
  }
  BOOST_TEST(tolerance < 1e-4);
  for (const std::size_t ranks : {1u, 2u, 3u, 4u}) {
    const Outcome many = on_ranks(ranks, options, steps)[0];
    BOOST_TEST(many.texts == one.texts);
    for (std::size_t i = 0; i < one.policy.size(); ++i) {
      BOOST_TEST(std::abs(many.policy[i] - one.policy[i]) <= tolerance);
    }
    for (std::size_t s = 0; s < steps; ++s) {
      const maestro::StepReport& a = many.reports[s];
      const maestro::StepReport& b = one.reports[s];
      BOOST_TEST(a.ranks == ranks);
      BOOST_TEST(a.reward_mean == b.reward_mean);  // of the same draws, on whole batches
      BOOST_TEST(a.rewards[0].mean == b.rewards[0].mean);
      BOOST_TEST(a.rewards[1].weight == b.rewards[1].weight);
      BOOST_TEST(a.total_tokens == b.total_tokens);
      BOOST_TEST(a.importance.count == b.importance.count);
      BOOST_TEST(std::abs(a.loss.loss - b.loss.loss) <= tolerance);
      BOOST_TEST(std::abs(a.grad_norm - b.grad_norm) <= 2.0 * tolerance / options.learning_rate);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_conductor_is_that_of_one_rank) {
  // Its inputs do not change with the policy here: a learning rate of 0 leaves the draws alone.
  TrainerOptions options = full_options();
  options.learning_rate = 0.0;
  const Outcome one = on_one(options, 6);
  for (const std::size_t ranks : {2u, 4u}) {
    const Outcome many = on_ranks(ranks, options, 6)[0];
    BOOST_TEST((many.conductor == one.conductor));
    BOOST_TEST(many.reports.back().conductor->loss == one.reports.back().conductor->loss);
  }
}

BOOST_AUTO_TEST_CASE(an_anchor_is_asked_once_and_teaches_all_ranks) {
  TrainerOptions options = tiny::options();
  options.learning_rate = 0.0;
  const auto run = [&](auto comm) {
    maestro::Trainer trainer(
        tiny::Policy({.contexts = 3, .actions = 5, .length = 2}),
        maestro::AnchoredRewards{tiny::Rewards{tiny::Match{}, tiny::Small{}}, maestro::RewardAnchor{tiny::Match{}},
                                 maestro::AnchorOptions{.share = 0.5, .training = maestro::AnchorTraining::judge}},
        maestro::AnchoredConductor(), maestro::DefaultScalarization{}, options, std::move(comm));
    const auto prompts = tiny::prompts(4);
    maestro::run_loop(trainer, prompts, {.steps = 6});
    const maestro::AnchorFigures figures = trainer.report().anchor.value_or(maestro::AnchorFigures{});
    const auto advantages = trainer.trace().advantages;
    return std::tuple(tiny::state_of(trainer.conductor()), figures.calls_total, figures.rank_correlation,
                      std::vector<float>(advantages.begin(), advantages.end()));
  };
  const auto one = run(maestro::SingleProcess{});
  BOOST_TEST(std::get<1>(one) > 0u);
  maestro::run_on_threads(
      3, [&](ThreadCommunicator& comm) { maestro::require(run(comm) == one, "a rank has learned something else"); });
}

BOOST_AUTO_TEST_CASE(shares_of_the_optimizer_give_the_bits_of_whole_ones) {
  for (const auto kind : {maestro::OptimizerKind::adamw, maestro::OptimizerKind::sgd}) {
    TrainerOptions options = full_options();
    options.optimizer.kind = kind;
    options.optimizer.sgd.momentum = 0.9;
    for (const std::size_t ranks : {2u, 3u, 4u}) {
      options.shard_optimizer = ShardOptimizer::no;
      const std::vector<Outcome> whole = on_ranks(ranks, options, 5);
      options.shard_optimizer = ShardOptimizer::yes;
      const std::vector<Outcome> shared = on_ranks(ranks, options, 5);
      for (std::size_t r = 0; r < ranks; ++r) {
        BOOST_TEST((shared[r].state == whole[r].state));
        BOOST_TEST(shared[r].reports.back().grad_norm == whole[r].reports.back().grad_norm);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_share_of_the_state_is_not_saved_as_the_whole) {
  TrainerOptions options = tiny::options();
  options.shard_optimizer = ShardOptimizer::yes;
  std::vector<std::string> messages(2);
  maestro::run_on_threads(2, [&](ThreadCommunicator& comm) {
    auto trainer = trainer_on(options, comm);
    trainer.step(tiny::prompts(6));
    messages[comm.rank()] = message_of([&] { tiny::state_of(trainer); });
  });
  for (const std::string& message : messages) BOOST_TEST(message.find("call gather_state") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(windows_and_shares_cover_every_value_once) {
  for (const std::size_t values : {0u, 1u, 7u, 64u, 65u}) {
    for (const std::size_t ranks : {1u, 2u, 3u, 5u}) {
      for (const std::size_t window : {1u, 6u, 1000u}) {
        const maestro::RankShares shares(values, ranks, window);
        std::size_t next = 0;
        std::size_t counted = 0;
        for (std::size_t w = 0; w < shares.windows(); ++w) {
          for (std::size_t r = 0; r < ranks; ++r) {
            BOOST_TEST(shares.begin(w, r) == next);
            next = shares.end(w, r);
          }
        }
        for (std::size_t r = 0; r < ranks; ++r) counted += shares.count(r);
        BOOST_TEST(next == values);
        BOOST_TEST(counted == values);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_are_summed_over_any_windows) {
  for (const std::size_t window : {1u, 4u, 7u, 1000u}) {
    maestro::run_on_threads(3, [&](ThreadCommunicator& comm) {
      tiny::Policy policy({.contexts = 3, .actions = 5, .length = 2});
      policy.zero_gradients();
      float value = 1.0f;
      policy.visit([&](auto view) {
        for (float& g : view.gradients) g = value++ * static_cast<float>(comm.rank() + 1);
      });
      maestro::GradientExchange<float> exchange(window);
      using Sums = maestro::GradientExchange<float>::Sums;
      exchange.sum_gradients(policy, Sums::all, comm);
      value = 1.0f;
      bool right = true;
      policy.visit([&](auto view) {
        for (const float g : view.gradients) right = right && g == 6.0f * value++;
      });
      maestro::require(right, "a sum is wrong");
      // A rank steps its share of the values; all have all of them afterwards.
      const maestro::RankShares shares = exchange.shares_of(policy, comm.size());
      maestro::OwnShare own(policy, shares, comm.rank());
      own.visit([&](auto view) {
        for (std::size_t i = 0; i < view.values.size(); ++i) view.values[i] = view.gradients[i];
      });
      exchange.gather_values_of(policy, comm);
      policy.visit([&](auto view) {
        for (std::size_t i = 0; i < view.values.size(); ++i) right = right && view.values[i] == view.gradients[i];
      });
      maestro::require(right, "a value is wrong");
    });
  }
}

BOOST_AUTO_TEST_CASE(ranks_that_do_not_belong_together_are_refused) {
  const auto prompts = tiny::prompts(6);
  const auto run = [&](const auto& step) {
    return message_of([&] {
      maestro::run_on_threads(2, [&](ThreadCommunicator& comm) {
        auto trainer = trainer_on(tiny::options(), comm);
        step(trainer, comm.rank());
      });
    });
  };
  BOOST_TEST(run([&](auto& t, std::size_t rank) {
               t.step(std::span(prompts).first(6 - rank));
             }).find("different prompts") != std::string::npos);
  BOOST_TEST(run([&](auto& t, std::size_t rank) {
               t.policy().visit([&](auto view) { view.values[0] += static_cast<float>(rank); });
               t.step(prompts);
             }).find("different parameters") != std::string::npos);
  BOOST_TEST(run([&](auto& t, std::size_t rank) {
               t.step(prompts);
               t.policy().visit([&](auto view) { view.values[0] += static_cast<float>(rank); });
               t.gather_state();
             }).find("different parameters") != std::string::npos);
  BOOST_TEST(run([&](auto& t, std::size_t) { t.step(std::span(prompts).first(1)); }).find("1 prompts for 2 ranks") !=
             std::string::npos);
}

namespace {

/// Fails for one response of one step.
struct Failing {
  static constexpr std::string_view name = "failing";
  std::shared_ptr<std::atomic<int>> calls_left = std::make_shared<std::atomic<int>>(1 << 30);
  float operator()(const maestro::Completion&) const {
    if (--*calls_left < 0) throw maestro::BadData("the judge is gone");
    return 0.0f;
  }
};

std::string folder_of(const std::string& name) {
  const std::string folder = std::filesystem::temp_directory_path() / ("maestro_ranks_" + name);
  std::filesystem::remove_all(folder);
  return folder;
}

maestro::RunOptions run_options(std::uint32_t steps) {
  return {.steps = steps, .save_every = 2, .fingerprint = "ranks", .timings = maestro::LogTimings::omit};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_rank_that_fails_ends_all_and_leaves_a_checkpoint) {
  const std::string folder = folder_of("fails");
  std::vector<std::string> messages(3);
  maestro::run_on_threads(3, [&](ThreadCommunicator& comm) {
    Failing failing;
    if (comm.rank() == 1) *failing.calls_left = 3 * 2 * 8 + 5;  // in the fourth step
    auto trainer = trainer_with(maestro::RewardSet{tiny::Match{}, failing}, tiny::options(), comm);
    const maestro::Run run(folder, run_options(10), comm);
    messages[comm.rank()] = message_of([&] { run(trainer, tiny::prompts()); });
    maestro::require(trainer.steps_done() == 3, "a rank went on");
  });
  BOOST_TEST(messages[1].find("the judge is gone") != std::string::npos);
  for (const std::size_t other : {0u, 2u}) {
    BOOST_TEST(messages[other].find("rank 1 of 3 failed: reward 'failing'") == 0u);
  }
  BOOST_TEST(maestro::Checkpoints::newest_in(maestro::Run::checkpoints_in(folder)).value_or("").ends_with("3"));
  std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(a_run_goes_on_with_another_number_of_ranks) {
  TrainerOptions options = full_options();
  const auto run_on = [&](const std::string& folder, std::size_t ranks, std::uint32_t steps, ShardOptimizer shard) {
    options.shard_optimizer = shard;
    std::vector<State> states(ranks);
    maestro::run_on_threads(ranks, [&](ThreadCommunicator& comm) {
      auto trainer = trainer_on(options, AnyCommunicator(comm));
      const maestro::Run run(folder, run_options(steps), comm);
      run(trainer, tiny::prompts());
      trainer.gather_state();
      states[comm.rank()] = tiny::state_of(trainer);
    });
    for (const State& state : states) BOOST_TEST((state == states[0]));
    return states[0];
  };
  const std::string whole = folder_of("whole");
  const std::string parts = folder_of("parts");
  const State undisturbed = run_on(whole, 2, 9, ShardOptimizer::no);
  run_on(parts, 2, 3, ShardOptimizer::yes);
  run_on(parts, 2, 6, ShardOptimizer::no);
  BOOST_TEST((run_on(parts, 2, 9, ShardOptimizer::yes) == undisturbed));
  for (const char* file : {"/metrics.jsonl", "/samples.jsonl"}) {
    BOOST_TEST(maestro::read_file(parts + file) == maestro::read_file(whole + file));
  }
  const State before = run_on(parts, 2, 9, ShardOptimizer::yes);
  BOOST_TEST((run_on(parts, 3, 9, ShardOptimizer::yes) == before));  // loads, and has nothing left to do
  run_on(parts, 1, 12, ShardOptimizer::no);
  run_on(parts, 4, 14, ShardOptimizer::yes);
  std::filesystem::remove_all(whole);
  std::filesystem::remove_all(parts);
}

BOOST_AUTO_TEST_CASE(all_stop_if_one_is_asked_to_and_rank_0_speaks_for_all) {
  const std::string folder = folder_of("stop");
  std::vector<std::string> said(2);
  maestro::run_on_threads(2, [&](ThreadCommunicator& comm) {
    auto trainer = trainer_on(tiny::options(), comm);
    std::ostringstream progress;
    maestro::RunOptions options = run_options(10);
    options.progress = &progress;
    options.should_stop = [&] { return comm.rank() == 1 && trainer.steps_done() == 3; };
    const maestro::Run run(folder, options, comm);
    maestro::require(run(trainer, tiny::prompts()) == maestro::LoopEnd::stopped, "not stopped");
    maestro::require(trainer.steps_done() == 3, "a rank went on");
    said[comm.rank()] = progress.str();
  });
  BOOST_TEST(said[0].find("2 ranks") != std::string::npos);
  BOOST_TEST(said[1] == "");
  std::filesystem::remove_all(folder);
}

BOOST_AUTO_TEST_CASE(a_run_without_the_communicator_of_its_trainer_is_refused) {
  const std::string message = message_of([&] {
    maestro::run_on_threads(2, [&](ThreadCommunicator& comm) {
      auto trainer = trainer_on(tiny::options(), comm);
      const maestro::Run run(folder_of("lone" + std::to_string(comm.rank())), run_options(1));
      run(trainer, tiny::prompts());
    });
  });
  BOOST_TEST(message.find("give the Run their communicator") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()
