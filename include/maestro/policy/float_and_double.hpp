#pragma once

/// @file
/// The passes of a policy for spans of float and of double.

#include <span>

#include "maestro/data/groups.hpp"
#include "maestro/data/rollouts.hpp"

namespace maestro::detail {

/// FloatAndDouble gives the policy P its members `forward`, `backward` and `log_probs` for spans of float, which the
/// concept Policy requires, and of double, which finite differences need. P derives from it, makes it a friend, and has
/// the templates run_forward, run_backward and run_log_probs, whose parameter is the type of the spans. Policy
/// describes what the members do.
template <class P>
class FloatAndDouble {
 public:
  void forward(const Rollouts& rollouts, GroupRange range, std::span<float> log_probs, std::span<float> entropies) {
    self().run_forward(rollouts, range, log_probs, entropies);
  }
  void forward(const Rollouts& rollouts, GroupRange range, std::span<double> log_probs, std::span<double> entropies) {
    self().run_forward(rollouts, range, log_probs, entropies);
  }
  void backward(std::span<const float> d_log_probs, std::span<const float> d_entropies) {
    self().run_backward(d_log_probs, d_entropies);
  }
  void backward(std::span<const double> d_log_probs, std::span<const double> d_entropies) {
    self().run_backward(d_log_probs, d_entropies);
  }
  void log_probs(const Rollouts& rollouts, GroupRange range, std::span<float> out) const {
    static_cast<const P&>(*this).run_log_probs(rollouts, range, out);
  }
  void log_probs(const Rollouts& rollouts, GroupRange range, std::span<double> out) const {
    static_cast<const P&>(*this).run_log_probs(rollouts, range, out);
  }

 private:
  friend P;
  FloatAndDouble() = default;  // only P can derive from it
  P& self() { return static_cast<P&>(*this); }
};

}  // namespace maestro::detail
