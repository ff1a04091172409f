// The weight rules: golden numbers, what each learns, and what holds for all of them.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "conductor/laws.hpp"
#include "conductor/support.hpp"
#include "maestro/conductor/bandit.hpp"
#include "maestro/conductor/predictability.hpp"
#include "maestro/conductor/rule.hpp"
#include "maestro/conductor/rules.hpp"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(weight_rules)

namespace {

/// A batch whose rewards are the given rows, in groups of these sizes.
Batch batch_of(const std::vector<std::size_t>& sizes, const std::vector<std::vector<float>>& rewards) {
  Batch batch(sizes, 3, rewards.front().size());
  for (std::size_t i = 0; i < rewards.size(); ++i) {
    for (std::size_t k = 0; k < rewards[i].size(); ++k) batch.rewards(i, k) = rewards[i][k];
  }
  return batch;
}

/// The group of the golden numbers.
Batch golden() { return batch_of({4}, {{1.0f, 0.2f}, {0.0f, 0.8f}, {1.0f, 0.5f}, {0.0f, 0.1f}}); }

bool near(double a, double b, double tolerance = 1e-6) { return std::abs(a - b) < tolerance; }

template <class C>
std::vector<float> usual_weights(const C& conductor, std::size_t rewards) {
  Matrix<float> out(1, rewards);
  conductor.weights({}, out);
  return {out.row(0).begin(), out.row(0).end()};
}

/// What holds for every rule whose weights lie on the simplex.
/// @param explored  how far its draws take weights away from those that its figures ask for.
template <class Rule>
void check_rule(const Rule& rule, double explored = 1e-6) {
  BOOST_TEST_CONTEXT(type_name<Rule>()) {
    check_laws(RuleConductor(rule), 3);
    check_laws(RuleConductor(rule), 1);
    // Rewards that tell nothing apart get equal weights, groups of one too.
    for (const std::size_t size : {std::size_t{1}, std::size_t{4}}) {
      Batch batch({size, size}, 6, 3);
      for (std::size_t i = 0; i < batch.rewards.rows(); ++i) {
        for (std::size_t k = 0; k < 3; ++k) batch.rewards(i, k) = static_cast<float>(k) - 0.5f;
      }
      const Decision decision = RuleConductor(rule).decide(batch.view());
      for (const float w : decision.weights.flat()) BOOST_TEST(near(double{w}, 1.0 / 3.0, explored));
    }
    // A missing reward gets no weight, and the others share it.
    Batch batch({4, 3}, 6, 3);
    batch.rewards(1, 2) = missing;
    for (std::size_t i = 4; i < 7; ++i) batch.rewards(i, 0) = missing;
    RuleConductor conductor(rule);
    const Decision decision = conductor.decide(batch.view());
    BOOST_TEST(decision.weights(1, 2) == 0.0f);
    BOOST_TEST(near(double{decision.weights(1, 0)} / double{decision.weights(1, 1)},
                    double{decision.weights(0, 0)} / double{decision.weights(0, 1)}, 1e-5));
    for (std::size_t i = 4; i < 7; ++i) BOOST_TEST(decision.weights(i, 0) == 0.0f);
    // The state goes through a checkpoint, and what follows is the same.
    for (std::uint32_t step = 0; step < 3; ++step) {
      batch.step = step;
      teach(conductor, batch, conductor.decide(batch.view()));
    }
    RuleConductor resumed(rule);
    load(resumed, save(conductor));
    BOOST_TEST((save(resumed).entries == save(conductor).entries));
    BOOST_TEST(usual_weights(resumed, 3) == usual_weights(conductor, 3), boost::test_tools::per_element());
    for (std::uint32_t step = 3; step < 6; ++step) {
      batch.step = step;
      const Decision next = conductor.decide(batch.view());
      BOOST_TEST(same(resumed.decide(batch.view()), next));
      teach(conductor, batch, next);
      teach(resumed, batch, next);
      BOOST_TEST((save(resumed).entries == save(conductor).entries));
    }
  }
}

/// Gives reward 0 a negative weight.
struct Negative {
  void weights(const RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = k == 0 ? -1.0 : 2.0;
  }
};

/// The shortest of all: the rule of the documentation.
struct Widest {
  void weights(const RuleView& view, double* w) const {
    for (std::size_t k = 0; k < view.rewards; ++k) w[k] = view.group[k].std_dev(1);
  }
};
static_assert(WeightRule<Widest> && Conductor<RuleConductor<Widest>>);
static_assert(!maestro::detail::Observes<RuleConductor<Widest>> && !maestro::detail::Updates<RuleConductor<Widest>>);
static_assert(maestro::detail::Observes<RuleConductor<Exp3>>);

}  // namespace

BOOST_AUTO_TEST_CASE(every_rule) {
  check_rule(Saw{});
  check_rule(Contrast{});
  check_rule(Exp3{}, Exp3Options{}.share * 2.0 / 3.0 + 1e-6);  // one arm toward a reward, or none
  check_rule(Predictability{});
  check_rule(Consensus{});
  check_rule(Widest{});
}

BOOST_AUTO_TEST_CASE(saw_golden) {
  const Batch batch = golden();
  const Decision decision = RuleConductor(Saw{.delta = 0.0}).decide(batch.view());
  for (std::size_t i = 0; i < 4; ++i) {
    BOOST_TEST(near(double{decision.weights(i, 0)}, 0.5935940));
    BOOST_TEST(near(double{decision.weights(i, 1)}, 0.4064060));
  }
  // With a reward of one response missing the counts differ, and so ddof has a say.
  Batch holed = golden();
  holed.rewards(0, 1) = missing;
  const Decision rest = RuleConductor(Saw{.delta = 0.0}).decide(holed.view());
  BOOST_TEST(near(double{rest.weights(1, 0)}, 1.1547005 / (1.1547005 + 0.3511885 / 0.4666667)));
  BOOST_TEST(rest.weights(0, 0) == 1.0f);
  // A reward of mean 0 that varies takes all; one of negative mean counts by the mean's size.
  const Batch zero = batch_of({2}, {{-1.0f, 0.2f}, {1.0f, 0.8f}});
  BOOST_TEST(RuleConductor(Saw{}).decide(zero.view()).weights(0, 0) > 0.999f);
  Batch mirrored = golden();
  for (std::size_t i = 0; i < 4; ++i) mirrored.rewards(i, 0) *= -1.0f;
  BOOST_TEST(
      (RuleConductor(Saw{}).decide(mirrored.view()).weights == RuleConductor(Saw{}).decide(batch.view()).weights));
  BOOST_CHECK_THROW(RuleConductor(Saw{.delta = -1.0}), BadArgument);
  BOOST_CHECK_THROW(RuleConductor(Saw{.delta = std::nan("")}), BadArgument);
}

BOOST_AUTO_TEST_CASE(contrast_weighs_by_the_mean_deviation_of_the_groups) {
  // Deviations of the first group are those of the golden numbers, of the second 0 and sqrt(0.5).
  const Batch batch = batch_of({4, 2}, {{1, 0.2f}, {0, 0.8f}, {1, 0.5f}, {0, 0.1f}, {0.3f, 1}, {0.3f, 0}});
  const double c0 = 0.5 * 0.5773503;
  const double c1 = 0.5 * (0.3162278 + std::sqrt(0.5));
  const auto first = [](const Batch& b, Contrast rule) {
    return double{RuleConductor(std::move(rule)).decide(b.view()).weights(5, 0)};
  };
  BOOST_TEST(near(first(batch, {}), c0 / (c0 + c1)));
  BOOST_TEST(near(first(batch, {.base = {3.0f, 1.0f}}), 3 * c0 / (3 * c0 + c1)));
  BOOST_TEST(first(batch, {.base = {0.0f, 1.0f}}) == 0.0);
  // Where one response has the reward there is no deviation; that is no group of deviation 0.
  const Batch single = batch_of({2, 2}, {{1, 0.2f}, {0, 0.8f}, {1, missing}, {0, 0.3f}});
  BOOST_TEST(near(double{RuleConductor(Contrast{}).decide(single.view()).weights(0, 0)}, 1 / 1.6));
  BOOST_CHECK_THROW(RuleConductor(Contrast{.base = {-1.0f, 1.0f}}), BadArgument);
  BOOST_CHECK_THROW(RuleConductor(Contrast{.base = {1.0f}}).decide(batch.view()), BadArgument);
}

// Two arms' worth of arithmetic by hand, then a bandit whose first arm alone is followed by better rewards.
BOOST_AUTO_TEST_CASE(consensus_leaves_each_reward_out_of_what_it_is_compared_with) {
  // By numpy.corrcoef: 0.7384756, 0 and 0.3807274 before they are normalized; the second pulls against both others.
  Batch batch = batch_of({4}, {{1.0f, 0.2f, 0.9f}, {0.0f, 0.8f, 0.1f}, {1.0f, 0.5f, 0.7f}, {0.0f, 0.1f, 0.3f}});
  const Decision decision = RuleConductor(Consensus{.floor = 0.0}).decide(batch.view());
  BOOST_TEST(near(double{decision.weights(0, 0)}, 0.65982275));
  BOOST_TEST(decision.weights(0, 1) == 0.0f);
  BOOST_TEST(near(double{decision.weights(0, 2)}, 0.34017725));
}

BOOST_AUTO_TEST_CASE(exp3_stresses_what_is_followed_by_improvement) {
  const Exp3Options options{.rate = 0.2, .share = 0.25};
  RuleConductor conductor{Exp3(options)};
  Batch batch = golden();
  const Decision first = conductor.decide(batch.view());
  // One arm was drawn of three: a weight moved to 5/8 or none did.
  const double w0 = double{first.weights(0, 0)};
  const std::size_t arm = near(w0, 0.625) ? 0 : (near(w0, 0.375) ? 1 : 2);
  if (arm == 2) BOOST_TEST(near(w0, 0.5));
  teach(conductor, batch, first);
  BOOST_TEST(near(conductor.rule().probabilities(2)[arm], 1.0 / 3.0));
  batch.step = 1;
  for (std::size_t i = 0; i < 4; ++i) batch.rewards(i, 0) += 0.5f;
  teach(conductor, batch, conductor.decide(batch.view()));
  const double gain = (0.5 / 0.5773503 + 0.0) / 2;
  const double grown = std::exp(0.2 * (0.5 + 0.5 * std::tanh(gain)) / (1.0 / 3.0 * 3.0));
  BOOST_TEST(near(conductor.rule().probabilities(2)[arm], 0.8 * grown / (grown + 2.0) + 0.2 / 3.0, 1e-6));

  RuleConductor learner{Exp3({.rate = 0.3, .share = 0.05})};
  Batch world = golden();
  double level = 0.0;
  for (std::uint32_t step = 0; step < 300; ++step) {
    world.step = step;
    const double before = step == 0 ? 0.5 : double{usual_weights(learner, 2)[0]};
    const Decision decision = learner.decide(world.view());
    teach(learner, world, decision);
    const double after = double{decision.weights(0, 0)};
    level = after > before ? 1.0 : (after < before ? -1.0 : 0.0);  // what the next step's rewards do
    for (std::size_t i = 0; i < 4; ++i) world.rewards(i, 1) += static_cast<float>(level);
  }
  BOOST_TEST(learner.rule().probabilities(2)[0] > 0.6);
  BOOST_TEST(usual_weights(learner, 2)[0] > 0.6f);
}

BOOST_AUTO_TEST_CASE(exp3_draws_each_arm_as_often_as_it_says) {
  const Exp3 fresh({.share = 0.25});
  std::array<int, 3> drawn{};
  Batch batch = golden();
  const RuleFigures figures(batch.rewards.view(), batch.groups);
  for (std::uint32_t step = 0; step < 3000; ++step) {
    double w[2];
    fresh.weights(figures.group(0, 0, 9, step), w);
    ++drawn[near(w[0], 0.625) ? 0 : (near(w[0], 0.375) ? 1 : 2)];
  }
  for (const int count : drawn) BOOST_TEST(std::abs(count - 1000) < 120);
  BOOST_CHECK_THROW(Exp3({.rate = 0.0}), BadArgument);
  BOOST_CHECK_THROW(Exp3({.share = 1.0}), BadArgument);
}

BOOST_AUTO_TEST_CASE(predictability_finds_the_reward_that_the_hidden_state_tells) {
  RuleConductor conductor{Predictability()};
  for (std::uint32_t step = 0; step < 60; ++step) {
    Batch batch({8, 8, 8}, 4, 3, step);
    batch.step = step;
    for (std::size_t i = 0; i < 24; ++i) {
      const float told = 2.0f * batch.hidden(i, 0) - batch.hidden(i, 2);
      batch.rewards(i, 0) = 5.0f + told;                                 // all of it
      batch.rewards(i, 1) = told + 6.0f * (batch.rewards(i, 1) - 0.5f);  // half of it: the noise's variance is 3
    }
    teach(conductor, batch, conductor.decide(batch.view()));
  }
  const Predictability& rule = conductor.rule();
  BOOST_TEST(rule.explained(0) > 0.7);
  BOOST_TEST(rule.explained(1) > 0.15);
  BOOST_TEST(rule.explained(1) < 0.7 * rule.explained(0));
  BOOST_TEST(rule.explained(2) < 0.05);
  Batch batch({8}, 4, 3, 99);
  const Decision decision = conductor.decide(batch.view());
  const double sum = rule.explained(0) + rule.explained(1) + rule.explained(2) + 0.03;
  BOOST_TEST(near(double{decision.weights(3, 0)}, (rule.explained(0) + 0.01) / sum));
  // Hidden states of another size, and ones that are not finite.
  Batch other({8}, 5, 3, 99);
  BOOST_CHECK_THROW(teach(conductor, other, conductor.decide(other.view())), BadArgument);
  batch.hidden(2, 1) = missing;
  BOOST_CHECK_THROW(teach(conductor, batch, conductor.decide(batch.view())), BadData);
  BOOST_CHECK_THROW(Predictability({.rate = 1.5}), BadArgument);
  BOOST_CHECK_THROW(Predictability({.memory = 1.0}), BadArgument);
  BOOST_CHECK_THROW(Predictability({.floor = 0.0}), BadArgument);
}

BOOST_AUTO_TEST_CASE(prompt_weights_follow_the_data_row) {
  Matrix<float> table(18, 2, 1.0f);
  table(10, 0) = -3.0f;
  table(17, 1) = 0.0f;
  RuleConductor conductor(PromptWeights{.table = table});
  BOOST_TEST(near(double{usual_weights(conductor, 2)[1]}, 17.0 / 18.0));
  Batch batch({2, 3}, 3, 2);  // data rows 10 and 17
  batch.rewards(0, 1) = missing;
  const Decision decision = conductor.decide(batch.view());
  for (std::size_t i = 0; i < 5; ++i) {
    BOOST_TEST(decision.weights(i, 0) == (i < 2 ? -3.0f : 1.0f));
    BOOST_TEST(decision.weights(i, 1) == (i < 2 ? 1.0f : 0.0f));
  }
  BOOST_TEST(near(double{usual_weights(conductor, 2)[0]}, -3.0 / 5.0));
  batch.rows[1] = 18;
  BOOST_CHECK_THROW(conductor.decide(batch.view()), BadArgument);
  for (const float bad : {missing, INFINITY, 0.0f}) {
    Matrix<float> wrong = table;
    wrong(3, 0) = bad;
    wrong(3, 1) = 0.0f;
    BOOST_CHECK_EXCEPTION(RuleConductor(PromptWeights{.table = wrong}), BadArgument,
                          [](const auto& e) { return std::string(e.what()).find("row 3") != std::string::npos; });
  }
  BOOST_CHECK_THROW(RuleConductor(PromptWeights{}), BadArgument);
}

BOOST_AUTO_TEST_CASE(what_a_rule_may_not_do_is_refused) {
  const Batch batch = golden();
  BOOST_CHECK_EXCEPTION(RuleConductor<Negative>().decide(batch.view()), BadData, [](const auto& e) {
    const std::string what = e.what();
    return what.find("Negative") != std::string::npos && what.find("reward 0") != std::string::npos;
  });
  // Feedback without rewards.
  RuleConductor conductor{Exp3()};
  const Decision decision = conductor.decide(batch.view());
  const std::vector<float> advantages(4);
  BOOST_CHECK_THROW(conductor.observe({.decision = decision,
                                       .hidden = batch.hidden.view(),
                                       .groups = batch.groups,
                                       .advantages = advantages,
                                       .counterfactuals = {}}),
                    BadArgument);
  // A state that does not fit together.
  Memory memory = save(conductor);
  memory.entries["rewards"] = std::string(8, '\1');
  RuleConductor other{Exp3()};
  BOOST_CHECK_THROW(load(other, memory), BadFile);
}

BOOST_AUTO_TEST_SUITE_END()
