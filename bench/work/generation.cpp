// Responses of fixed lengths to prompts of fixed lengths.
#include <cstdint>
#include <memory>

#include "bench/common/backend.hpp"
#include "bench/common/flops.hpp"
#include "bench/common/inputs.hpp"
#include "bench/common/models.hpp"
#include "bench/work/work.hpp"
#include "maestro/core/error.hpp"
#include "maestro/model/frozen_weights.hpp"
#include "maestro/policy/generation.hpp"

namespace maestro::bench {

namespace {

/// Weights beyond this do not stay in the caches from one step to the next.
constexpr std::size_t cached_bytes = std::size_t{64} << 20;

/// Weights: ModelWeights, or FrozenWeights in bfloat16 (`--variant bf16`), which are half as many bytes.
template <class Weights>
struct State {
  template <class... Store>
  explicit State(const WorkOptions& o, Store... store)
      : weights(make_model(o.model, o.shipped, o.positions()), store...),
        rollouts(fixed_prompts(weights.config(), o.groups, o.generations, o.prompt)) {
    sampling.num_generations = o.generations;
    sampling.max_completion_length = o.response;
    gflop = generation_flops(weights.config(), o.groups, o.generations, o.prompt, o.response) * 1e-9;
    const std::size_t bytes = weights.bytes();
    if (bytes > cached_bytes) gbytes = static_cast<double>(bytes * o.response) * 1e-9;
  }

  Weights weights;
  Rollouts rollouts;
  Sampling sampling{};
  Generator<float, Backend, Weights> generator{};
  std::uint32_t step = 0;
  double gflop = 0.0;
  double gbytes = 0.0;
};

template <class Weights, class... Store>
Work generation_with(const WorkOptions& options, Store... store) {
  const auto state = std::make_shared<State<Weights>>(options, store...);
  return {.info = {{"bytes", state->weights.bytes()}}, .repetition = [state] {
            State<Weights>& s = *state;
            s.generator.run(s.weights, s.sampling, {.seed = 1, .step = s.step++}, {}, s.rollouts);
            return OrderedJson{{"tokens", s.rollouts.tokens.size()}, {"gflop", s.gflop}, {"gbytes", s.gbytes}};
          }};
}

}  // namespace

Work generation(const WorkOptions& options) {
  if (options.variant.empty()) return generation_with<ModelWeights<float>>(options);
  if (options.variant == "bf16") return generation_with<FrozenWeights<float>>(options, FrozenStore::bfloat16);
  throw BadArgument("generation: --variant is bf16 or nothing, got '" + options.variant + "'");
}

}  // namespace maestro::bench
