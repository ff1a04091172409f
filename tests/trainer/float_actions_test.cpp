// Training with a policy whose actions are floats.

#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "io/scratch.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/io/json.hpp"
#include "maestro/policy/gaussian.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/reward/tag_format.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/trainer/checkpoints.hpp"
#include "maestro/trainer/metrics_log.hpp"
#include "maestro/trainer/trainer.hpp"
#include "tiny.hpp"

using namespace maestro;

BOOST_AUTO_TEST_SUITE(float_actions)

namespace {

constexpr std::size_t steps_of_plan = 3;

/// Minus the mean squared distance of the steps from (first, second), the second number left out where `both` is false;
/// 0 where the prompt's feature `index` is 0.
struct Distance {
  std::string name;
  std::size_t index;
  float first;
  float second;
  bool both = true;

  float operator()(const Completion& c) const {
    float distance = 0.0f;
    for (std::size_t t = 0; t < c.actions.rows(); ++t) {
      const float x = c.actions(t, 0) - first;
      const float y = both ? c.actions(t, 1) - second : 0.0f;
      distance += x * x + y * y;
    }
    return -c.prompt.features[index] * distance / static_cast<float>(c.actions.rows());
  }
};

/// In context c objective c has nothing to say.
std::vector<Prompt> contexts() {
  std::vector<Prompt> prompts(3);
  for (std::size_t c = 0; c < 3; ++c) {
    prompts[c].row = static_cast<std::int64_t>(c);
    prompts[c].features.assign(3, 1.0f);
    prompts[c].features[c] = 0.0f;
  }
  return prompts;
}

TrainerOptions options_of(std::uint64_t seed) {
  TrainerOptions options;
  options.seed = seed;
  options.prompts_per_step = 3;
  options.sampling.num_generations = 32;
  options.learning_rate = 0.01;
  return options;
}

auto trainer_of(const TrainerOptions& options) {
  return Trainer{
      GaussianPolicy<float>(
          {.features = 3, .width = 16, .dimensions = 2, .steps = steps_of_plan, .std_dev = 0.5, .seed = options.seed}),
      RewardSet{Distance{"quick", 0, 1, 0, false}, Distance{"quiet", 1, 0, 1}, Distance{"frugal", 2, 0, 0}},
      LinearConductor<3>(
          {.emphasis = Emphasis::blended_uniform, .estimator = Estimator::counterfactual, .learning_rate = 0.02}),
      Advantages{OwnWeightBaseline{}, {.normalizer = {.kind = NormalizerKind::z_score}}}, options};
}

}  // namespace

BOOST_AUTO_TEST_CASE(policy_and_conductor_learn) {
  const std::vector<Prompt> prompts = contexts();
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    auto trainer = trainer_of(options_of(seed));
    const auto total = [](const StepReport& report) {
      return report.rewards[0].mean + report.rewards[1].mean + report.rewards[2].mean;
    };
    const double untrained = total(trainer.step(prompts));
    for (int step = 1; step < 200; ++step) trainer.step(prompts);
    BOOST_TEST(total(trainer.report()) > 0.5 * untrained);  // both are negative
    const Rollouts& rollouts = trainer.trace().rollouts;
    Matrix<float> weights(rollouts.size(), 3);
    trainer.conductor().weights(rollouts.hidden, weights.view());
    for (std::size_t c = 0; c < 3; ++c) {
      // What is not in dispute is no longer stressed; untrained it has a third.
      const std::size_t first = rollouts.groups.begin(c);
      const double settled = moments_of(32, [&](std::size_t i) { return weights(first + i, c); }).mean;
      BOOST_TEST(settled < 0.15, "seed " << seed << " context " << c << " " << settled);
    }
    // In the first context quiet and frugal agree on the first number.
    const Matrix<float> means = trainer.policy().means(prompts);
    for (std::size_t t = 0; t < steps_of_plan; ++t) BOOST_TEST(std::abs(means(0, 2 * t)) < 0.2f);
  }
}

BOOST_AUTO_TEST_CASE(figures_count_steps) {
  auto trainer = trainer_of(options_of(1));
  const StepReport& report = trainer.step(contexts());
  BOOST_TEST(report.response_tokens == 3u * 32u * steps_of_plan);
  BOOST_TEST(report.prompt_tokens == 0u);
  BOOST_TEST(report.mean_length == static_cast<double>(steps_of_plan));
  BOOST_TEST(report.clipped_fraction == 0.0);
  BOOST_TEST(report.rollout_gap_max == 0.0);
  BOOST_TEST(std::abs(report.entropy - 2.0 * (1.4189385332 + std::log(0.5))) < 1e-6);
}

BOOST_AUTO_TEST_CASE(parts_of_a_batch_train_as_the_whole_under_every_term_of_the_loss) {
  TrainerOptions options = options_of(4);
  options.objective.beta = 0.1;
  options.objective.entropy_bonus = 0.01;
  options.num_iterations = 2;
  options.num_minibatches = 2;
  options.sampling.temperature = 1.3;
  auto whole = trainer_of(options);
  options.micro_batch_tokens = 1;
  auto parts = trainer_of(options);
  for (int step = 0; step < 3; ++step) {
    whole.step(contexts());
    parts.step(contexts());
  }
  BOOST_TEST(whole.report().loss.kl() > 0.0);
  BOOST_TEST((whole.policy().means(contexts()) == parts.policy().means(contexts())));
}

BOOST_AUTO_TEST_CASE(a_resumed_run_goes_on_with_the_same_bits) {
  const maestro_test::Scratch folder;
  Checkpoints checkpoints({.folder = folder.path("checkpoints")});
  auto saved = trainer_of(options_of(5));
  saved.step(contexts());
  checkpoints.save(saved);
  auto resumed = trainer_of(options_of(6));
  auto same = trainer_of(options_of(5));
  BOOST_TEST(checkpoints.resume(same));
  saved.step(contexts());
  same.step(contexts());
  BOOST_TEST((tiny::state_of(saved) == tiny::state_of(same)));
  resumed.step(contexts());
  BOOST_TEST((tiny::state_of(saved) != tiny::state_of(resumed)));
}

BOOST_AUTO_TEST_CASE(samples_hold_the_actions_in_place_of_a_text) {
  const maestro_test::Scratch folder;
  auto trainer = trainer_of(options_of(1));
  {
    SampleLog log(folder.path("samples.jsonl"), {.every = 1, .prompts = 1});
    const StepReport& report = trainer.step(contexts());
    log.on_step(report, trainer.trace());
  }
  std::ifstream file(folder.path("samples.jsonl"));
  std::string line;
  BOOST_REQUIRE(std::getline(file, line));
  const Json record = parse_json(line, "samples");
  BOOST_TEST(!record.contains("completion"));
  BOOST_REQUIRE(record.contains("actions"));
  BOOST_REQUIRE(record["actions"].size() == steps_of_plan);
  const MatrixView<const float> actions = trainer.trace().rollouts.completion(0).actions;
  for (std::size_t t = 0; t < steps_of_plan; ++t) {
    BOOST_REQUIRE(record["actions"][t].size() == 2u);
    for (std::size_t d = 0; d < 2; ++d) BOOST_TEST(record["actions"][t][d].get<float>() == actions(t, d));
  }
}

BOOST_AUTO_TEST_CASE(a_text_reward_refuses_and_the_step_changes_nothing) {
  Trainer trainer{GaussianPolicy<float>({.features = 3, .dimensions = 2}),
                  RewardSet{Distance{"quick", 0, 2, 0}, Format{}}, LinearConductor<2>({.learning_rate = 0.02}),
                  OwnWeightBaseline{}, options_of(1)};
  const Matrix<float> before = trainer.policy().means(contexts());
  BOOST_CHECK_EXCEPTION(trainer.step(contexts()), BadData, [](const BadData& e) {
    const std::string message = e.what();
    return message.find("reward 'format'") != std::string::npos &&
           message.find("the policy's actions are floats") != std::string::npos;
  });
  BOOST_TEST((trainer.policy().means(contexts()) == before));
  BOOST_TEST(trainer.steps_done() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
