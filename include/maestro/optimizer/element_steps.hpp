#pragma once

/// @file
/// The step of each optimizer for one element. Neutral: host loops and kernels call it.

#include <cmath>

#include "maestro/core/platform.hpp"

namespace maestro {

/// AdamWStep holds the scalars of one AdamW step, computed once in double.
template <class T>
struct AdamWStep {
  T first_share;  ///< 1 - beta1, subtracted in double: 1 - 0.999f is 5e-5 off
  T beta2;
  T second_share;  ///< 1 - beta2
  T keep;          ///< 1 - learning rate * weight decay
  T step_size;     ///< learning rate / (1 - beta1^step)
  T second_root;   ///< sqrt(1 - beta2^step)
  T epsilon;
};

/// Applies decoupled decay, then p -= step_size m / (sqrt(v)/second_root + epsilon); both moments are updated in place.
/// Source: Loshchilov and Hutter 2019; torch.optim.AdamW.
template <class T>
MAESTRO_HD inline void adamw_element(T& value, T gradient, T& first, T& second, const AdamWStep<T>& s) {
  first += s.first_share * (gradient - first);
  second = s.beta2 * second + s.second_share * gradient * gradient;
  value = s.keep * value - s.step_size * first / (std::sqrt(second) / s.second_root + s.epsilon);
}

/// Applies b = momentum b + (g + decay p); p -= learning_rate b. `first` makes b the gradient itself, as
/// torch.optim.SGD does.
template <class T>
MAESTRO_HD inline void sgd_element(T& value, T gradient, T& buffer, bool first, T momentum, T decay, T learning_rate) {
  const T decayed = gradient + decay * value;
  buffer = first ? decayed : momentum * buffer + decayed;
  value -= learning_rate * buffer;
}

}  // namespace maestro
