#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "maestro/conductor/any.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/rule.hpp"
#include "maestro/reward/any_reward.hpp"
#include "maestro/scalarization/estimators/batch_centered.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/metrics.hpp"
#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(trainer)

BOOST_AUTO_TEST_CASE(reports_the_step) {
  auto trainer = tiny::trainer();
  const auto prompts = tiny::prompts(6);
  const maestro::StepReport& report = trainer.step(prompts);
  BOOST_TEST(report.step == 1u);
  BOOST_TEST(report.response_tokens == 6u * 8u * 2u);
  BOOST_TEST(report.mean_length == 2.0);
  BOOST_TEST(report.rewards.size() == 2u);
  BOOST_TEST(report.rewards[0].name == "match");
  BOOST_TEST(report.rewards[0].count == 48u);
  BOOST_TEST(std::abs(report.rewards[0].weight + report.rewards[1].weight - 1.0) < 1e-6);
  BOOST_TEST(std::abs(report.entropy - std::log(5.0)) < 1e-5);  // the logits start at 0
  const auto trace = trainer.trace();
  BOOST_TEST(trace.advantages.size() == 48u);
  BOOST_TEST(trace.rewards.rows() == 48u);
}

BOOST_AUTO_TEST_CASE(reports_the_groups_without_spread) {
  auto options = tiny::options();
  options.sampling.num_generations = 2;
  auto trainer = tiny::trainer(options);
  double reported = 0.0;
  double expected = 0.0;
  for (int step = 0; step < 10; ++step) {
    reported += trainer.step(tiny::prompts(6)).frac_reward_zero_std;
    const auto rewards = trainer.trace().rewards;
    for (std::size_t g = 0; g < 6; ++g) {
      const bool same = rewards(2 * g, 0) == rewards(2 * g + 1, 0) && rewards(2 * g, 1) == rewards(2 * g + 1, 1);
      expected += same ? 1.0 / 6.0 : 0.0;
    }
  }
  BOOST_TEST(expected > 0.1);
  BOOST_TEST(std::abs(reported - expected) < 1e-12);
}

BOOST_AUTO_TEST_CASE(first_ratio_is_exactly_one) {
  auto trainer = tiny::trainer();
  const auto prompts = tiny::prompts(6);
  for (int i = 0; i < 3; ++i) {
    const auto& report = trainer.step(prompts);
    BOOST_TEST(report.loss.ratio_max == 1.0);
    BOOST_TEST(report.loss.ratio_mean() == 1.0);
    BOOST_TEST(report.rollout_gap_max < 1e-6);
  }
}

BOOST_AUTO_TEST_CASE(later_visits_have_other_ratios) {
  auto options = tiny::options();
  options.num_iterations = 2;
  auto repeated = tiny::trainer(options);
  const auto prompts = tiny::prompts(6);
  BOOST_TEST(repeated.step(prompts).loss.ratio_max > 1.0);
  options.num_iterations = 1;
  options.num_minibatches = 3;
  auto split = tiny::trainer(options);
  BOOST_TEST(split.step(prompts).loss.ratio_max > 1.0);
}

BOOST_AUTO_TEST_CASE(a_batch_with_fewer_groups_than_mini_batches_runs) {
  auto options = tiny::options();
  options.num_minibatches = 2;
  auto trainer = tiny::trainer(options);
  BOOST_TEST(trainer.step(tiny::prompts(2)).loss.responses == 16.0);
  BOOST_TEST(trainer.step(tiny::prompts(1)).loss.ratio_max == 1.0);  // one mini-batch, visited once
  BOOST_TEST(trainer.step(tiny::prompts(6)).loss.ratio_max > 1.0);
}

BOOST_AUTO_TEST_CASE(micro_batches_change_nothing_but_rounding) {
  auto options = tiny::options();
  auto whole = tiny::trainer(options);
  options.micro_batch_tokens = 1;
  auto split = tiny::trainer(options);
  const auto prompts = tiny::prompts(6);
  const double norm = whole.step(prompts).grad_norm;
  BOOST_TEST(norm > 0.0);
  BOOST_TEST(std::abs(split.step(prompts).grad_norm - norm) < 1e-6 * norm);
}

BOOST_AUTO_TEST_CASE(same_seed_same_bits) {
  auto a = tiny::trainer();
  auto b = tiny::trainer();
  const auto prompts = tiny::prompts();
  maestro::run_loop(a, prompts, {.steps = 7});
  maestro::run_loop(b, prompts, {.steps = 7});
  BOOST_TEST((tiny::state_of(a) == tiny::state_of(b)));
  auto options = tiny::options();
  options.seed = 12;
  auto c = tiny::trainer(options);
  maestro::run_loop(c, prompts, {.steps = 7});
  BOOST_TEST((tiny::state_of(a) != tiny::state_of(c)));
}

BOOST_AUTO_TEST_CASE(a_batch_over_the_end_of_an_epoch_has_no_twins) {
  auto trainer = tiny::trainer();
  maestro::run_loop(trainer, tiny::prompts(4), {.steps = 1});  // six prompts a step
  const auto trace = trainer.trace();
  std::size_t repeats = 0;
  for (std::size_t g = 0; g < 6; ++g) {
    for (std::size_t h = 0; h < g; ++h) {
      if (trace.rollouts.prompts[g].row != trace.rollouts.prompts[h].row) continue;
      ++repeats;
      bool same = true;
      for (std::size_t m = 0; m < 8; ++m) {
        same = same && trace.rollouts.texts[8 * g + m] == trace.rollouts.texts[8 * h + m];
        same = same && trace.decision.actions[8 * g + m] == trace.decision.actions[8 * h + m];
      }
      BOOST_TEST(!same);
    }
  }
  BOOST_TEST(repeats == 2u);
}

BOOST_AUTO_TEST_CASE(conductor_updates_every_period) {
  auto trainer = tiny::trainer(tiny::options(), {.period = 3});
  const auto prompts = tiny::prompts(6);
  for (int i = 1; i <= 9; ++i) BOOST_TEST(trainer.step(prompts).conductor.has_value() == (i % 3 == 0));
}

BOOST_AUTO_TEST_CASE(rewards_and_a_conductor_chosen_at_run_time_train_the_same_bits) {
  const auto prompts = tiny::prompts();
  auto typed = tiny::trainer();
  std::vector<maestro::AnyReward<tiny::Policy>> chosen;
  chosen.emplace_back(tiny::Match{});
  chosen.emplace_back(tiny::Small{});
  const maestro::AnyRewardSet<tiny::Policy> rewards(std::move(chosen));
  const auto build = [&](const maestro::AnyConductor& conductor) {
    return maestro::Trainer(tiny::Policy({.contexts = 3, .actions = 5, .length = 2}), rewards, conductor,
                            maestro::GroupRelative{}, tiny::options());
  };
  auto named = build(maestro::AnyConductor("linear", 2, {.learned = {.learning_rate = 0.05}}));
  maestro::run_loop(typed, prompts, {.steps = 10});
  maestro::run_loop(named, prompts, {.steps = 10});
  maestro::ParameterValues typed_values{typed.policy()};
  maestro::ParameterValues named_values{named.policy()};
  BOOST_TEST((tiny::state_of(typed_values) == tiny::state_of(named_values)));
  BOOST_TEST(typed.report().rewards.size() == named.report().rewards.size());
  BOOST_TEST(typed.report().rewards[1].weight == named.report().rewards[1].weight);
  BOOST_TEST(typed.report().loss.loss == named.report().loss.loss);
  BOOST_CHECK_EXCEPTION(build(maestro::AnyConductor("linear", 3)), maestro::BadArgument, [](const auto& error) {
    return std::string(error.what()).find("is for 3 rewards, the run has 2") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(counterfactuals_reach_a_conductor_that_asks) {
  auto trainer = tiny::trainer(tiny::options(), {.estimator = maestro::Estimator::counterfactual, .period = 1});
  const auto& report = trainer.step(tiny::prompts(6));
  BOOST_REQUIRE(report.conductor.has_value());
  BOOST_TEST(report.conductor->gradient_norm > 0.0);
}

namespace {
/// Keeps what it was last taught of.
struct Watching {
  struct Seen {
    std::vector<float> rewards;
    std::uint64_t seed = 0;
    std::uint32_t step = 0;
  };
  std::shared_ptr<Seen> seen = std::make_shared<Seen>();

  void weights(const maestro::RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = static_cast<double>(k + 1);
  }
  void observe(const maestro::RuleView& view, const maestro::Feedback& feedback) {
    seen->rewards.clear();
    for (std::size_t i = 0; i < feedback.rewards.rows(); ++i) {
      seen->rewards.insert(seen->rewards.end(), feedback.rewards.row(i).begin(), feedback.rewards.row(i).end());
    }
    seen->seed = view.seed;
    seen->step = view.step;
  }
};
}  // namespace

BOOST_AUTO_TEST_CASE(a_rule_is_taught_of_the_steps_rewards) {
  const Watching rule;
  maestro::Trainer trainer{tiny::Policy({.contexts = 3, .actions = 5, .length = 2}),
                           tiny::Rewards{tiny::Match{}, tiny::Small{}}, maestro::RuleConductor(rule), tiny::options()};
  trainer.step(tiny::prompts(6));
  const auto& report = trainer.step(tiny::prompts(6));
  BOOST_TEST(!report.conductor.has_value());
  BOOST_TEST(std::abs(report.rewards[1].weight - 2.0 / 3.0) < 1e-6);
  BOOST_TEST(rule.seen->seed == 11u);
  BOOST_TEST(rule.seen->step == 1u);
  const auto rewards = trainer.trace().rewards;
  BOOST_REQUIRE(rule.seen->rewards.size() == 2 * rewards.rows());
  for (std::size_t i = 0; i < rewards.rows(); ++i) BOOST_TEST(rule.seen->rewards[2 * i + 1] == rewards(i, 1));
}

BOOST_AUTO_TEST_CASE(training_raises_the_reward) {
  const auto prompts = tiny::prompts();
  auto options = tiny::options();
  auto trainer =
      maestro::Trainer(tiny::Policy({.contexts = 3, .actions = 5}), maestro::RewardSet<tiny::Match>{tiny::Match{}},
                       maestro::EqualWeights<1>{}, maestro::GroupRelative{}, options);
  const double before = trainer.step(prompts).rewards[0].mean;
  maestro::run_loop(trainer, prompts, {.steps = 100});
  BOOST_TEST(before < 0.6);
  BOOST_TEST(trainer.report().rewards[0].mean > 0.95);
}

BOOST_AUTO_TEST_CASE(kl_to_the_reference_holds_the_policy_back) {
  const auto prompts = tiny::prompts();
  const auto moved = [&](double beta, maestro::KlPlacement placement) {
    auto options = tiny::options();
    options.objective.beta = beta;
    options.objective.kl_placement = placement;
    if (placement == maestro::KlPlacement::reward) options.objective.kl_estimator = maestro::KlEstimator::k1;
    auto trainer = tiny::trainer(options);
    maestro::run_loop(trainer, prompts, {.steps = 60});
    double square = 0.0;
    for (std::size_t c = 0; c < 3; ++c) {
      for (const float logit : trainer.policy().logits().row(c)) square += double{logit} * double{logit};
    }
    return square;
  };
  const double loose = moved(0.0, maestro::KlPlacement::loss);
  BOOST_TEST(moved(1.0, maestro::KlPlacement::loss) < 0.5 * loose);
  BOOST_TEST(moved(1.0, maestro::KlPlacement::reward) < 0.8 * loose);
}

BOOST_AUTO_TEST_CASE(tokens_whose_kl_is_clamped_are_counted_and_logged) {
  for (const auto placement : {maestro::KlPlacement::loss, maestro::KlPlacement::reward}) {
    auto options = tiny::options();
    options.objective.beta = 1e-6;
    options.objective.kl_placement = placement;
    tiny::Policy policy({.contexts = 3, .actions = 5, .length = 2});
    policy.logits()(0, 0) = 50.0f;  // the reference hardly ever takes another action in context 0
    maestro::Trainer trainer(policy, tiny::Rewards{tiny::Match{}, tiny::Small{}}, tiny::Conductor(),
                             maestro::GroupRelative{}, options);
    trainer.policy().logits()(0, 0) = 0.0f;
    const auto& report = trainer.step(tiny::prompts(6));
    const auto& rollouts = trainer.trace().rollouts;
    double expected = 0.0;
    for (std::size_t i = 0; i < rollouts.size(); ++i) {
      if (rollouts.completion(i).prompt.row % 3 != 0) continue;
      for (const std::int32_t token : rollouts.tokens.row(i)) expected += token != 0 ? 1.0 : 0.0;
    }
    BOOST_TEST(expected > 0.0);
    double logged = -1.0;
    maestro::for_each_metric(report, [&](const std::string& name, double value) {
      if (name == "kl_clamped") logged = value;
    });
    BOOST_TEST(logged == expected);
  }
}

BOOST_AUTO_TEST_CASE(groups_of_one_and_one_reward_run) {
  auto options = tiny::options();
  options.sampling.num_generations = 1;
  options.prompts_per_step = 1;
  auto trainer = tiny::trainer(options);
  const auto& report = trainer.step(tiny::prompts(1));
  BOOST_TEST(report.loss.policy_loss == 0.0);
  for (const float advantage : trainer.trace().advantages) BOOST_TEST(advantage == 0.0f);
  // A step is harmless; a run of them would learn nothing.
  BOOST_CHECK_EXCEPTION(trainer.check_prompts(tiny::prompts(1)), maestro::BadArgument, [](const auto& error) {
    return std::string(error.what()).find("num_generations is 1") != std::string::npos;
  });
  auto whole =
      maestro::Trainer(tiny::Policy({.contexts = 3, .actions = 5}), tiny::Rewards{tiny::Match{}, tiny::Small{}},
                       maestro::EqualWeights<2>{}, maestro::BatchCentered{}, options);
  BOOST_CHECK_NO_THROW(whole.check_prompts(tiny::prompts(1)));
}

namespace {
struct Broken {
  static constexpr std::string_view name = "broken";
  float operator()(const maestro::Completion& c) const { return c.row == 3 ? std::nanf("") : 0.0f; }
};
}  // namespace

BOOST_AUTO_TEST_CASE(a_bad_reward_stops_the_step_and_names_its_place) {
  auto trainer = maestro::Trainer(tiny::Policy({.contexts = 3, .actions = 5}), maestro::RewardSet<Broken>{Broken{}},
                                  maestro::EqualWeights<1>{}, maestro::GroupRelative{}, tiny::options());
  const auto before = tiny::state_of(trainer);
  BOOST_CHECK_EXCEPTION(trainer.step(tiny::prompts(2)), maestro::BadData, [](const maestro::BadData& error) {
    return std::string(error.what()).find("broken") != std::string::npos;
  });
  BOOST_TEST((tiny::state_of(trainer) == before));
}

namespace {
/// Throws in the backward pass of the given calls, counted from 1.
struct Fragile : tiny::Policy {
  explicit Fragile(std::vector<int> calls) : tiny::Policy({.contexts = 3, .actions = 5, .length = 2}), fails(calls) {}
  void backward(std::span<const float> d_log_probs, std::span<const float> d_entropies) {
    if (std::find(fails.begin(), fails.end(), ++call) != fails.end()) throw maestro::BadData("backward failed");
    tiny::Policy::backward(d_log_probs, d_entropies);
  }
  std::vector<int> fails;
  int call = 0;
};

auto fragile(std::vector<int> calls, const maestro::TrainerOptions& options) {
  return maestro::Trainer(Fragile(std::move(calls)), tiny::Rewards{tiny::Match{}, tiny::Small{}},
                          tiny::Conductor({.period = 1, .learning_rate = 0.05}), maestro::GroupRelative{}, options);
}

/// Fails in its first update.
struct FragileConductor : maestro::EqualWeights<2> {
  std::optional<maestro::ConductorReport> update() { throw maestro::BadData("update failed"); }
};
}  // namespace

BOOST_AUTO_TEST_CASE(a_step_that_fails_before_its_first_update_may_be_tried_again) {
  const auto prompts = tiny::prompts(6);
  auto undisturbed = fragile({}, tiny::options());
  auto disturbed = fragile({3}, tiny::options());
  for (int i = 0; i < 2; ++i) {
    undisturbed.step(prompts);
    disturbed.step(prompts);
  }
  BOOST_CHECK_THROW(disturbed.step(prompts), maestro::BadData);
  BOOST_TEST((tiny::state_of(undisturbed) == tiny::state_of(disturbed)));
  undisturbed.step(prompts);
  disturbed.step(prompts);
  BOOST_TEST((tiny::state_of(undisturbed) == tiny::state_of(disturbed)));
}

BOOST_AUTO_TEST_CASE(after_a_step_that_failed_between_its_updates_there_is_no_other) {
  const auto prompts = tiny::prompts(6);
  auto options = tiny::options();
  options.num_minibatches = 2;
  auto trainer = fragile({4}, options);
  trainer.step(prompts);
  const auto conductor = tiny::state_of(trainer.conductor());
  BOOST_CHECK_THROW(trainer.step(prompts), maestro::BadData);
  BOOST_TEST((tiny::state_of(trainer.conductor()) == conductor));
  BOOST_CHECK_EXCEPTION(trainer.step(prompts), maestro::BadArgument, [](const auto& error) {
    return std::string(error.what()).find("checkpoint") != std::string::npos;
  });
  BOOST_TEST(trainer.steps_done() == 1u);

  auto late = maestro::Trainer(tiny::Policy({.contexts = 3, .actions = 5}), tiny::Rewards{tiny::Match{}, tiny::Small{}},
                               FragileConductor{}, maestro::GroupRelative{}, tiny::options());
  BOOST_CHECK_THROW(late.step(prompts), maestro::BadData);
  BOOST_CHECK_THROW(late.step(prompts), maestro::BadArgument);
}

BOOST_AUTO_TEST_CASE(bad_settings_are_refused) {
  auto options = tiny::options();
  options.num_minibatches = 7;
  BOOST_CHECK_THROW(tiny::trainer(options), maestro::BadArgument);
  options = tiny::options();
  options.learning_rate = -1.0;
  BOOST_CHECK_THROW(tiny::trainer(options), maestro::BadArgument);
  options = tiny::options();
  options.sampling.temperature = 0.0;
  BOOST_CHECK_THROW(tiny::trainer(options), maestro::BadArgument);
  options = tiny::options();
  options.sampling.top_p = 1.5;
  BOOST_CHECK_THROW(tiny::trainer(options), maestro::BadArgument);
}

namespace {
/// Refuses one data row beforehand.
struct Picky : tiny::Match {
  static constexpr std::string_view name = "picky";
  void check_prompts(std::span<const maestro::Prompt> prompts, const maestro::Sampling& sampling) const {
    BOOST_TEST(sampling.num_generations == 8u);
    for (const auto& prompt : prompts) {
      if (prompt.row == 11) throw maestro::BadArgument("picky: data row 11");
    }
  }
};
struct PickyPolicy : tiny::Policy {
  PickyPolicy() : tiny::Policy({.contexts = 3, .actions = 5}) {}
  void check_prompts(std::span<const maestro::Prompt> prompts, const maestro::Sampling&) const {
    if (prompts.size() > 12) throw maestro::BadArgument("picky policy: more than 12");
  }
};
}  // namespace

BOOST_AUTO_TEST_CASE(a_run_refuses_data_before_its_first_step) {
  auto trainer = maestro::Trainer(PickyPolicy{}, maestro::RewardSet<tiny::Small, Picky>{tiny::Small{}, Picky{}},
                                  maestro::EqualWeights<2>{}, maestro::GroupRelative{}, tiny::options());
  BOOST_CHECK_THROW(maestro::run_loop(trainer, tiny::prompts(12), {.steps = 1}), maestro::BadArgument);
  BOOST_TEST(trainer.steps_done() == 0u);
  BOOST_CHECK_NO_THROW(maestro::run_loop(trainer, tiny::prompts(11), {.steps = 1}));
  BOOST_CHECK_EXCEPTION(maestro::run_loop(trainer, tiny::prompts(13), {.steps = 2}), maestro::BadArgument,
                        [](const auto& error) { return std::string(error.what()).starts_with("picky policy"); });
}

namespace {
struct Recorder {
  std::vector<std::uint32_t> steps;
  void on_step(const maestro::StepReport& report, const maestro::StepTrace&) { steps.push_back(report.step); }
};
}  // namespace

BOOST_AUTO_TEST_CASE(the_loop_saves_and_stops_between_steps) {
  auto trainer = tiny::trainer();
  const auto prompts = tiny::prompts();
  Recorder recorder;
  std::vector<std::uint32_t> saved;
  maestro::LoopOptions loop{.steps = 10,
                            .save_every = 3,
                            .should_stop = [&] { return trainer.steps_done() == 7; },
                            .save = [&] { saved.push_back(trainer.steps_done()); }};
  BOOST_TEST((maestro::run_loop(trainer, prompts, loop, recorder) == maestro::LoopEnd::stopped));
  BOOST_TEST(saved == (std::vector<std::uint32_t>{3, 6, 7}), boost::test_tools::per_element());
  loop.should_stop = {};
  BOOST_TEST((maestro::run_loop(trainer, prompts, loop, recorder) == maestro::LoopEnd::finished));
  BOOST_TEST(saved == (std::vector<std::uint32_t>{3, 6, 7, 9, 10}), boost::test_tools::per_element());
  BOOST_TEST(recorder.steps.size() == 10u);
}

namespace {
/// Counts the copies of its parameters.
struct Counted : tiny::Policy {
  static inline int copies = 0;
  Counted() : tiny::Policy({.contexts = 3, .actions = 5, .length = 2}) {}
  Counted(const Counted& other) : tiny::Policy(other) { ++copies; }
  Counted(Counted&&) noexcept = default;
  Counted& operator=(const Counted&) = delete;
  Counted& operator=(Counted&&) noexcept = default;
};
/// Its reference is another policy.
struct Adapted : Counted {
  Adapted without_adapters() const { return {}; }
};

template <class Policy>
int copies(double beta) {
  auto options = tiny::options();
  options.objective.beta = beta;
  Counted::copies = 0;
  maestro::Trainer trainer{Policy{}, maestro::RewardSet{tiny::Match{}, tiny::Small{}},
                           maestro::LinearConductor<2>{{.learning_rate = 1e-2}}, options};
  trainer.step(tiny::prompts(6));
  return Counted::copies;
}
}  // namespace

BOOST_AUTO_TEST_CASE(parameters_are_copied_for_the_reference_alone) {
  BOOST_TEST(copies<Counted>(0.0) == 0);
  BOOST_TEST(copies<Counted>(0.1) == 1);
  BOOST_TEST(copies<Adapted>(0.1) == 0);
}

BOOST_AUTO_TEST_CASE(the_scalarization_may_be_left_out) {
  maestro::Trainer trainer{tiny::Policy({.contexts = 3, .actions = 5, .length = 2}),
                           tiny::Rewards{tiny::Match{}, tiny::Small{}}, tiny::Conductor({.learning_rate = 0.05}),
                           tiny::options()};
  static_assert(
      std::is_same_v<decltype(trainer),
                     maestro::Trainer<tiny::Policy, tiny::Rewards, tiny::Conductor, maestro::DefaultScalarization>>);
  auto named = tiny::trainer(tiny::options(), {}, maestro::DefaultScalarization{});
  trainer.step(tiny::prompts(6));
  named.step(tiny::prompts(6));
  BOOST_TEST((tiny::state_of(trainer) == tiny::state_of(named)));
}

BOOST_AUTO_TEST_SUITE_END()
