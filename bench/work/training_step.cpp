// One policy update on rollouts of fixed lengths.
#include <cmath>
#include <memory>
#include <vector>

#include "bench/common/backend.hpp"
#include "bench/common/flops.hpp"
#include "bench/common/inputs.hpp"
#include "bench/common/models.hpp"
#include "bench/work/work.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/trainer/policy_update.hpp"

namespace maestro::bench {

namespace {

using Policy = TransformerPolicy<float, Backend, ByteTokenizer>;

struct State {
  explicit State(const WorkOptions& o)
      : policy(make_model(o.model, o.shipped, o.positions()), ByteTokenizer()),
        rollouts(fixed_rollouts(policy.config(), o.groups, o.generations, o.prompt, o.response)),
        advantages(fixed_advantages(rollouts.size())),
        update(settings) {
    PackedBatch batch;
    batch.pack(rollouts, 0, rollouts.groups.count());
    gflop = training_flops(policy.config(), batch) * 1e-9;
  }

  TrainerSettings settings{};
  Policy policy;
  Rollouts rollouts;
  std::vector<float> advantages;
  PolicyUpdate<Policy> update;
  SingleProcess communicator{};
  double gflop = 0.0;
};

}  // namespace

Work training_step(const WorkOptions& options) {
  const auto state = std::make_shared<State>(options);
  return {.info = {{"parameters", state->policy.weights().parameters()}}, .repetition = [state] {
            State& s = *state;
            const UpdateReport report =
                s.update.run(s.policy, s.rollouts, s.advantages, {}, s.settings.learning_rate, s.communicator, [] {});
            return OrderedJson{{"tokens", s.rollouts.tokens.size()},
                               {"gflop", s.gflop},
                               {"checks", {{"loss", report.loss.loss}, {"grad_norm", report.grad_norm}}}};
          }};
}

}  // namespace maestro::bench
