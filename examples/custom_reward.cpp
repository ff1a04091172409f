// A reward objective of your own, in a trainer small enough to watch: a byte-level transformer that knows nothing yet
// learns to write without shouting, and to keep to a length.

#include <cctype>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/conductor/learned.hpp"
#include "maestro/gemm/native.hpp"
#include "maestro/policy/transformer_policy.hpp"
#include "maestro/reward/length.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/text/byte_tokenizer.hpp"
#include "maestro/trainer/loop.hpp"
#include "maestro/trainer/progress.hpp"
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
  weights.initialize(1);
  const TrainerOptions options{
      .prompts_per_step = 4, .sampling = {.num_generations = 16, .max_completion_length = 32}, .learning_rate = 3e-3};
  Trainer trainer{TransformerPolicy<float, NativeBackend, ByteTokenizer>(std::move(weights), tokenizer),
                  RewardSet{Politeness{}, Length{{.shape = LengthShape::target, .target = 16}}},
                  LinearConductor<2>{{.learning_rate = 1e-2}}, options};

  std::vector<Prompt> prompts;
  for (const char* text : {"Could you help me?", "Where is it?", "I am late.", "Thanks."}) {
    prompts.emplace_back().text = text;
    prompts.back().row = static_cast<std::int64_t>(prompts.size()) - 1;
  }
  Progress progress(std::cout, {.total_steps = 100, .line_every = 20});
  run_loop(trainer, prompts, {.steps = 100}, progress);
}
