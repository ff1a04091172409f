#include "maestro/conductor/learned.hpp"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "conductor/support.hpp"
#include "maestro/conductor/fixed.hpp"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(learned_conductor)

namespace {

template <class Conductor>
Decision observe_once(Conductor& conductor, const Batch& batch) {
  const Decision decision = conductor.decide(batch.view());
  const auto advantages = centered_advantages(batch, decision);
  Matrix<float> counterfactuals;
  if (wants_counterfactuals(conductor)) counterfactuals = centered_counterfactuals(batch, decision);
  conductor.observe({.decision = decision,
                     .hidden = batch.hidden.view(),
                     .groups = batch.groups,
                     .advantages = advantages,
                     .counterfactuals = counterfactuals.view(),
                     .step = batch.step});
  return decision;
}

/// Two contexts told apart by h; in context c only reward c tells good responses from bad, the others are constant and
/// low. Returns the mean probability of the right action after training.
template <class Conductor>
double learn_bandit(Conductor conductor, std::uint32_t steps) {
  double right = 0.0;
  for (std::uint32_t step = 0; step <= steps; ++step) {
    Batch batch({4, 4, 4, 4}, 6, 3, step);
    batch.step = step;
    for (std::size_t i = 0; i < 16; ++i) {
      const std::size_t context = i / 4 % 2;
      batch.hidden(i, 0) = context == 0 ? 1.0f : -1.0f;
      for (std::size_t k = 0; k < 3; ++k) batch.rewards(i, k) = k == context ? 1.0f : 0.0f;
    }
    if (step == steps) {
      const Decision decision = conductor.decide(batch.view());
      for (std::size_t i = 0; i < 16; ++i) right += double{decision.probabilities(i, i / 4 % 2)} / 16.0;
      BOOST_TEST(kl_to_uniform(decision, batch.rewards) > 0.05);
      Matrix<float> soft(16, 3);
      conductor.weights(batch.hidden.view(), soft);
      for (std::size_t i = 0; i < 16; ++i) {
        for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(std::abs(soft(i, k) - decision.probabilities(i, k)) < 1e-3f);
      }
      break;
    }
    observe_once(conductor, batch);
    conductor.update();
  }
  return right;
}

}  // namespace

BOOST_AUTO_TEST_CASE(learns_a_contextual_bandit) {
  BOOST_TEST(learn_bandit(LinearConductor<3>({.learning_rate = 0.05}), 300) > 0.9);
  BOOST_TEST(learn_bandit(MlpConductor<3, 16>({.learning_rate = 0.05}), 300) > 0.9);
  LearnedConductorOptions options{
      .emphasis = Emphasis::one_hot, .estimator = Estimator::sampled, .learning_rate = 0.05};
  BOOST_TEST(learn_bandit(LinearConductor<3>(options), 300) > 0.85);
  BOOST_TEST(learn_bandit(MlpConductor<3, 16>(options), 300) > 0.85);
  options.estimator = Estimator::counterfactual;
  BOOST_TEST(learn_bandit(LinearConductor<3>(options), 300) > 0.9);
  options.emphasis = Emphasis::blended_policy;
  BOOST_TEST(learn_bandit(LinearConductor<3>(options), 300) > 0.9);
  options = paper_preset();
  options.learning_rate = 0.05;
  BOOST_TEST(learn_bandit(LinearConductor<3>(options), 300) > 0.85);
  options.after_update = AfterUpdate::keep;
  BOOST_TEST(learn_bandit(LinearConductor<3>(options), 300) > 0.85);
}

BOOST_AUTO_TEST_CASE(starts_uniform_and_follows_its_probabilities) {
  LinearConductor<3> conductor;
  Batch batch({2000}, 4, 3);
  const Decision start = conductor.decide(batch.view());
  for (const float q : start.probabilities.flat()) BOOST_TEST(std::abs(q - 1.0f / 3.0f) < 1e-6f);
  LinearConductor<3> tuned({.hidden_size = 4});
  randomize(tuned, 1.0);
  for (std::size_t i = 0; i < 2000; ++i) {
    for (std::size_t j = 0; j < 4; ++j) batch.hidden(i, j) = batch.hidden(0, j);
  }
  const Decision decision = tuned.decide(batch.view());
  for (int k = 0; k < 3; ++k) {
    double count = 0.0;
    for (const std::int32_t action : decision.actions) count += action == k ? 1.0 : 0.0;
    const double q = double{decision.probabilities(0, static_cast<std::size_t>(k))};
    BOOST_TEST(std::abs(count / 2000.0 - q) < 4.5 * std::sqrt(q * (1.0 - q) / 2000.0));
  }
}

// The same prompt in another batch, at another place, draws the same actions; another step or seed does not.
BOOST_AUTO_TEST_CASE(actions_depend_on_their_key_alone) {
  LinearConductor<3> conductor({.hidden_size = 5});
  randomize(conductor, 0.3);
  const Batch whole({8, 5, 8}, 5, 3);
  const Decision all = conductor.decide(whole.view());
  Batch part({8}, 5, 3);
  part.rows = {whole.rows[2]};
  for (std::size_t i = 0; i < 8; ++i) {
    for (std::size_t j = 0; j < 5; ++j) part.hidden(i, j) = whole.hidden(13 + i, j);
  }
  const Decision some = conductor.decide(part.view());
  int moved_step = 0, moved_seed = 0, moved_row = 0;
  auto later = part;
  later.step = 1;
  auto other = part;
  other.seed = 6;
  auto elsewhere = part;
  elsewhere.rows[0] += 1;
  for (std::size_t i = 0; i < 8; ++i) {
    BOOST_TEST(some.actions[i] == all.actions[13 + i]);
    for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(some.probabilities(i, k) == all.probabilities(13 + i, k));
    moved_step += conductor.decide(later.view()).actions[i] != some.actions[i];
    moved_seed += conductor.decide(other.view()).actions[i] != some.actions[i];
    moved_row += conductor.decide(elsewhere.view()).actions[i] != some.actions[i];
  }
  BOOST_TEST(moved_step > 0);
  BOOST_TEST(moved_seed > 0);
  BOOST_TEST(moved_row > 0);
}

BOOST_AUTO_TEST_CASE(a_data_row_that_comes_again_draws_anew) {
  Batch batch({8, 8, 8}, 5, 3);
  batch.rows[2] = batch.rows[0];
  const auto repeats = [&](auto conductor) {
    const Decision decision = conductor.decide(batch.view());
    bool same = true;
    for (std::size_t i = 0; i < 8; ++i) {
      for (std::size_t k = 0; k < 3; ++k) same = same && decision.weights(i, k) == decision.weights(16 + i, k);
    }
    return same;
  };
  BOOST_TEST(!repeats(LinearConductor<3>()));
  BOOST_TEST(!repeats(RandomWeights<3>()));
  BOOST_TEST(!repeats(RandomWeights<3>({.sharing = RandomSharing::per_prompt, .kind = RandomKind::simplex})));
}

BOOST_AUTO_TEST_CASE(threads_do_not_change_a_decision) {
  LinearConductor<3> conductor({.hidden_size = 5});
  randomize(conductor, 0.3);
  std::vector<std::size_t> sizes(100, 8);
  sizes.insert(sizes.begin() + 50, {0, 1, 300});
  Batch batch(sizes, 5, 3);
  for (std::size_t i = 0; i < batch.rewards.rows(); i += 5) batch.rewards(i, i % 3) = missing;
  set_threads(1);
  const Decision one = conductor.decide(batch.view());
  for (const int threads : {2, 3}) {
    set_threads(threads);
    const Decision more = conductor.decide(batch.view());
    BOOST_TEST(one.actions == more.actions, boost::test_tools::per_element());
    BOOST_TEST((one.probabilities == more.probabilities));
    BOOST_TEST((one.weights == more.weights));
  }
  set_threads(2);
}

BOOST_AUTO_TEST_CASE(missing_rewards_mask_their_action) {
  LinearConductor<3> conductor({.hidden_size = 5});
  randomize(conductor, 0.3);
  Batch batch({200}, 5, 3);
  for (std::size_t i = 0; i < 200; ++i) batch.rewards(i, i % 3) = missing;
  for (std::size_t k = 0; k < 3; ++k) batch.rewards(7, k) = missing;
  const Decision decision = conductor.decide(batch.view());
  for (std::size_t i = 0; i < 200; ++i) {
    double sum = 0.0;
    for (std::size_t k = 0; k < 3; ++k) sum += double{decision.probabilities(i, k)};
    BOOST_TEST(std::abs(sum - 1.0) < 1e-6);
    if (i == 7) continue;
    BOOST_TEST(decision.actions[i] != static_cast<std::int32_t>(i % 3));
    BOOST_TEST(decision.probabilities(i, i % 3) == 0.0f);
  }
  for (std::size_t k = 0; k < 3; ++k) BOOST_TEST(decision.probabilities(7, k) > 0.0f);
}

BOOST_AUTO_TEST_CASE(one_action_one_response_and_no_response) {
  LinearConductor<1> conductor({.entropy_bonus = 0.1, .period = 1});
  Batch batch({1}, 3, 1);
  const Decision decision = observe_once(conductor, batch);
  BOOST_TEST(decision.actions[0] == 0);
  BOOST_TEST(decision.weights(0, 0) == 1.0f);
  const auto report = conductor.update();
  BOOST_REQUIRE(report.has_value());
  BOOST_TEST(report->gradient_norm < 1e-12);
  Batch empty({}, 3, 1);
  empty.hidden.resize(0, 0);
  BOOST_TEST(conductor.decide(empty.view()).rows() == 0u);
  LinearConductor<1> fresh;
  BOOST_TEST(fresh.decide(empty.view()).rows() == 0u);
}

BOOST_AUTO_TEST_CASE(steps_every_period) {
  LinearConductor<3> conductor({.period = 3, .learning_rate = 0.1});
  BOOST_TEST(!conductor.update().has_value());
  for (std::uint32_t step = 0; step < 7; ++step) {
    Batch batch({4, 4}, 5, 3, step);
    batch.step = step;
    observe_once(conductor, batch);
    const auto report = conductor.update();
    BOOST_TEST(report.has_value() == (step % 3 == 2));
    if (report) {
      BOOST_TEST(report->samples == 24u);
      BOOST_TEST(report->dropped == 0u);
      BOOST_TEST(report->gradient_norm > 0.0);
      BOOST_TEST(conductor.buffer().empty());
    }
    BOOST_TEST(!conductor.update().has_value());
  }
}

BOOST_AUTO_TEST_CASE(old_and_surplus_entries_are_dropped_and_counted) {
  LinearConductor<3> conductor(
      {.period = 2, .after_update = AfterUpdate::keep, .max_age = 2, .capacity = 20, .hidden_size = 5});
  const auto step = [&](std::uint32_t at) {
    Batch batch({8}, 5, 3, at);
    batch.step = at;
    observe_once(conductor, batch);
    return conductor.update();
  };
  step(0);
  auto report = step(1);
  BOOST_REQUIRE(report);
  BOOST_TEST(report->samples == 16u);
  step(2);  // 24 entries, capacity 20: four of step 0 go
  BOOST_TEST(conductor.buffer().size() == 20u);
  BOOST_TEST(conductor.buffer().steps()[0] == 0u);
  BOOST_TEST(conductor.buffer().steps()[4] == 1u);
  report = step(4);  // eight more by capacity, then what is left of step 1 by age
  BOOST_REQUIRE(report);
  BOOST_TEST(report->samples == 16u);
  BOOST_TEST(report->dropped == 16u);
  BOOST_TEST(conductor.buffer().steps()[0] == 2u);
}

BOOST_AUTO_TEST_CASE(dropping_keeps_entries_whole) {
  ConductorBuffer buffer;
  for (std::uint32_t n = 0; n < 5; ++n) {
    const auto v = static_cast<float>(n);
    const std::vector<float> hidden{v, 10.0f + v}, q{20.0f + v, 30.0f + v, 40.0f + v}, meta{50.0f + v};
    buffer.push({.hidden = hidden, .action = static_cast<std::int32_t>(n), .propensity = q, .meta = meta, .step = n});
  }
  BOOST_TEST(buffer.trim(4) == 1u);
  BOOST_TEST(buffer.drop_stale(4, 2) == 1u);
  BOOST_REQUIRE(buffer.size() == 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto v = static_cast<float>(i + 2);
    BOOST_TEST(buffer.hidden()(i, 1) == 10.0f + v);
    BOOST_TEST(buffer.propensities()(i, 2) == 40.0f + v);
    BOOST_TEST(buffer.meta()(i, 0) == 50.0f + v);
    BOOST_TEST(buffer.actions()[i] == static_cast<std::int32_t>(i + 2));
    BOOST_TEST(buffer.steps()[i] == i + 2);
  }
  const std::vector<float> wrong(3);
  BOOST_CHECK_THROW(buffer.push({.hidden = wrong, .action = 0, .propensity = wrong, .meta = wrong}), BadArgument);
}

BOOST_AUTO_TEST_CASE(importance_weights_are_capped) {
  BOOST_TEST(importance_weight(0.2, 0.4, 2.0) == 0.5);
  BOOST_TEST(importance_weight(0.9, 0.1, 2.0) == 2.0);
}

BOOST_AUTO_TEST_CASE(temperature_is_learned_or_fixed) {
  for (const auto mode : {TemperatureMode::learned, TemperatureMode::fixed}) {
    LinearConductor<3> conductor({.period = 1,
                                  .learning_rate = 0.01,
                                  .temperature = 0.7,
                                  .temperature_mode = mode,
                                  .hidden_size = 5,
                                  .init = {.head = Initialization::normal, .std_dev = 0.5}});
    BOOST_TEST(std::abs(conductor.temperature() - 0.7) < 1e-6);
    observe_once(conductor, Batch({4, 4}, 5, 3));
    const auto report = conductor.update();
    BOOST_REQUIRE(report);
    BOOST_TEST((std::abs(conductor.temperature() - 0.7) > 1e-3) == (mode == TemperatureMode::learned));
    BOOST_TEST(report->temperature == conductor.temperature());
  }
}

BOOST_AUTO_TEST_CASE(initialization_is_keyed) {
  const NetworkInit init{.head = Initialization::normal, .std_dev = 0.5, .seed = 4};
  LinearNetwork<3> a, b, c;
  a.initialize(50, init);
  b.initialize(50, init);
  c.initialize(50, {.head = Initialization::normal, .std_dev = 0.5, .seed = 5});
  const auto values = [](auto& network) {
    std::vector<float> result;
    network.visit([&](auto p) { result.insert(result.end(), p.values.begin(), p.values.end()); });
    return result;
  };
  BOOST_TEST(values(a) == values(b));
  BOOST_TEST(values(a) != values(c));
  double squares = 0.0;
  for (const float v : values(a)) squares += double{v} * double{v};
  BOOST_TEST(std::abs(std::sqrt(squares / 150.0) - 0.5) < 0.1);
}

BOOST_AUTO_TEST_CASE(state_continues_to_the_bit) {
  const auto run = [](auto& conductor, std::uint32_t from, std::uint32_t to) {
    std::vector<std::int32_t> actions;
    for (std::uint32_t step = from; step < to; ++step) {
      Batch batch({4, 3}, 5, 3, step);
      batch.step = step;
      const Decision decision = observe_once(conductor, batch);
      actions.insert(actions.end(), decision.actions.begin(), decision.actions.end());
      conductor.update();
    }
    return actions;
  };
  const auto check = [&](auto whole, auto first, auto second) {
    run(whole, 0, 5);
    const auto expected = run(whole, 5, 20);
    run(first, 0, 5);
    load(second, save(first));
    BOOST_TEST(run(second, 5, 20) == expected);
    BOOST_TEST((save(second).entries == save(whole).entries));
  };
  const LearnedConductorOptions options{.learning_rate = 0.1, .after_update = AfterUpdate::keep};
  check(LinearConductor<3>(options), LinearConductor<3>(options), LinearConductor<3>(options));
  check(MlpConductor<3, 8>(options), MlpConductor<3, 8>(options), MlpConductor<3, 8>(options));
  LinearConductor<3> fresh(options), other(options);
  load(other, save(fresh));
  BOOST_TEST(other.network().input_size() == 0u);
}

BOOST_AUTO_TEST_CASE(foreign_state_is_refused) {
  LinearConductor<3> three({.estimator = Estimator::sampled, .hidden_size = 5});
  LinearConductor<2> two({.hidden_size = 5});
  LinearConductor<3> wide({.hidden_size = 6});
  MlpConductor<3, 4> narrow({.hidden_size = 5});
  MlpConductor<3, 5> broad({.hidden_size = 5});
  observe_once(three, Batch({4}, 5, 3));
  BOOST_CHECK_THROW(load(two, save(three)), BadFile);
  BOOST_CHECK_THROW(load(wide, save(three)), BadFile);
  BOOST_CHECK_THROW(load(broad, save(narrow)), BadFile);
  LinearConductor<3> exact({.estimator = Estimator::counterfactual, .hidden_size = 5});
  BOOST_CHECK_THROW(load(exact, save(three)), BadFile);
}

BOOST_AUTO_TEST_CASE(options_outside_their_domain_are_refused) {
  const auto refused = [](const LearnedConductorOptions& options, const std::string& word) {
    BOOST_CHECK_EXCEPTION(LinearConductor<3>{options}, BadArgument,
                          [&](const BadArgument& e) { return std::string(e.what()).find(word) != std::string::npos; });
  };
  refused({.strength = 0.0}, "strength");
  refused({.strength = 1.1}, "strength");
  refused({.epsilon = 0.34}, "epsilon");
  refused({.epsilon = -1e-9}, "epsilon");
  refused({.entropy_bonus = std::nan("")}, "entropy_bonus");
  refused({.period = 0}, "period");
  refused({.learning_rate = -1.0}, "learning_rate");
  refused({.adamw = {.beta1 = 1.0}}, "beta1");
  refused({.adamw = {.beta2 = 1.0}}, "beta2");
  refused({.adamw = {.epsilon = 0.0}}, "epsilon");
  refused({.adamw = {.weight_decay = -1.0}}, "weight_decay");
  refused({.gradient_clip = 0.0}, "gradient_clip");
  refused({.temperature = 0.0}, "temperature");
  refused({.temperature = INFINITY}, "temperature");
  refused({.importance_cap = 0.5}, "importance_cap");
  refused({.capacity = 0}, "capacity");
  refused({.init = {.std_dev = 0.0}}, "init.std_dev");
  refused({.estimator = Estimator::counterfactual, .baseline = MetaBaseline::centered}, "baseline");
}

// What lies where the decision's hidden states lay is known; what lies elsewhere is checked and scaled anew.
BOOST_AUTO_TEST_CASE(hidden_states_are_remembered_wherever_they_lie) {
  for (const auto scaling : {HiddenScaling::none, HiddenScaling::unit_rms}) {
    const LearnedConductorOptions options{.hidden_scaling = scaling, .hidden_size = 5};
    LinearConductor<3> same(options), elsewhere(options);
    const Batch batch({4, 3}, 5, 3), other({4, 3}, 5, 3, 9);
    Batch copy = batch;
    const Decision decision = same.decide(batch.view());
    teach(same, batch, decision);
    elsewhere.decide(batch.view());
    teach(elsewhere, copy, decision);
    elsewhere.decide(batch.view());
    teach(elsewhere, other, decision);
    BOOST_REQUIRE(elsewhere.buffer().size() == 14u);
    for (std::size_t i = 0; i < 7; ++i) {
      for (std::size_t j = 0; j < 5; ++j) {
        BOOST_TEST(same.buffer().hidden()(i, j) == elsewhere.buffer().hidden()(i, j));
        BOOST_TEST(same.buffer().hidden()(i, j) != elsewhere.buffer().hidden()(7 + i, j));
        const bool raw = elsewhere.buffer().hidden()(7 + i, j) == other.hidden(i, j);
        BOOST_TEST(raw == (scaling == HiddenScaling::none));
      }
    }
    copy.hidden(2, 1) = missing;
    elsewhere.decide(batch.view());
    BOOST_CHECK_THROW(teach(elsewhere, copy, decision), BadData);
    copy = batch;
    copy.step = 1;  // another step's values at the same place
    elsewhere.decide(copy.view());
    copy.hidden(2, 1) = missing;
    copy.step = 2;
    BOOST_CHECK_THROW(teach(elsewhere, copy, decision), BadData);
  }
}

BOOST_AUTO_TEST_CASE(wrong_batches_are_refused_by_name) {
  LinearConductor<3> conductor({.estimator = Estimator::sampled, .hidden_size = 5});
  const auto refused = [&](const Batch& batch, const std::string& message) {
    BOOST_CHECK_EXCEPTION(conductor.decide(batch.view()), Error,
                          [&](const Error& e) { return std::string(e.what()).find(message) != std::string::npos; });
  };
  refused(Batch({4}, 5, 2), "is 2, expected 3");
  refused(Batch({4}, 6, 3), "size 6, expected 5");
  Batch batch({4}, 5, 3);
  batch.hidden(2, 1) = missing;
  refused(batch, "row 2");
  batch = Batch({4}, 5, 3);
  batch.rows.push_back(1);
  refused(batch, "is 2, expected 1");
  batch = Batch({4}, 5, 3);
  batch.rows[0] = -1;
  refused(batch, "-1");
  batch = Batch({4}, 5, 3);
  batch.hidden.resize(3, 5);
  refused(batch, "3 hidden states for 4");

  batch = Batch({4}, 5, 3);
  const Decision decision = conductor.decide(batch.view());
  std::vector<float> advantages(4, 0.0f);
  advantages[3] = missing;
  const auto observe = [&](auto& target, std::vector<float> given) {
    target.observe({.decision = decision,
                    .hidden = batch.hidden.view(),
                    .groups = batch.groups,
                    .advantages = given,
                    .counterfactuals = {}});
  };
  BOOST_CHECK_THROW(observe(conductor, advantages), BadData);
  BOOST_CHECK_THROW(observe(conductor, std::vector<float>(3)), BadArgument);
  LinearConductor<3> exact({.estimator = Estimator::counterfactual, .hidden_size = 5});
  BOOST_TEST(exact.wants_counterfactuals());
  BOOST_CHECK_THROW(observe(exact, std::vector<float>(4)), Unsupported);
  BOOST_TEST(conductor.buffer().empty());

  LinearConductor<3> blank;
  Matrix<float> out(4, 3);
  BOOST_CHECK_THROW(blank.weights(batch.hidden.view(), out), BadArgument);
}

BOOST_AUTO_TEST_SUITE_END()
