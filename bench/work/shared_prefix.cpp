// What sharing the rows of a prompt saves in training.
#include <algorithm>
#include <memory>

#include "bench/common/backend.hpp"
#include "bench/common/flops.hpp"
#include "bench/common/inputs.hpp"
#include "bench/common/models.hpp"
#include "bench/work/work.hpp"
#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/model/packed_batch.hpp"
#include "maestro/model/transformer.hpp"

namespace maestro::bench {

namespace {

PromptRows prompt_rows(const std::string& variant) {
  if (variant == "shared") return PromptRows::shared;
  if (variant == "separate") return PromptRows::separate;
  throw BadArgument("shared_prefix: --variant is shared or separate, got '" + variant + "'");
}

struct State {
  explicit State(const WorkOptions& o)
      : weights(make_model(o.model, o.shipped, o.positions())), gradients(weights.config()) {
    const Rollouts rollouts = fixed_rollouts(weights.config(), o.groups, o.generations, o.prompt, o.response);
    batch.pack(rollouts, 0, o.groups, {.prompts = prompt_rows(o.variant), .last_token = LastToken::feed});
    d_hidden.resize(batch.rows(), weights.config().hidden);
    for (std::size_t i = 0; i < d_hidden.flat().size(); ++i) d_hidden.flat()[i] = fixed_value(i) - 0.5f;
    tokens = rollouts.tokens.size();
  }

  ModelWeights<float> weights;
  ModelWeights<float> gradients;
  PackedBatch batch{};
  TransformerWorkspace<float> workspace{};
  Matrix<float> d_hidden{};
  std::size_t tokens = 0;
};

}  // namespace

Work shared_prefix(const WorkOptions& options) {
  const auto state = std::make_shared<State>(options);
  return {.info = {{"rows", state->batch.rows()}}, .repetition = [state] {
            State& s = *state;
            s.gradients.set_zero();
            Transformer<float, Backend>::forward(s.weights, s.batch, s.workspace, Keep::activations);
            Transformer<float, Backend>::backward(s.weights, s.batch, s.workspace, s.d_hidden, s.gradients);
            return OrderedJson{{"tokens", s.tokens},
                               {"rows", s.batch.rows()},
                               {"gflop", layer_training_flops(s.weights.config(), s.batch) * 1e-9}};
          }};
}

}  // namespace maestro::bench
