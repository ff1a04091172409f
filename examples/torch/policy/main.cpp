// A recurrent network of libtorch, trained by a maestro Trainer: it learns to write vowels and to stop early.

#include <cstdio>
#include <string_view>

#include "char_model.hpp"
#include "maestro/maestro.hpp"
#include "torch_policy.hpp"

struct Vowels {
  static constexpr std::string_view name = "vowels";
  float operator()(const maestro::Completion& c) const {
    float count = 0.0f;
    for (const char letter : c.text) count += std::string_view("aeiou").find(letter) != std::string_view::npos;
    return count / static_cast<float>(c.tokens.size());
  }
};
struct Brevity {
  static constexpr std::string_view name = "brevity";
  float operator()(const maestro::Completion& c) const { return -static_cast<float>(c.tokens.size()) / 16.0f; }
};

int main() {
  torch::manual_seed(1);
  TorchPolicy policy(std::make_shared<CharModel>(), maestro::ByteTokenizer(), 64);
  maestro::Trainer trainer{
      std::move(policy), maestro::RewardSet{Vowels{}, Brevity{}}, maestro::LinearConductor<2>{{.learning_rate = 1e-2}},
      maestro::TrainerOptions{.sampling = {.num_generations = 16, .max_completion_length = 16}, .learning_rate = 1e-2}};
  std::vector<maestro::Prompt> prompts(4);
  for (std::size_t n = 0; n < prompts.size(); ++n) {
    prompts[n].row = static_cast<std::int64_t>(n);
    prompts[n].text = std::string(1, static_cast<char>('a' + n));
  }
  double first = 0.0;
  double last = 0.0;
  for (int step = 0; step <= 60; ++step) {
    const maestro::StepReport& report = trainer.step(prompts);
    last = report.rewards[0].mean;
    if (step == 0) first = last;
    if (step % 20 == 0) {
      std::printf("step %2d  vowels %.2f  length %.1f\n", step, last, report.mean_length);
    }
  }
  return last > first + 0.2 ? 0 : 1;
}
