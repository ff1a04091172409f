// What a step does with rewards that tell nothing, and what its report says about rewards and weights.

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/fixed.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/scalarization/any_scalarization.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/trainer/metrics.hpp"
#include "maestro/trainer/reward_figures.hpp"
#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(defaults)

namespace {

using namespace maestro;

/// The same for every response.
struct Tenth {
  static constexpr std::string_view name = "tenth";
  float operator()(const Completion&) const { return 0.1f; }
};
struct Seven {
  static constexpr std::string_view name = "seven";
  float operator()(const Completion&) const { return 7.0f; }
};

template <class C, class S>
auto constant_trainer(C conductor, S scalarization) {
  auto options = tiny::options();
  options.sampling.num_generations = 7;
  return Trainer(tiny::Policy({.contexts = 3, .actions = 5, .length = 2}), RewardSet<Tenth, Seven>{Tenth{}, Seven{}},
                 std::move(conductor), scalarization, options);
}

std::map<std::string, double> metrics_of(const StepReport& report) {
  std::map<std::string, double> metrics;
  for_each_metric(report, [&](const std::string& name, double value) { metrics[name] = value; });
  for_each_timing(report, [&](const std::string& name, double value) { metrics[name] = value; });
  return metrics;
}

/// Steps that must leave a policy as it is.
template <class T>
void check_nothing_is_learned(T trainer) {
  const auto parameters = [&] {
    std::vector<float> values;
    trainer.policy().visit([&](auto view) { values.insert(values.end(), view.values.begin(), view.values.end()); });
    return values;
  };
  const std::vector<float> before = parameters();
  for (int i = 0; i < 4; ++i) {
    const StepReport& report = trainer.step(tiny::prompts(6));
    BOOST_TEST(report.grad_norm == 0.0);
    BOOST_TEST(report.loss.policy_loss == 0.0);
    BOOST_TEST(report.frac_reward_zero_std == 1.0);
    for (const float advantage : trainer.trace().advantages) BOOST_TEST(advantage == 0.0f);
    BOOST_TEST(report.draw_noise_share.value() == 0.0);
  }
  BOOST_TEST(parameters() == before, boost::test_tools::per_element());
}

}  // namespace

BOOST_AUTO_TEST_CASE(constant_rewards_teach_nothing) {
  check_nothing_is_learned(constant_trainer(LinearConductor<2>(), DefaultScalarization()));
  check_nothing_is_learned(constant_trainer(RandomWeights<2>(), DefaultScalarization()));
  check_nothing_is_learned(constant_trainer(RandomWeights<2>({.kind = RandomKind::simplex}), DefaultScalarization()));
  check_nothing_is_learned(constant_trainer(LinearConductor<2>({.learning_rate = 0.1}), AnyScalarization()));
}

BOOST_AUTO_TEST_CASE(the_papers_reading_trains_on_constant_rewards_and_says_so) {
  auto trainer = constant_trainer(LinearConductor<2>(paper_preset()), GroupRelative());
  const StepReport& report = trainer.step(tiny::prompts(6));
  BOOST_TEST(report.grad_norm > 0.01);
  BOOST_TEST(report.frac_reward_zero_std == 1.0);
  BOOST_TEST(report.draw_noise_share.value() == 1.0);
  BOOST_TEST(metrics_of(report).at("conductor/draw_noise_share") == 1.0);
}

BOOST_AUTO_TEST_CASE(no_share_of_a_draw_without_a_draw) {
  auto trainer = constant_trainer(EqualWeights<2>(), DefaultScalarization());
  const StepReport& report = trainer.step(tiny::prompts(6));
  BOOST_TEST(!report.draw_noise_share.has_value());
  BOOST_TEST(metrics_of(report).count("conductor/draw_noise_share") == 0u);
}

BOOST_AUTO_TEST_CASE(rewards_that_vary_have_some_of_each) {
  auto trainer = tiny::trainer(tiny::options(), {}, DefaultScalarization());
  const StepReport& report = trainer.step(tiny::prompts(6));
  BOOST_TEST(report.grad_norm > 0.0);
  BOOST_TEST(report.draw_noise_share.value() > 0.01);
  BOOST_TEST(report.draw_noise_share.value() < 0.9);
}

BOOST_AUTO_TEST_CASE(the_references_time_is_its_own) {
  auto options = tiny::options();
  auto without = tiny::trainer(options);
  BOOST_TEST(metrics_of(without.step(tiny::prompts(6))).at("time/reference") < 1e-3);
  options.objective.beta = 0.1;
  auto with = tiny::trainer(options);
  const StepReport& report = with.step(tiny::prompts(6));
  BOOST_TEST(report.seconds.reference > 0.0);
  const StepTimings& t = report.seconds;
  BOOST_TEST(t.rollout + t.rewards + t.reference + t.conductor + t.training <= t.total);
}

namespace {

/// Two groups of three and one of two, with missing values.
Matrix<float> some_scores() {
  constexpr float none = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> scores(8, 3);
  const std::vector<float> values{0.1f, none, 1.0f, 0.1f,  1e9f, 1.0f, 0.1f,  1e9f, 1.0f,  // none varies
                                  0.3f, none, 1.0f, -5.0f, none, 1.0f, 0.25f, 5.0f, 1.0f,  // the first one does
                                  none, none, none, none,  none, none};                    // no value
  std::copy(values.begin(), values.end(), scores.flat().begin());
  return scores;
}

Decision some_decision() {
  Decision decision;
  decision.weights.resize(8, 3);
  decision.probabilities.resize(8, 3);
  for (std::size_t i = 0; i < 24; ++i) {
    decision.weights.flat()[i] = 0.1f * static_cast<float>(i);
    decision.probabilities.flat()[i] = 1.0f / static_cast<float>(i + 3);
  }
  return decision;
}

}  // namespace

BOOST_AUTO_TEST_CASE(figures_of_rewards_are_those_of_each_column) {
  const Matrix<float> scores = some_scores();
  const Decision decision = some_decision();
  const Groups groups = Groups::from_sizes(std::vector<std::size_t>{3, 3, 2});
  StepReport report;
  describe_rewards(scores, decision, groups, report);
  BOOST_REQUIRE(report.rewards.size() == 3u);
  for (std::size_t k = 0; k < 3; ++k) {
    const auto moments = [&](const Matrix<float>& m) { return moments_of(8, [&](std::size_t i) { return m(i, k); }); };
    const RewardFigures& figures = report.rewards[k];
    BOOST_TEST(figures.count == moments(scores).count);
    BOOST_TEST(figures.mean == moments(scores).mean);
    BOOST_TEST(figures.std_dev == moments(scores).std_dev(1));
    BOOST_TEST(figures.weight == moments(decision.weights).mean);
    BOOST_TEST(figures.probability == moments(decision.probabilities).mean);
    BOOST_TEST(figures.frac_group_varies == (k == 0 ? 1.0 / 3.0 : 0.0));
  }
  BOOST_TEST(report.frac_reward_zero_std == 0.5);
}

BOOST_AUTO_TEST_CASE(figures_of_no_rewards_at_all) {
  Matrix<float> scores;
  scores.assign(4, 3, std::numeric_limits<float>::quiet_NaN());
  Decision decision = some_decision();
  decision.weights.resize(4, 3);
  decision.probabilities.resize(0, 0);
  StepReport report;
  describe_rewards(scores, decision, Groups::uniform(2, 2), report);
  BOOST_TEST(std::isnan(report.rewards[0].mean));
  BOOST_TEST(report.rewards[0].probability == 0.0);
  BOOST_TEST(std::isnan(report.frac_reward_zero_std));
}

namespace {

struct WritesNothing {
  template <class Comm>
  void operator()(const ScalarizationInput&, const ScalarizationOutput&, Comm&) const {}
};
/// Knows nothing of counterfactuals.
struct Plain {
  template <class Comm>
  void operator()(const ScalarizationInput& in, const ScalarizationOutput& out, Comm& comm) const {
    Advantages{DrGrpo{}}(in, {out.advantages, out.scalar_rewards, {}}, comm);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(what_a_scalarization_leaves_out_is_refused) {
  const auto says = [](const std::string& words) {
    return [words](const Error& error) { return std::string(error.what()).find(words) != std::string::npos; };
  };
  auto nothing = tiny::trainer(tiny::options(), {}, WritesNothing{});
  BOOST_CHECK_EXCEPTION(nothing.step(tiny::prompts(6)), BadData, says("the advantage of response 0"));
  auto plain = tiny::trainer(tiny::options(), {}, Plain{});
  BOOST_CHECK_EXCEPTION(plain.step(tiny::prompts(6)), Unsupported, says("Estimator::sampled"));
  auto sampled = tiny::trainer(tiny::options(), {.estimator = Estimator::sampled}, Plain{});
  BOOST_CHECK_NO_THROW(sampled.step(tiny::prompts(6)));
}

BOOST_AUTO_TEST_SUITE_END()
