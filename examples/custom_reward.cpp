// A reward objective of your own, in a trainer small enough to watch: a byte-level transformer that knows nothing yet
// learns to write without shouting, and to keep to a length.

#include <cctype>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/learned.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/reward/length.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/scalarization/default.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/trainer/trainer.hpp"

namespace {

/// A reward is a name and a call operator. It is called in parallel, so it must be const and thread-safe.
struct Politeness {
  static constexpr std::string_view name = "politeness";

  /// 1 minus the share of capitals and exclamation marks; an empty response cannot be judged.
  std::optional<float> operator()(const maestro::Completion& completion) const {
    if (completion.text.empty()) return std::nullopt;
    std::size_t loud = 0;
    for (const char c : completion.text) {
      if (c == '!' || std::isupper(static_cast<unsigned char>(c))) ++loud;
    }
    return 1.0f - static_cast<float>(loud) / static_cast<float>(completion.text.size());
  }
};

}  // namespace

int main() {
  using namespace maestro;
  const ByteTokenizer tokenizer;
  ModelWeights<float> weights(qwen3_config(tokenizer.vocabulary_size(), 32, 1, 2, 1, 16, 64));
  weights.initialise(1);
  TransformerPolicy<float, NativeBackend, ByteTokenizer> policy(std::move(weights), tokenizer);

  RewardSet rewards{Politeness{}, Length{{.shape = LengthShape::target, .target = 16}}};
  LinearConductor<2> conductor({.learning_rate = 1e-2});
  TrainerSettings settings{
      .prompts_per_step = 4, .sampling = {.num_generations = 16, .max_completion_length = 32}, .learning_rate = 3e-3};
  Trainer trainer{policy, rewards, conductor, DefaultScalarization{}, settings};

  std::vector<Prompt> prompts(4);
  const std::vector<const char*> texts{"Could you help me?", "Where is it?", "I am late.", "Thanks."};
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    prompts[i].text = texts[i];
    prompts[i].row = static_cast<std::int64_t>(i);
  }
  for (int step = 0; step <= 100; ++step) {
    const StepReport& report = trainer.step(prompts);
    if (step % 20 != 0) continue;
    std::printf("step %3u", report.step);
    for (const RewardFigures& r : report.rewards) {
      std::printf("  %s %6.3f (weight %.2f)", r.name.c_str(), r.mean, r.weight);
    }
    std::printf("\n");
  }
}
