// What satisfies a concept and has nothing more works in a Trainer, and every member that a concept asks for counts.

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/evaluation.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/trainer.hpp"
#include "trainer/archetypes.hpp"
#include "trainer/tiny.hpp"

BOOST_AUTO_TEST_SUITE(concepts)

namespace {

using namespace maestro;
using archetype::Without;

// The whole type satisfies the concept, and one member less does not.

template <Without... without>
inline constexpr bool no_policy = (!Policy<archetype::Policy<float, without>> && ...);
static_assert(Policy<archetype::Policy<float>> && Policy<archetype::Policy<double>>);
static_assert(no_policy<Without::scalar_type, Without::copy, Without::hidden_size, Without::generate, Without::forward,
                        Without::backward, Without::log_probs, Without::zero_gradients, Without::visit>);
static_assert(!Policy<archetype::Policy<long double>>);

template <Without... without>
inline constexpr bool no_reward = (!Reward<archetype::CompletionReward<without>> && ...) &&
                                  (!Reward<archetype::BatchReward<without>> && ...);
static_assert(CompletionReward<archetype::CompletionReward<>> && BatchReward<archetype::BatchReward<>>);
static_assert(no_reward<Without::name, Without::call, Without::move>);

template <Without... without>
inline constexpr bool no_rewards = (!Rewards<archetype::Rewards<without>> && ...);
static_assert(Rewards<archetype::Rewards<>>);
static_assert(no_rewards<Without::size, Without::names, Without::evaluate, Without::move>);

template <Without... without>
inline constexpr bool no_conductor = (!Conductor<archetype::Conductor<without>> && ...);
static_assert(Conductor<archetype::Conductor<>> && Conductor<archetype::StatefulConductor>);
static_assert(no_conductor<Without::decide, Without::state, Without::move>);

template <Without... without>
inline constexpr bool no_scalarization = (!Scalarization<archetype::Scalarization<without>> && ...);
static_assert(Scalarization<archetype::Scalarization<>>);
static_assert(Scalarization<archetype::Scalarization<>, archetype::Communicator<>>);
static_assert(no_scalarization<Without::call, Without::move>);

template <Without... without>
inline constexpr bool no_communicator = (!Communicator<archetype::Communicator<without>> && ...);
static_assert(Communicator<archetype::Communicator<>>);
static_assert(no_communicator<Without::rank, Without::size, Without::sum_of_doubles, Without::sum_of_floats,
                              Without::gather, Without::barrier, Without::move>);

template <Without... without>
inline constexpr bool no_network = (!ConductorNetwork<archetype::Network<float, without>> && ...);
static_assert(ConductorNetwork<archetype::Network<float>> && ConductorNetwork<archetype::Network<double>>);
static_assert(no_network<Without::scalar_type, Without::actions, Without::cache, Without::default_constructor,
                         Without::copy, Without::initialize, Without::input_size, Without::forward, Without::backward,
                         Without::zero_gradients, Without::visit, Without::state>);

template <Without... without>
inline constexpr bool no_scorer = (!LikelihoodScorer<archetype::Scorer<without>> && ...) &&
                                  (!PreferenceScorer<archetype::Scorer<without>> && ...);
static_assert(LikelihoodScorer<archetype::Scorer<>> && PreferenceScorer<archetype::Scorer<>>);
static_assert(no_scorer<Without::call, Without::move>);

// An optional member in another form is refused, not passed over.

struct ForgetfulObserver : archetype::Conductor<> {
  void observe(const Decision&) {}
};
struct UpdatesToNothing : archetype::Conductor<> {
  void update() {}
};
static_assert(!Conductor<ForgetfulObserver> && !Conductor<UpdatesToNothing>);
struct ChecksTexts : TabularPolicy<float> {
  void check_prompts(const std::vector<std::string>&) const {}
};
static_assert(Policy<TabularPolicy<float>> && !Policy<ChecksTexts>);
struct SavesWhileMutable : TabularPolicy<float> {
  void save(const std::string&) {}
};
struct CountsInObjects : archetype::Conductor<> {
  std::size_t actions = 2;
};
static_assert(!Policy<SavesWhileMutable> && !Conductor<CountsInObjects>);

// An estimator is one by its members, and what has a name alone is none.

struct SomeEstimator {
  static constexpr std::string_view name = "estimator";
  template <class G>
  auto statistics(const G& group) const {
    return group.moments(TotalOf{});
  }
  template <class R>
  double advantage(const Moments& moments, const R& row) const {
    return row.total() - moments.mean;
  }
};
struct NamedScalarization : archetype::Scalarization<> {
  static constexpr std::string_view name = "named";
};
struct WithoutAdvantage {
  static constexpr std::string_view name = "none";
  template <class G>
  auto statistics(const G& group) const {
    return group.moments(TotalOf{});
  }
};
static_assert(AdvantageEstimator<SomeEstimator> && AdvantageEstimator<GroupRelative>);
static_assert(!AdvantageEstimator<NamedScalarization> && !AdvantageEstimator<WithoutAdvantage>);
static_assert(std::is_same_v<ScalarizationFor<NamedScalarization>, NamedScalarization>);

/// Every road of a step: reference, reward-side and loss-side sums, several updates, state, evaluation.
TrainerOptions options() {
  TrainerOptions s;
  s.seed = 3;
  s.prompts_per_step = 4;
  s.sampling.num_generations = 4;
  s.learning_rate = 0.1;
  s.num_iterations = 2;
  s.num_minibatches = 2;
  s.reference_sync_steps = 2;
  s.objective.beta = 0.01;
  s.objective.entropy_bonus = 0.001;
  return s;
}

std::vector<Prompt> prompts() {
  std::vector<Prompt> result = tiny::prompts(8);
  for (Prompt& prompt : result) prompt.reference = "yes";
  return result;
}

template <class T>
void run(T& trainer) {
  const auto data = prompts();
  run_loop(trainer, data, {.steps = 3});
  BOOST_TEST(trainer.report().step == 3u);
  BOOST_TEST(!tiny::state_of(trainer).empty());
  const Evaluation judged = evaluate(trainer.policy(), data, [](const Completion& c) { return c.tokens[0]; });
  BOOST_TEST(judged.overall.mean == 0.5);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_least_of_each_concept_makes_a_trainer) {
  archetype::Communicator communicator;
  const auto sums = communicator.sums;
  Trainer trainer{archetype::Policy<float>(0.0f),
                  archetype::Rewards<>{},
                  archetype::Conductor<>{},
                  archetype::Scalarization<>{},
                  options(),
                  std::move(communicator)};
  run(trainer);
  BOOST_TEST(trainer.policy().logit() > 0.0f);  // token 1 has the advantage
  BOOST_TEST(*sums > 0);
}

BOOST_AUTO_TEST_CASE(and_with_parameters_in_double) {
  Trainer trainer{archetype::Policy<double>(0.0), archetype::Rewards<>{}, archetype::StatefulConductor{},
                  GroupRelative{}, options()};
  run(trainer);
  BOOST_TEST(trainer.policy().logit() > 0.0);
}

BOOST_AUTO_TEST_CASE(the_least_rewards_make_a_set) {
  Trainer trainer{archetype::Policy<float>(0.0f),
                  RewardSet{archetype::CompletionReward<>{}, Named<"other", archetype::BatchReward<>>{}},
                  EqualWeights<2>{}, GroupRelative{}, options()};
  run(trainer);
  BOOST_TEST(trainer.report().rewards[0].mean == 0.5);
  BOOST_TEST(trainer.report().rewards[1].mean == 0.5);
}

BOOST_AUTO_TEST_CASE(the_least_network_and_scorers_learn) {
  LearnedConductor<archetype::Network<double>> conductor(
      {.estimator = Estimator::counterfactual, .period = 1, .learning_rate = 0.1});
  Trainer trainer{archetype::Policy<float>(0.0f),
                  RewardSet{Perplexity{archetype::Scorer<>{}}, Preference{archetype::Scorer<>{}}}, std::move(conductor),
                  GroupRelative{}, options()};
  run(trainer);
  BOOST_REQUIRE(trainer.report().conductor.has_value());
  BOOST_TEST(trainer.report().conductor->samples == 16u);
}

BOOST_AUTO_TEST_SUITE_END()
