#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "conductor/laws.hpp"
#include "conductor/support.hpp"
#include "maestro/conductor/any.hpp"

using namespace maestro;
using namespace conductor_test;

BOOST_AUTO_TEST_SUITE(conductor_laws)

namespace {

static_assert(Conductor<LinearConductor<3>>);
static_assert(Conductor<MlpConductor<3, 8, 4>>);
static_assert(Conductor<FixedWeights<3>>);
static_assert(Conductor<EqualWeights<3>>);
static_assert(Conductor<RandomWeights<3>>);
static_assert(Conductor<RuleConductor<Saw>>);
static_assert(Conductor<AnyConductor>);

}  // namespace

BOOST_AUTO_TEST_CASE(every_conductor) {
  check_laws(FixedWeights<3>({0.5f, 0.25f, 0.25f}));
  check_laws(EqualWeights<3>());
  check_laws(EqualWeights<1>());
  check_laws(RuleConductor(Schedule{.from = {1.0f, 0.0f}, .to = {0.0f, 1.0f}, .first_step = 2, .last_step = 5}), 2);
  for (const auto sharing : {RandomSharing::per_response, RandomSharing::per_prompt}) {
    for (const auto kind : {RandomKind::simplex, RandomKind::one_hot, RandomKind::blended_uniform}) {
      check_laws(RandomWeights<3>({.sharing = sharing, .kind = kind}));
      check_laws(RandomWeights<1>({.sharing = sharing, .kind = kind}));
    }
  }
  for (const auto emphasis : {Emphasis::one_hot, Emphasis::blended_uniform, Emphasis::blended_policy}) {
    for (const auto floor : {ProbabilityFloor::mix, ProbabilityFloor::clamp_renormalize}) {
      LearnedConductorOptions options{
          .emphasis = emphasis, .floor = floor, .estimator = Estimator::sampled, .learning_rate = 0.05};
      check_laws(LinearConductor<3>(options));
      check_laws(MlpConductor<3, 8>(options));
      check_laws(LinearConductor<1>(options));
      options.estimator = Estimator::counterfactual;
      check_laws(LinearConductor<3>(options));
    }
  }
  for (const auto name : conductor_names) {
    if (name == "unit" || name == "hypervolume_guided") continue;  // their weights sum to K, and to what was gained
    check_laws(AnyConductor(name, 3, {.prompt_weights = Matrix<float>(32, 3, 1.0f / 3.0f)}));
  }
}

BOOST_AUTO_TEST_CASE(random_weights_are_uniform_and_shared_as_asked) {
  Batch batch({4000}, 1, 3);
  RandomWeights<3> own({.kind = RandomKind::simplex});
  const Decision decision = own.decide(batch.view());
  double mean = 0.0, square = 0.0;
  for (std::size_t i = 0; i < 4000; ++i) {
    const double w = double{decision.weights(i, 0)};
    mean += w / 4000.0;
    square += w * w / 4000.0;
  }
  BOOST_TEST(std::abs(mean - 1.0 / 3.0) < 0.015);  // Beta(1, 2): mean 1/3, second moment 1/6
  BOOST_TEST(std::abs(square - 1.0 / 6.0) < 0.015);
  Batch groups({4, 4}, 1, 3);
  const Decision shared =
      RandomWeights<3>({.sharing = RandomSharing::per_prompt, .kind = RandomKind::simplex}).decide(groups.view());
  for (std::size_t i = 0; i < 8; ++i) BOOST_TEST(shared.weights(i, 1) == shared.weights(i / 4 * 4, 1));
  BOOST_TEST(shared.weights(0, 1) != shared.weights(4, 1));
  BOOST_TEST(decision.weights(0, 1) != decision.weights(1, 1));
}

BOOST_AUTO_TEST_CASE(scheduled_weights_move_linearly) {
  const Schedule schedule{.from = {1.0f, 0.0f}, .to = {0.0f, 2.0f}, .first_step = 10, .last_step = 20};
  RuleConductor conductor(schedule);
  Batch batch({1}, 1, 2);
  const auto at = [&](std::uint32_t step) {
    batch.step = step;
    return conductor.decide(batch.view()).weights;
  };
  BOOST_TEST(at(0)(0, 0) == 1.0f);
  BOOST_TEST(at(10)(0, 1) == 0.0f);
  BOOST_TEST(at(15)(0, 0) == 0.5f);
  BOOST_TEST(at(15)(0, 1) == 1.0f);
  RuleConductor resumed(schedule);
  load(resumed, save(conductor));
  Matrix<float> out(1, 2);
  resumed.weights({}, out);
  BOOST_TEST(out(0, 0) == 0.5f);
  BOOST_TEST(at(99)(0, 1) == 2.0f);
  BOOST_CHECK_THROW(RuleConductor(Schedule{.first_step = 5, .last_step = 5}), BadArgument);
  BOOST_CHECK_THROW(RuleConductor(Schedule{.to = {missing, 0.0f}}), BadArgument);
  BOOST_CHECK_THROW(FixedWeights<2>({0.0f, INFINITY}), BadArgument);
}

BOOST_AUTO_TEST_CASE(chosen_by_name) {
  BOOST_CHECK_EXCEPTION(AnyConductor("linaer", 3), BadArgument, [](const BadArgument& e) {
    const std::string what = e.what();
    bool all = what.find("'linaer'") != std::string::npos;
    for (const auto name : conductor_names) all = all && what.find(name) != std::string::npos;
    return all;
  });
  BOOST_TEST(AnyConductor("mlp", 3).learns());
  BOOST_TEST(!AnyConductor("random", 3).learns());
  AnyConductorOptions options;
  options.learned.estimator = Estimator::counterfactual;
  BOOST_TEST(AnyConductor("linear", 3, options).wants_counterfactuals());
  BOOST_TEST(!AnyConductor("maestro_paper", 3, options).wants_counterfactuals());
  BOOST_TEST(!AnyConductor("equal", 3, options).wants_counterfactuals());
  AnyConductor linear("linear", 3), again("linear", 3), mlp("mlp", 3);
  Batch batch({4}, 6, 3);
  linear.decide(batch.view());
  load(again, save(linear));
  BOOST_TEST((save(again).entries == save(linear).entries));
  BOOST_CHECK_THROW(load(mlp, save(linear)), BadFile);
  // A copy is a Conductor of its own.
  AnyConductor copy = linear;
  BOOST_TEST((save(copy).entries == save(linear).entries));
  for (const std::size_t actions : {std::size_t{0}, AnyConductor::max_actions + 1}) {
    BOOST_CHECK_EXCEPTION(AnyConductor("equal", actions), BadArgument, [&](const BadArgument& e) {
      return std::string(e.what()).find("not for " + std::to_string(actions)) != std::string::npos;
    });
  }
  for (const char* name : {"fixed", "scheduled", "contrast"}) {
    BOOST_CHECK_THROW(AnyConductor(name, 3, {.weights = {1.0f, 2.0f}}), BadArgument);
  }
  BOOST_CHECK_THROW(AnyConductor("prompt", 3, {.prompt_weights = Matrix<float>(4, 2, 1.0f)}), BadArgument);
  BOOST_CHECK_THROW(AnyConductor("prompt", 3), BadArgument);
}

BOOST_AUTO_TEST_CASE(a_name_stands_for_the_same_conductor_as_its_type) {
  const Batch batch({3, 5}, 6, 3);
  const auto same = [&](auto typed, AnyConductor named) {
    BOOST_TEST((typed.decide(batch.view()).weights == named.decide(batch.view()).weights));
    Matrix<float> expected(8, 3);
    Matrix<float> found(8, 3);
    typed.weights(batch.view().hidden, expected);
    named.weights(batch.view().hidden, found);
    BOOST_TEST((expected == found));
    BOOST_TEST(named.num_actions() == 3u);
  };
  const AnyConductorOptions options{.weights = {0.5f, 0.25f, -1.0f}, .weights_end = {1.0f, 0.0f, 2.0f}, .last_step = 7};
  same(EqualWeights<3>(), AnyConductor("equal", 3));
  same(FixedWeights<3>({1.0f, 1.0f, 1.0f}), AnyConductor("unit", 3));
  same(RuleConductor<Saw>(), AnyConductor("saw", 3));
  same(RuleConductor<Exp3>(), AnyConductor("exp3", 3));
  same(RuleConductor<Predictability>(), AnyConductor("predictability", 3));
  same(RuleConductor(Contrast{.base = {0.5f, 0.25f, 1.0f}}),
       AnyConductor("contrast", 3, {.weights = {0.5f, 0.25f, 1.0f}}));
  same(FixedWeights<3>({0.5f, 0.25f, -1.0f}), AnyConductor("fixed", 3, options));
  same(RuleConductor(Schedule{.from = {0.5f, 0.25f, -1.0f}, .to = {1.0f, 0.0f, 2.0f}, .last_step = 7}),
       AnyConductor("scheduled", 3, options));
  same(RandomWeights<3>(), AnyConductor("random", 3));
  same(LinearConductor<3>(), AnyConductor("linear", 3));
  same(MlpConductor<3, 64>(), AnyConductor("mlp", 3));
  same(LinearConductor<3>(paper_preset()), AnyConductor("maestro_paper", 3));
}

BOOST_AUTO_TEST_SUITE_END()
