// A contextual bandit whose best weighting is known per context: which Conductor finds it?

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/anchored.hpp"
#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/conductor/rule.hpp"
#include "maestro/conductor/rules.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/anchored_rewards.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/trainer/trainer.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(anchored_bandit)

namespace {

constexpr std::size_t contexts = 4;
constexpr std::size_t actions = 6;
/// What counts in each context, of either sign.
constexpr std::array<std::array<double, 3>, contexts> best{
    {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, -0.3, 0.7}, {0.5, -0.5, 0.0}}};

double reward_of(std::size_t k, std::int32_t action) {
  const double distance = static_cast<double>(action) - 2.0 * static_cast<double>(k);
  return std::exp(-distance * distance / 4.0);
}
double utility(std::size_t context, std::int32_t action) {
  double sum = 0.0;
  for (std::size_t k = 0; k < 3; ++k) sum += best[context][k] * reward_of(k, action);
  return sum;
}

/// Reward k of the bandit: largest at action 2 k, whatever the context.
struct Objective {
  std::string name;
  std::size_t index;
  float operator()(const Completion& c) const { return static_cast<float>(reward_of(index, c.tokens[0])); }
};

/// The utility with noise that belongs to the pair of context and action.
struct NoisyJudge {
  static constexpr std::string_view name = "judge";
  std::uint64_t seed;
  float operator()(const Completion& c) const {
    const auto context = static_cast<std::uint32_t>(c.prompt.row);
    const RandomStream noise({.seed = seed, .row = context});
    return static_cast<float>(utility(context, c.tokens[0]) +
                              0.1 * noise.normal(static_cast<std::uint32_t>(c.tokens[0])));
  }
};

/// What the policy reaches of what it could, mean over the contexts: 0 is the uniform policy, 1 the best action.
template <class T>
double reached(T& trainer) {
  double sum = 0.0;
  const auto logits = trainer.policy().logits();
  for (std::size_t c = 0; c < contexts; ++c) {
    double total = 0.0, expected = 0.0, uniform = 0.0, top = -1.0;
    for (std::size_t a = 0; a < actions; ++a) total += std::exp(static_cast<double>(logits(c, a)));
    for (std::size_t a = 0; a < actions; ++a) {
      const double u = utility(c, static_cast<std::int32_t>(a));
      expected += std::exp(static_cast<double>(logits(c, a))) / total * u;
      uniform += u / static_cast<double>(actions);
      top = std::max(top, u);
    }
    sum += (expected - uniform) / (top - uniform) / static_cast<double>(contexts);
  }
  return sum;
}

template <class C>
double run(C conductor, std::uint64_t seed, double share) {
  std::vector<Prompt> prompts(contexts);
  for (std::size_t c = 0; c < contexts; ++c) prompts[c].row = static_cast<std::int64_t>(c);
  AnchoredRewards rewards{RewardSet{Objective{"first", 0}, Objective{"second", 1}, Objective{"third", 2}},
                          RewardAnchor{NoisyJudge{seed}},
                          {.share = share}};
  const TrainerOptions options{
      .seed = seed, .prompts_per_step = contexts, .sampling = {.num_generations = 16}, .learning_rate = 0.05};
  Trainer trainer{TabularPolicy<float>({.contexts = contexts, .actions = actions}), std::move(rewards),
                  std::move(conductor), options};
  for (int step = 0; step < 150; ++step) trainer.step(prompts);
  return reached(trainer);
}

/// Mean over ten seeds.
template <class Make>
double mean_of_seeds(const char* name, const Make& make, double share = 0.1) {
  double sum = 0.0;
  double worst = 2.0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const double own = run(make(), seed, share);
    sum += own / 10.0;
    worst = std::min(worst, own);
  }
  BOOST_TEST_MESSAGE(name << ": " << sum << ", worst seed " << worst);
  return sum;
}

}  // namespace

BOOST_AUTO_TEST_CASE(who_finds_the_best_weighting) {
  const double equal = mean_of_seeds("equal", [] { return EqualWeights<3>(); });
  const double maestro =
      mean_of_seeds("MAESTRO", [] { return LinearConductor<3>({.entropy_bonus = 0.01, .learning_rate = 0.02}); });
  const double consensus = mean_of_seeds("consensus", [] { return RuleConductor(Consensus{}); });
  const double global =
      mean_of_seeds("anchored, global", [] { return AnchoredConductor({.context = GroupContextKind::global}); });
  const double marginal =
      mean_of_seeds("anchored, marginal", [] { return AnchoredConductor({.form = AnchoredForm::marginal}); });
  const double anchored = mean_of_seeds("anchored", [] { return AnchoredConductor(); });
  const double everything = mean_of_seeds(
      "anchored, every group judged", [] { return AnchoredConductor(); }, 1.0);
  BOOST_TEST(anchored > 0.8);
  BOOST_TEST(everything > 0.85);
  BOOST_TEST(marginal > 0.8);  // these rewards are hardly correlated, so that it loses nothing by looking at each alone
  BOOST_TEST(anchored > global + 0.2);
  BOOST_TEST(anchored > equal + 0.2);
  BOOST_TEST(anchored > maestro + 0.2);
  BOOST_TEST(anchored > consensus + 0.2);
}

BOOST_AUTO_TEST_SUITE_END()
