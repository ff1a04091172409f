#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "bench/scaling/full_length_policy.hpp"
#include "bench/scaling/point.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/trainer/trainer.hpp"

namespace maestro::bench {
namespace {

/// Share of the tokens that `modulus` divides: costs next to nothing, and differs between responses.
struct Share {
  std::string name;
  std::int32_t modulus;

  float operator()(const Completion& c) const {
    const auto count =
        std::count_if(c.tokens.begin(), c.tokens.end(), [&](std::int32_t t) { return t % modulus == 0; });
    return static_cast<float>(count) / static_cast<float>(c.tokens.size());
  }
};

template <std::size_t... I>
auto make_rewards(std::index_sequence<I...>) {
  return RewardSet{Share{"share_" + std::to_string(I + 2), static_cast<std::int32_t>(I + 2)}...};
}

std::vector<Prompt> make_prompts(std::size_t length) {
  std::vector<Prompt> prompts(Point::prompts);
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    prompts[n].text = std::string(length, static_cast<char>('a' + n));
    prompts[n].row = static_cast<std::int64_t>(n);
  }
  return prompts;
}

ModelConfig make_config(const Point& point) {
  ModelConfig config =
      qwen3_config(point.vocabulary, point.hidden, 4, point.hidden / 32, point.hidden / 64, 32, 3 * point.hidden);
  config.max_positions = point.prompt + point.response;
  return config;
}

/// Bytes; 0 where the system does not say.
std::size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::size_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <class T>
void run_steps(T& trainer, std::span<const Prompt> prompts, Measurement& result) {
  trainer.step(prompts);  // allocates
  std::vector<StepTimings> timings;
  std::vector<double> cpu;
  double spent = 0.0;
  while (timings.size() < 3 || (spent < 1.0 && timings.size() < 9)) {
    const double before = cpu_seconds();
    timings.push_back(trainer.step(prompts).seconds);
    cpu.push_back(cpu_seconds() - before);
    spent += timings.back().total;
  }
  const auto middle = [&](double StepTimings::*part) {
    std::vector<double> values;
    for (const StepTimings& t : timings) values.push_back(t.*part);
    return median(values);
  };
  result.steps = timings.size();
  result.rollout = middle(&StepTimings::rollout);
  result.rewards = middle(&StepTimings::rewards);
  result.conductor = middle(&StepTimings::conductor);
  result.training = middle(&StepTimings::training);
  result.total = middle(&StepTimings::total);
  result.cpu = median(cpu);
  result.prompt_tokens = trainer.report().prompt_tokens;
  result.response_tokens = trainer.report().response_tokens;
}

template <std::size_t K>
Measurement measure_with(const Point& point) {
  Measurement result;
  ModelWeights<float> weights(make_config(point));
  weights.initialize(1);
  result.parameters = weights.parameters();
  FullLengthPolicy policy(FullLengthPolicy::Inner(std::move(weights), ByteTokenizer({.vocabulary = point.vocabulary})));
  TrainerOptions options;
  options.prompts_per_step = Point::prompts;
  options.sampling.num_generations = point.group;
  options.sampling.max_completion_length = point.response;
  Trainer trainer{std::move(policy), make_rewards(std::make_index_sequence<K>{}),
                  LinearConductor<K>({.estimator = Estimator::counterfactual}), GroupRelative{}, options};
  run_steps(trainer, make_prompts(point.prompt), result);
  result.peak_memory = peak_memory();
  return result;
}

}  // namespace

Measurement measure(const Point& point) {
  switch (point.rewards) {
    case 2:
      return measure_with<2>(point);
    case 4:
      return measure_with<4>(point);
    case 8:
      return measure_with<8>(point);
    case 16:
      return measure_with<16>(point);
    default:
      throw BadArgument("scaling: " + std::to_string(point.rewards) + " rewards; 2, 4, 8 and 16 are compiled in");
  }
}

}  // namespace maestro::bench
