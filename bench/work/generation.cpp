// Responses of fixed lengths to prompts of fixed lengths.
#include <cstdint>
#include <memory>

#include "bench/common/backend.hpp"
#include "bench/common/flops.hpp"
#include "bench/common/inputs.hpp"
#include "bench/common/models.hpp"
#include "bench/work/work.hpp"
#include "maestro/policy/generation.hpp"

namespace maestro::bench {

namespace {

/// Weights beyond this do not stay in the caches from one step to the next.
constexpr std::size_t cached_bytes = std::size_t{64} << 20;

struct State {
  explicit State(const WorkOptions& o)
      : weights(make_model(o.model, o.shipped, o.positions())),
        rollouts(fixed_prompts(weights.config(), o.groups, o.generations, o.prompt)) {
    sampling.num_generations = o.generations;
    sampling.max_completion_length = o.response;
    gflop = generation_flops(weights.config(), o.groups, o.generations, o.prompt, o.response) * 1e-9;
    const std::size_t bytes = weights.parameters() * sizeof(float);
    if (bytes > cached_bytes) gbytes = static_cast<double>(bytes * o.response) * 1e-9;
  }

  ModelWeights<float> weights;
  Rollouts rollouts;
  Sampling sampling{};
  Generator<float, Backend> generator{};
  std::uint32_t step = 0;
  double gflop = 0.0;
  double gbytes = 0.0;
};

}  // namespace

Work generation(const WorkOptions& options) {
  const auto state = std::make_shared<State>(options);
  return {.info = {{"parameters", state->weights.parameters()}}, .repetition = [state] {
            State& s = *state;
            s.generator.run(s.weights, s.sampling, {.seed = 1, .step = s.step++}, {}, s.rollouts);
            return OrderedJson{{"tokens", s.rollouts.tokens.size()}, {"gflop", s.gflop}, {"gbytes", s.gbytes}};
          }};
}

}  // namespace maestro::bench
