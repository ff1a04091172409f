// One policy update on rollouts of fixed lengths.
#include <cmath>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "bench/common/backend.hpp"
#include "bench/common/flops.hpp"
#include "bench/common/inputs.hpp"
#include "bench/common/models.hpp"
#include "bench/work/work.hpp"
#include "maestro/core/communicator.hpp"
#include "maestro/core/error.hpp"
#include "maestro/model/lora_model.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/trainer/policy_update.hpp"

namespace maestro::bench {

namespace {

using Full = TransformerPolicy<float, Backend, ByteTokenizer>;
/// `--variant lora`: adapters of rank 16 on every projection, the rest frozen.
using Adapters = TransformerPolicy<float, NativeBackend, ByteTokenizer, LoraModel<float>>;

template <class Policy>
Policy make_policy(const WorkOptions& o) {
  auto weights = make_model(o.model, o.shipped, o.positions());
  if constexpr (std::is_same_v<Policy, Full>) {
    return Policy(std::move(weights), ByteTokenizer());
  } else {
    LoraModel<float> model(std::make_shared<const FrozenWeights<float>>(weights), LoraOptions{}, 1);
    // The same factors on both sides: A small and B zero, as at the start of a training.
    std::uint64_t first = 0;
    model.visit([&](auto p) {
      const bool is_a = p.name.ends_with("lora_A.weight");
      for (float& value : p.values) value = is_a ? 0.1f * fixed_value(first++) - 0.05f : 0.0f;
    });
    return Policy(std::move(model), ByteTokenizer());
  }
}

template <class Policy>
struct State {
  explicit State(const WorkOptions& o)
      : policy(make_policy<Policy>(o)),
        rollouts(fixed_rollouts(policy.config(), o.groups, o.generations, o.prompt, o.response)),
        advantages(fixed_advantages(rollouts.size())),
        update(options) {
    PackedBatch batch;
    batch.pack(rollouts, 0, rollouts.groups.count());
    gflop = training_flops(policy.config(), batch) * 1e-9;
    if constexpr (std::is_same_v<Policy, Adapters>) {
      const auto factors = static_cast<double>(policy.weights().parameters());
      gflop = lora_training_flops(policy.config(), batch, factors) * 1e-9;
    }
  }

  TrainerOptions options{};
  Policy policy;
  Rollouts rollouts;
  std::vector<float> advantages;
  PolicyUpdate<Policy> update;
  SingleProcess communicator{};
  double gflop = 0.0;
};

template <class Policy>
Work training_step_of(const WorkOptions& options) {
  const auto state = std::make_shared<State<Policy>>(options);
  return {.info = {{"parameters", state->policy.weights().parameters()}}, .repetition = [state] {
            State<Policy>& s = *state;
            const UpdateReport report =
                s.update.run(s.policy, s.rollouts, s.advantages, {}, s.options.learning_rate, s.communicator, [] {});
            return OrderedJson{{"tokens", s.rollouts.tokens.size()},
                               {"gflop", s.gflop},
                               {"checks", {{"loss", report.loss.loss}, {"grad_norm", report.grad_norm}}}};
          }};
}

}  // namespace

Work training_step(const WorkOptions& options) {
  if (options.variant.empty()) return training_step_of<Full>(options);
  if (options.variant == "lora") return training_step_of<Adapters>(options);
  throw BadArgument("training_step: --variant is lora or nothing, got '" + options.variant + "'");
}

}  // namespace maestro::bench
