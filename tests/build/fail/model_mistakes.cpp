// What goes wrong with a scorer or a rule of one's own: each macro is one mistake, and without any of them the file
// compiles.

#include <cstddef>
#include <span>
#include <vector>

#include "maestro/conductor/fixed.hpp"
#include "maestro/conductor/rule.hpp"
#include "maestro/policy/tabular.hpp"
#include "maestro/reward/perplexity.hpp"
#include "maestro/reward/preference.hpp"
#include "maestro/reward/reward_set.hpp"
#include "maestro/trainer/trainer.hpp"

using namespace maestro;

/// Every text is equally likely and equally good.
struct Flat {
#if defined(SCORER_WITHOUT_LIKELIHOODS)
  void nll(const Rollouts&, std::span<const LikelihoodQuery>, std::span<float>) const {}
#else
  void mean_nll(const Rollouts&, std::span<const LikelihoodQuery>, std::span<float>) const {}
#endif
#if defined(SCORER_GIVES_SCORES)
  std::vector<float> score(const Rollouts& rollouts) const { return std::vector<float>(rollouts.size()); }
#else
  void score(const Rollouts&, std::span<float>) const {}
#endif
};

/// Every reward weighs the same.
struct Same {
#if defined(RULE_IN_FLOAT)
  void weights(const RuleView& view, float* w) const {
#else
  void weights(const RuleView& view, double* w) const {
#endif
      for (std::size_t k = 0; k < view.rewards; ++k) w[k] = 1;
}
}
;

void use();
void use() {
  const Perplexity likelihood{Flat{}};
  const Preference preference{Flat{}};
  RuleConductor conductor{Same{}};
  RewardSet rewards{likelihood, preference};
  Trainer trainer{TabularPolicy<float>({.actions = 3}), rewards, conductor};
  const std::vector<Prompt> prompts(1);
  trainer.step(prompts);
}
