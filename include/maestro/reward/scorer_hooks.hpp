#pragma once

/// @file
/// The hooks of a reward that uses a model, which call those of the model.

#include <cstdint>
#include <utility>

#include "maestro/core/state.hpp"

namespace maestro::detail {

/// ScorerHooks holds the scorer of a reward and gives the reward the optional hooks that the scorer has.
template <class S>
class ScorerHooks {
 public:
  explicit ScorerHooks(S scorer) : scorer_(std::move(scorer)) {}

  template <class P>
  void attach(const P& policy) requires requires(S& scorer) {
    scorer.attach(policy);
  }
  { scorer_.attach(policy); }
  template <class P>
  void before_step(P& policy, std::uint32_t step) requires requires(S& scorer) {
    scorer.before_step(policy, step);
  }
  { scorer_.before_step(policy, step); }
  template <class Visitor>
  void visit_state(Visitor& v) requires Stateful<S> {
    v("scorer", scorer_);
  }

  const S& scorer() const { return scorer_; }

 protected:
  S scorer_;
};

}  // namespace maestro::detail
