#include <span>

#include "maestro/policy/policy.hpp"

struct Forgetful {
  using scalar_type = float;
  std::size_t hidden_size() const { return 1; }
  maestro::Rollouts generate(std::span<const maestro::Prompt>, const maestro::Sampling&, const maestro::DrawKey&) {
    return {};
  }
  void forward(const maestro::Rollouts&, maestro::GroupRange, std::span<float>, std::span<float>) {}
  void backward(std::span<const float>, std::span<const float>) {}
  void log_probs(const maestro::Rollouts&, maestro::GroupRange, std::span<float>) const {}
  template <class F>
  void visit(F&&) {}
#if defined(MAESTRO_CORRECT)
  void zero_gradients() {}
#endif
};

template <maestro::Policy P>
void train(P&) {}

void use(Forgetful& policy);
void use(Forgetful& policy) { train(policy); }
