// A whole GRPO step: rollouts, rewards, Conductor, scalarization, policy update.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/common/backend.hpp"
#include "bench/common/models.hpp"
#include "bench/work/text_rewards.hpp"
#include "bench/work/work.hpp"
#include "maestro/conductor/learned.hpp"
#include "maestro/io/prompts.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/advantages.hpp"
#include "maestro/scalarization/estimators/group_relative.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/trainer/trainer.hpp"

namespace maestro::bench {

namespace {

using Policy = TransformerPolicy<float, Backend, ByteTokenizer>;
using Rewards = RewardSet<Tags, TokenTarget, Vowels, Digits, DistinctWords>;
using StepConductor = LinearConductor<Rewards::size>;
using StepTrainer = Trainer<Policy, Rewards, StepConductor, Advantages<GroupRelative>>;

TrainerOptions options(const WorkOptions& o) {
  TrainerOptions s;
  s.prompts_per_step = o.groups;
  s.sampling.num_generations = o.generations;
  s.sampling.max_completion_length = o.response;
  return s;
}

struct State {
  explicit State(const WorkOptions& o)
      : trainer(Policy(make_model(o.model, o.shipped, 0), ByteTokenizer()),
                Rewards(Tags{}, TokenTarget{}, Vowels{}, Digits{}, DistinctWords{}), StepConductor(), GroupRelative{},
                options(o)),
        prompts(load_prompts(o.prompts).prompts),
        per_step(o.groups) {}

  /// The prompts of the next step, in the file's order and from its beginning again after its last whole step.
  std::span<const Prompt> next() {
    const std::size_t steps = prompts.size() / per_step;
    require(steps > 0, "grpo_step: the file has fewer prompts than a step takes");
    const std::size_t first = trainer.steps_done() % steps * per_step;
    return {prompts.data() + first, per_step};
  }

  StepTrainer trainer;
  std::vector<Prompt> prompts;
  std::size_t per_step;
};

/// The rewards of some texts, so that both sides can be seen to reward alike.
OrderedJson probe() {
  constexpr std::array<std::string_view, 4> texts{"<think>12 + 8 = 20</think><answer>20</answer>",
                                                  "a cat and a dog\n and 3 birds", "",
                                                  "<answer>7<answer> \t Good  good GOOD good\r\n1234567890"};
  const Prompt prompt;
  OrderedJson scores = OrderedJson::object();
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::vector<std::int32_t> tokens = ByteTokenizer().encode(texts[i]);
    const Completion completion{.prompt = prompt, .text = texts[i], .tokens = tokens, .log_probs = {}, .entropies = {}};
    const auto score = [&](const auto& reward) {
      scores[std::string(reward.name) + " " + std::to_string(i)] = reward(completion);
    };
    score(Tags{}), score(TokenTarget{}), score(Vowels{}), score(Digits{}), score(DistinctWords{});
  }
  return scores;
}

}  // namespace

Work grpo_step(const WorkOptions& options) {
  const auto state = std::make_shared<State>(options);
  return {.info = {{"parameters", state->trainer.policy().weights().parameters()}, {"checks", probe()}},
          .repetition = [state] {
            const StepReport& report = state->trainer.step(state->next());
            const StepTimings& seconds = report.seconds;
            OrderedJson line = {
                {"tokens", report.response_tokens},       {"prompt_tokens", report.prompt_tokens},
                {"rollout_seconds", seconds.rollout},     {"rewards_seconds", seconds.rewards + seconds.reference},
                {"conductor_seconds", seconds.conductor}, {"training_seconds", seconds.training},
                {"total_seconds", seconds.total}};
            for (const RewardFigures& reward : report.rewards) line["mean_" + reward.name] = reward.mean;
            return line;
          }};
}

}  // namespace maestro::bench
