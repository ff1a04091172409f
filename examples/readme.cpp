#include <iostream>

#include "maestro/maestro.hpp"

struct Politeness {  // an objective of your own: a name and a call operator
  static constexpr std::string_view name = "politeness";
  float operator()(const maestro::Completion& c) const {
    return c.text.find("please") != std::string_view::npos || c.text.find("sorry") != std::string_view::npos ? 1.0f
                                                                                                             : 0.0f;
  }
};

int main() {
  using namespace maestro;
  const std::string base = "examples/models/base";
  TransformerPolicy<float, NativeBackend, ByteTokenizer> policy(load_model<float>(base), load_tokenizer(base));

  RewardSet rewards{Perplexity{ProxyScorer{policy}}, Format{}, Politeness{}};
  LinearConductor<rewards.size> conductor({.learning_rate = 1e-2});  // K = 3, known to the compiler
  TrainerSettings settings;
  settings.sampling.max_completion_length = 160;
  settings.learning_rate = 3e-4;
  Trainer trainer{policy, rewards, conductor, DefaultScalarization{}, settings};

  const std::vector<Prompt> prompts = load_prompts("examples/data/prompts.jsonl").prompts;
  Progress progress(std::cout, {.total_steps = 20, .line_every = 5});
  run_loop(trainer, prompts, {.steps = 20}, progress);
  save_model("runs/readme", trainer.policy().weights(), trainer.policy().tokenizer());
}
