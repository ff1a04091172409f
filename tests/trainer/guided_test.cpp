// Weights that follow gradients, or the front of what was reached.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "conductor/support.hpp"
#include "maestro/conductor/any.hpp"
#include "maestro/conductor/guided.hpp"
#include "maestro/distributed/thread.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(guided)

namespace {

constexpr std::size_t actions = 4;

/// Reward k of action a: the first two agree, the third stands against them.
struct Taste {
  std::string_view name;
  float sign = 1.0f;
  float shift = 0.0f;

  float operator()(const Completion& c) const { return sign * (static_cast<float>(c.tokens[0]) + shift); }
};

/// Remembers what a trainer gave, and decides on equal weights.
struct Watcher {
  static constexpr bool stateless = true;
  std::vector<double>* seen = nullptr;

  Decision decide(const StepView& view) { return EqualWeights<3>().decide(view); }
  bool wants_reward_gradients() const { return true; }
  void observe(const Feedback& feedback) {
    seen->clear();
    for (std::size_t k = 0; k < feedback.reward_gradients.rows(); ++k) {
      for (const double x : feedback.reward_gradients.row(k)) seen->push_back(x);
    }
  }
};

TrainerOptions options_of_test() {
  return {.seed = 3, .prompts_per_step = 4, .sampling = {.num_generations = 8}, .learning_rate = 0.05};
}

template <class C, class Comm = SingleProcess>
auto trainer_of(C conductor, TrainerOptions options = options_of_test(), Comm comm = {}) {
  return Trainer{TabularPolicy<float>({.contexts = 4, .actions = actions}),
                 RewardSet{Taste{"up"}, Taste{"also_up", 0.5f, 2.0f}, Taste{"down", -1.0f}},
                 std::move(conductor),
                 GroupRelative{},
                 options,
                 std::move(comm)};
}

std::vector<Prompt> four_prompts() {
  std::vector<Prompt> prompts(4);
  for (std::size_t c = 0; c < 4; ++c) prompts[c].row = static_cast<std::int64_t>(c);
  return prompts;
}

/// A batch of one group, whose rewards have these means.
std::vector<float> around(const std::array<float, 2>& means) {
  return {means[0] - 1.0f, means[1] - 1.0f, means[0] + 1.0f, means[1] + 1.0f};
}

RuleView view_of(const RuleFigures& figures, std::uint32_t step) { return figures.batch(5, step); }

void show(HypervolumeGuided& rule, const std::array<float, 2>& means, std::uint32_t step) {
  const std::vector<float> values = around(means);
  const Groups groups = Groups::uniform(1, 2);
  const RuleFigures figures({values.data(), 2, 2}, groups);
  const Decision decision;
  rule.observe(view_of(figures, step),
               Feedback{.decision = decision, .hidden = {}, .groups = groups, .advantages = {}, .counterfactuals = {}});
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_trainer_gives_the_inner_products_of_each_rewards_gradient) {
  std::vector<double> seen;
  auto trainer = trainer_of(Watcher{&seen});
  trainer.step(four_prompts());
  BOOST_TEST_REQUIRE(seen.size() == 9u);
  // All three are one reward, but for scale and sign: their z-scores are equal, or opposite.
  for (const std::size_t same : {std::size_t{1}, std::size_t{3}, std::size_t{4}, std::size_t{8}}) {
    BOOST_TEST(std::abs(seen[same] - seen[0]) < 1e-6 * seen[0]);
  }
  for (const std::size_t opposite : std::array<std::size_t, 4>{2, 5, 6, 7})
    BOOST_TEST(std::abs(seen[opposite] + seen[0]) < 1e-6 * seen[0]);
  // |g|^2 by hand, at the uniform policy of four actions: d log p(a) / d logit(b) = [a = b] - 1/4, each response of a
  // context at 1/32 of the loss.
  const StepTrace trace = trainer.trace();
  double squares = 0.0;
  for (std::size_t g = 0; g < 4; ++g) {
    std::array<double, actions> gradient{};
    const std::size_t first = trace.rollouts.groups.begin(g);
    const Moments m = moments_of(8, [&](std::size_t i) { return trace.rewards(first + i, 0); });
    for (std::size_t i = 0; i < 8; ++i) {
      const double z = m.std_dev(0) > 0.0 ? (double{trace.rewards(first + i, 0)} - m.mean) / m.std_dev(0) : 0.0;
      const auto action = static_cast<std::size_t>(trace.rollouts.tokens.row(first + i)[0]);
      for (std::size_t b = 0; b < actions; ++b) gradient[b] -= z / 32.0 * ((b == action ? 1.0 : 0.0) - 0.25);
    }
    for (const double x : gradient) squares += x * x;
  }
  BOOST_TEST(std::abs(seen[0] - squares) < 1e-5 * squares);
}

BOOST_AUTO_TEST_CASE(asking_for_gradients_changes_nothing_else) {
  std::vector<double> seen;
  auto asking = trainer_of(Watcher{&seen});
  auto plain = trainer_of(EqualWeights<3>());
  for (int step = 0; step < 3; ++step) {
    asking.step(four_prompts());
    plain.step(four_prompts());
  }
  const auto a = asking.policy().logits();
  const auto b = plain.policy().logits();
  for (std::size_t c = 0; c < a.rows(); ++c) BOOST_TEST(std::ranges::equal(a.row(c), b.row(c)));
}

BOOST_AUTO_TEST_CASE(ranks_see_the_gradients_of_the_whole_batch) {
  std::vector<double> alone;
  auto one = trainer_of(Watcher{&alone});
  one.step(four_prompts());
  std::array<std::vector<double>, 2> seen;
  run_on_threads(2, [&](ThreadCommunicator& comm) {
    auto trainer = trainer_of(Watcher{&seen[comm.rank()]}, options_of_test(), comm);
    trainer.step(four_prompts());
  });
  BOOST_TEST_REQUIRE(alone.size() == 9u);
  BOOST_TEST(seen[0] == seen[1], boost::test_tools::per_element());
  for (std::size_t i = 0; i < 9; ++i) BOOST_TEST(std::abs(seen[0][i] - alone[i]) < 1e-5 * alone[0]);
}

BOOST_AUTO_TEST_CASE(gradient_guided_weights_leave_what_stands_against_the_rest) {
  RuleConductor conductor{GradientGuided({.rate = 0.1})};
  auto trainer = trainer_of(conductor);
  trainer.step(four_prompts());
  // The rows of the products sum to |g|^2 (1, 1, -1): after one step w is (e^0.1, e^0.1, e^-0.1), normalized.
  Matrix<float> w(1, 3);
  std::array<double, 3> expected{std::exp(0.1), std::exp(0.1), std::exp(-0.1)};
  trainer.step(four_prompts());
  trainer.conductor().weights({}, w.view());
  for (std::size_t k = 0; k < 3; ++k) {
    BOOST_TEST(std::abs(double{w(0, k)} - expected[k] / (2 * expected[0] + expected[2])) < 1e-5);
  }
  for (int step = 0; step < 30; ++step) trainer.step(four_prompts());
  trainer.conductor().weights({}, w.view());
  BOOST_TEST(w(0, 2) < 0.01f);
  BOOST_TEST(std::abs(w(0, 0) - w(0, 1)) < 1e-3f);

  BOOST_CHECK_THROW(GradientGuided({.rate = 0.0}), BadArgument);
  const Matrix<float> rewards(8, 3);
  const Groups groups = Groups::uniform(1, 8);
  const Decision decision = EqualWeights<3>().decide(
      {.hidden = {}, .rewards = rewards, .groups = groups, .rows = std::array<std::int64_t, 1>{0}});
  BOOST_CHECK_EXCEPTION(conductor.observe({.decision = decision,
                                           .hidden = {},
                                           .groups = groups,
                                           .advantages = {},
                                           .counterfactuals = {},
                                           .rewards = rewards}),
                        BadArgument, [](const BadArgument& e) {
                          return std::string(e.what()).find("reward_gradients") != std::string::npos;
                        });
}

BOOST_AUTO_TEST_CASE(hypervolume_guided_weights_grow_with_what_the_front_gained) {
  BOOST_TEST(HypervolumeGuided::multiplier(0.0) == 0.5);  // golden
  BOOST_TEST(std::abs(HypervolumeGuided::multiplier(0.1) - 0.6495020) < 1e-6);
  BOOST_TEST(std::abs(HypervolumeGuided::multiplier(1.0) - 1.6423912) < 1e-6);
  HypervolumeGuided rule({.base = {1.0f, -2.0f}, .draws = 20000});
  const auto weights = [&] {
    const RuleFigures nothing(MatrixView<const float>(nullptr, 0, 2), Groups());
    std::array<double, 2> w{};
    rule.weights(nothing.batch(0, 0), w.data());
    return w;
  };
  BOOST_TEST(weights() == (std::array<double, 2>{1.0, -2.0}), boost::test_tools::per_element());
  const double unit = std::sqrt(2.0);  // of two values one above and one below their mean, ddof 1
  show(rule, {0.0f, 0.0f}, 0);
  BOOST_TEST(rule.factor() == 1.0);
  show(rule, {0.0f, 0.0f}, 1);  // nothing new
  BOOST_TEST(rule.factor() == 0.5);
  show(rule, {static_cast<float>(unit), 0.0f}, 2);  // one unit more of the first: a volume of 2 instead of 1
  BOOST_TEST(std::abs(rule.factor() - HypervolumeGuided::multiplier(1.0)) < 0.02);
  show(rule, {0.0f, static_cast<float>(0.5 * unit)}, 3);  // half a unit of the second, at one of the first
  BOOST_TEST(std::abs(rule.factor() - HypervolumeGuided::multiplier(0.5)) < 0.02);
  show(rule, {-5.0f, 100.0f}, 4);  // below the reference in one: nothing
  BOOST_TEST(rule.factor() == 0.5);
  BOOST_TEST(weights()[1] == -1.0);

  HypervolumeGuided loaded({.base = {1.0f, -2.0f}, .draws = 20000});
  conductor_test::load(loaded, conductor_test::save(rule));
  show(rule, {1.0f, 1.0f}, 5);
  show(loaded, {1.0f, 1.0f}, 5);
  BOOST_TEST(loaded.factor() == rule.factor());
  BOOST_CHECK_THROW(HypervolumeGuided({.draws = 0}), BadArgument);
}

BOOST_AUTO_TEST_CASE(they_go_by_name_and_resume) {
  for (const char* name : {"gradient_guided", "hypervolume_guided"}) {
    auto whole = trainer_of(AnyConductor(name, 3));
    auto stopped = trainer_of(AnyConductor(name, 3));
    for (int step = 0; step < 4; ++step) {
      whole.step(four_prompts());
      stopped.step(four_prompts());
      AnyConductor again(name, 3);
      conductor_test::load(again, conductor_test::save(stopped.conductor()));
      stopped.conductor() = again;
    }
    BOOST_TEST((conductor_test::save(stopped.conductor()).entries == conductor_test::save(whole.conductor()).entries));
    BOOST_TEST(!conductor_test::save(whole.conductor()).entries.empty());
  }
}

BOOST_AUTO_TEST_SUITE_END()
