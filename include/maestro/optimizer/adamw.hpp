#pragma once

/// @file
/// AdamW. Neutral.

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

/// AdamWOptions holds the options of AdamW. The defaults are those of the transformers Trainer.
struct AdamWOptions {
  double beta1 = 0.9;         ///< in [0, 1)
  double beta2 = 0.999;       ///< in [0, 1)
  double epsilon = 1e-8;      ///< above 0
  double weight_decay = 0.0;  ///< decoupled, at least 0; not applied to parameters marked WeightDecay::skip
};

/// Lists AdamW's options; see OptionList.
template <OptionsOf<AdamWOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  constexpr Recorded rarely = Recorded::unless_default;
  f({.name = "adam_beta1", .list = "adamw", .recorded = rarely}, s.beta1);
  f({.name = "adam_beta2", .list = "adamw", .recorded = rarely}, s.beta2);
  f({.name = "adam_epsilon", .list = "adamw", .recorded = rarely}, s.epsilon);
  f({.name = "weight_decay", .help = "AdamW's decoupled weight decay"}, s.weight_decay);
}

/// Gives the scalars of step `step`, counted from 1, for a parameter with weight decay.
template <class T>
AdamWStep<T> adamw_step(const AdamWOptions& options, double learning_rate, std::uint64_t step) {
  const auto steps = static_cast<double>(step);
  return {.first_share = static_cast<T>(1.0 - options.beta1),
          .beta2 = static_cast<T>(options.beta2),
          .second_share = static_cast<T>(1.0 - options.beta2),
          .keep = static_cast<T>(1.0 - learning_rate * options.weight_decay),
          .step_size = static_cast<T>(learning_rate / (1.0 - std::pow(options.beta1, steps))),
          .second_root = static_cast<T>(std::sqrt(1.0 - std::pow(options.beta2, steps))),
          .epsilon = static_cast<T>(options.epsilon)};
}

/// AdamW is Adam with bias correction and decoupled weight decay. It uses torch.optim.AdamW's formulas, with moments of
/// type T. Parameters without gradients (frozen) are skipped. Gradients are read, not cleared, and must be finite
/// (clip_global_norm checks). Elements are updated in parallel and independently, so the bits are the same for any
/// number of threads. The first step allocates two values per parameter.
template <class T = float>
class AdamW {
 public:
  using scalar_type = T;

  /// Makes an optimizer without state.
  /// @throws BadArgument naming the option outside its domain.
  explicit AdamW(const AdamWOptions& options = {}) : options_(options) {
    require(options.beta1 >= 0.0 && options.beta1 < 1.0, "AdamW: beta1 must be in [0, 1)");
    require(options.beta2 >= 0.0 && options.beta2 < 1.0, "AdamW: beta2 must be in [0, 1)");
    require(std::isfinite(options.epsilon) && options.epsilon > 0.0, "AdamW: epsilon must be above 0");
    require(std::isfinite(options.weight_decay) && options.weight_decay >= 0.0,
            "AdamW: weight_decay must be at least 0");
  }

  /// Takes one step on every trainable parameter.
  /// @throws BadArgument for a learning rate that is negative or not finite, or if the trainable parameters are not
  ///   those of the earlier steps (or of the loaded state).
  template <Visitable P>
  void step(P& part, double learning_rate) {
    require(std::isfinite(learning_rate) && learning_rate >= 0.0, "AdamW: the learning rate must be at least 0");
    prepare(layout_of(part));
    ++step_;
    AdamWStep<T> s = adamw_step<T>(options_, learning_rate, step_);
    const T decayed = s.keep;
    std::size_t offset = 0;
    visit_trainable(part, [&](const ParameterView<T>& view) {
      s.keep = view.decay == WeightDecay::apply ? decayed : T(1);
      T* first = first_.data() + offset;
      T* second = second_.data() + offset;
      parallel_blocks(view.values.size(), [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
          adamw_element(view.values[i], view.gradients[i], first[i], second[i], s);
        }
      });
      offset += view.values.size();
    });
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    v("step", step_);
    v("layout", layout_);
    v("first_moments", first_);
    v("second_moments", second_);
  }

  std::uint64_t steps() const { return step_; }
  const AdamWOptions& options() const { return options_; }

 private:
  void prepare(const ParameterLayout& layout) {
    if (step_ == 0) {
      layout_ = layout.fingerprint;
      first_.assign(layout.values, T(0));
      second_.assign(layout.values, T(0));
    }
    require(layout_ == layout.fingerprint && first_.size() == layout.values && second_.size() == layout.values,
            "AdamW: the trainable parameters are not those that the moments belong to; use a fresh optimizer");
  }

  AdamWOptions options_;
  std::uint64_t step_ = 0;
  std::uint64_t layout_ = 0;
  AlignedVector<T> first_;  ///< of all trainable parameters, in visiting order
  AlignedVector<T> second_;
};

}  // namespace maestro
