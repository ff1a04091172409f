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
  const TrainerOptions options{.sampling = {.max_completion_length = 160}, .learning_rate = 3e-4};
  Trainer trainer{load_policy("examples/models/base"), RewardSet{Perplexity{}, Format{}, Politeness{}},
                  LinearConductor<3>{{.learning_rate = 1e-2}}, options};  // K = 3, known to the compiler

  const Run run("runs/readme", {.steps = 20, .progress = &std::cout});
  run(trainer, load_prompts("examples/data/prompts.jsonl"));  // goes on where the folder has a checkpoint
  save_model("runs/readme/model", trainer.policy().weights(), trainer.policy().tokenizer());
}
