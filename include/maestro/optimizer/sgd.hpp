#pragma once

/// @file
/// Stochastic gradient descent with momentum. Neutral.

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "maestro/core/buffer.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/core/parameter.hpp"
#include "maestro/optimizer/element_steps.hpp"
#include "maestro/optimizer/layout.hpp"

namespace maestro {

/// SgdOptions holds the options of Sgd.
struct SgdOptions {
  double momentum = 0.0;      ///< in [0, 1)
  double weight_decay = 0.0;  ///< added to the gradient, at least 0; not applied to parameters marked WeightDecay::skip
};

/// Lists SGD's options; see OptionList.
template <OptionsOf<SgdOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "momentum"}, s.momentum);
  f({.name = "weight_decay"}, s.weight_decay);
}

/// Sgd uses torch.optim.SGD's formulas without dampening: b = momentum b + (g + decay p), p -= learning_rate b; the
/// first b is the gradient. It skips frozen parameters and reads gradients without clearing them. The bits are the same
/// for any number of threads.
template <class T = float>
class Sgd {
 public:
  using scalar_type = T;

  /// Makes an optimizer without state.
  /// @throws BadArgument naming the option outside its domain.
  explicit Sgd(const SgdOptions& options = {}) : options_(options) {
    require(options.momentum >= 0.0 && options.momentum < 1.0, "SGD: momentum must be in [0, 1)");
    require(std::isfinite(options.weight_decay) && options.weight_decay >= 0.0, "SGD: weight_decay must be at least 0");
  }

  /// Takes one step on every trainable parameter.
  /// @throws BadArgument for a learning rate that is negative or not finite, or, with momentum, if the trainable
  ///   parameters are not those of the earlier steps.
  template <Visitable P>
  void step(P& part, double learning_rate) {
    require(std::isfinite(learning_rate) && learning_rate >= 0.0, "SGD: the learning rate must be at least 0");
    const bool with_momentum = options_.momentum > 0.0;
    if (with_momentum) prepare(layout_of(part));
    const bool first = step_ == 0 || !with_momentum;
    ++step_;
    std::size_t offset = 0;
    visit_trainable(part, [&](const ParameterView<T>& view) {
      const T decay = view.decay == WeightDecay::apply ? static_cast<T>(options_.weight_decay) : T(0);
      T* buffer = with_momentum ? buffer_.data() + offset : nullptr;
      parallel_blocks(view.values.size(), [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
          T none = T(0);
          sgd_element(view.values[i], view.gradients[i], buffer ? buffer[i] : none, first,
                      static_cast<T>(options_.momentum), decay, static_cast<T>(learning_rate));
        }
      });
      offset += view.values.size();
    });
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step_);
    v("layout", layout_);
    v("momentum", buffer_);
  }

  std::uint64_t steps() const { return step_; }
  const SgdOptions& options() const { return options_; }

 private:
  void prepare(const ParameterLayout& layout) {
    if (step_ == 0) {
      layout_ = layout.fingerprint;
      buffer_.assign(layout.values, T(0));
    }
    require(layout_ == layout.fingerprint && buffer_.size() == layout.values,
            "SGD: the trainable parameters are not those that the momentum belongs to; use a fresh optimizer");
  }

  SgdOptions options_;
  std::uint64_t step_ = 0;
  std::uint64_t layout_ = 0;
  AlignedVector<T> buffer_;  ///< of all trainable parameters, in visiting order; empty without momentum
};

}  // namespace maestro
