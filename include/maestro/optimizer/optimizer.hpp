#pragma once

/// @file
/// An optimizer chosen at run time. Neutral.

#include <array>
#include <string_view>
#include <variant>

#include "maestro/core/option.hpp"
#include "maestro/optimizer/adamw.hpp"
#include "maestro/optimizer/sgd.hpp"

namespace maestro {

/// OptimizerKind says which optimizer is used.
enum class OptimizerKind { adamw, sgd };

/// The names of the optimizers, in the enum's order.
inline constexpr std::array<std::string_view, 2> optimizer_names{"adamw", "sgd"};

/// OptimizerOptions holds the options of an Optimizer. Each kind reads its own options.
struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::adamw;
  AdamWOptions adamw{};
  SgdOptions sgd{};
};

/// Lists the optimizer's options; see OptionList. The choice of SGD shows by SGD's own options.
template <OptionsOf<OptimizerOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  const Recorded sgd = s.kind == OptimizerKind::sgd ? Recorded::always : Recorded::never;
  f({.name = "optimizer", .values = optimizer_names, .recorded = Recorded::never}, s.kind);
  f({.name = "adamw"}, s.adamw);
  f({.name = "sgd", .list = "sgd", .recorded = sgd}, s.sgd);
}

/// Optimizer is the optimizer that the options name. Its step and its state are those of AdamW or Sgd.
template <class T = float>
class Optimizer {
 public:
  using scalar_type = T;

  /// Makes the chosen optimizer.
  /// @throws BadArgument if its options are outside their domains.
  explicit Optimizer(const OptimizerOptions& options = {}) : optimizer_(make(options)) {}

  template <Visitable P>
  void step(P& part, double learning_rate) {
    std::visit([&](auto& optimizer) { optimizer.step(part, learning_rate); }, optimizer_);
  }

  template <class Visitor>
  void visit_state(Visitor& v) {
    std::visit([&](auto& optimizer) { optimizer.visit_state(v); }, optimizer_);
  }

 private:
  using Variant = std::variant<AdamW<T>, Sgd<T>>;

  static Variant make(const OptimizerOptions& options) {
    if (options.kind == OptimizerKind::sgd) return Sgd<T>(options.sgd);
    return AdamW<T>(options.adamw);
  }

  Variant optimizer_;
};

}  // namespace maestro
