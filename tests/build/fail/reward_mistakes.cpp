// What goes wrong with a reward of one's own: each macro is one mistake, and without any of them the file compiles.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/reward/fallible.hpp"
#include "maestro/reward/reward_set.hpp"

using maestro::Completion;
using maestro::RewardSet;

struct Short {
#if defined(NO_NAME) || defined(NO_NAME_OF_AN_EXPLICIT_TYPE)
#elif defined(NAME_IS_A_FUNCTION)
  static std::string_view name() { return "short"; }
#else
  static constexpr std::string_view name = "short";
#endif
#if defined(NO_CALL_OPERATOR)
  float score(const Completion& c) const { return c.text.size() < 80 ? 1.0f : 0.0f; }
#elif defined(CALL_OPERATOR_NOT_CONST)
  float operator()(const Completion& c) { return c.text.size() < 80 ? 1.0f : 0.0f; }
#elif defined(COMPLETION_NOT_CONST)
  float operator()(Completion& c) const { return c.text.size() < 80 ? 1.0f : 0.0f; }
#elif defined(TAKES_STRING)
  float operator()(std::string text) const { return text.size() < 80 ? 1.0f : 0.0f; }
#elif defined(TAKES_LISTS)
  std::vector<float> operator()(const std::vector<std::string>& prompts, const std::vector<std::string>&) const {
    return std::vector<float>(prompts.size());
  }
#elif defined(RETURNS_TEXT)
  std::string operator()(const Completion&) const { return "short"; }
#elif defined(RETURNS_NOTHING)
  void operator()(const Completion&) const {}
#elif defined(BATCH_RETURNS_SCORES)
  std::vector<float> operator()(const maestro::Rollouts& rollouts) const { return std::vector<float>(rollouts.size()); }
#elif defined(BATCH_RETURNS_COUNT)
  std::size_t operator()(const maestro::Rollouts&, std::span<float> scores) const { return scores.size(); }
#else
  float operator()(const Completion& c) const { return c.text.size() < 80 ? 1.0f : 0.0f; }
#endif
#if defined(NOT_MOVABLE)
  Short() = default;
  Short(const Short&) = delete;
#endif
#if defined(FAILURES_ARE_A_NUMBER)
  int failures() const { return 0; }
#endif
#if defined(FIGURES_NOT_CONST)
  template <class F>
  void visit_figures(F&& f) {
    f(std::string_view("short"), 1.0);
  }
#endif
#if defined(CHECKS_TEXTS) || defined(WRAPPED_CHECKS_TEXTS)
  void check_prompts(const std::vector<std::string>&) const {}
#endif
};

void use();
void use() {
  const auto long_enough = [](const Completion& c) { return c.text.size() > 8 ? 1.0f : 0.0f; };
#if defined(LAMBDA_WITHOUT_NAME)
  const RewardSet rewards{Short{}, long_enough};
#elif defined(FUNCTION_TAKES_LISTS)
  const RewardSet rewards{Short{}, maestro::reward("long", [](const std::vector<std::string>&) { return 1.0f; })};
#elif defined(FUNCTION_NOT_CONST)
  const RewardSet rewards{Short{}, maestro::reward("calls", [calls = 0](const Completion&) mutable {
                            return static_cast<float>(++calls);
                          })};
#elif defined(NO_NAME_OF_AN_EXPLICIT_TYPE)
  const RewardSet<Short> rewards{Short{}};
#elif defined(WRAPPED_CHECKS_TEXTS)
  const RewardSet rewards{maestro::Fallible{Short{}}};
#elif defined(NO_REWARDS)
  const RewardSet<> rewards;
#else
  const RewardSet rewards{Short{}, maestro::reward("long", long_enough)};
#endif
  static_cast<void>(rewards.names());
  static_cast<void>(long_enough);
}
