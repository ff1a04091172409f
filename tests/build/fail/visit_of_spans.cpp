#include <span>

#include "maestro/policy/tabular.hpp"
#include "maestro/trainer/policy_update.hpp"

struct Spans : maestro::TabularPolicy<float> {
  using maestro::TabularPolicy<float>::TabularPolicy;
  template <class F>
  void visit(F&& f) {
#if defined(MAESTRO_CORRECT)
    maestro::TabularPolicy<float>::visit(f);
#else
    f(std::span<float>());
#endif
  }
};

maestro::PolicyUpdate<Spans> update{maestro::TrainerOptions{}};
