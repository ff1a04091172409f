#pragma once

/// @file
/// The options of the AnchoredConductor.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "maestro/conductor/group_context.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"

namespace maestro {

/// AnchoredForm says what the regression predicts from the context.
enum class AnchoredForm : std::uint8_t {
  joint,     ///< the outside signal on all rewards together: weights of either sign
  marginal,  ///< the agreement of each reward with it, one by one: only its positive part counts
};
inline constexpr std::array<std::string_view, 2> anchored_form_names{"joint", "marginal"};

/// AnchoredOptions holds the options of AnchoredConductor.
struct AnchoredOptions {
  AnchoredForm form = AnchoredForm::joint;
  GroupContextKind context = GroupContextKind::hidden;
  double lambda = 0.0;              ///< ridge penalty; 0: 8 |x|^2 (joint), 0.4 |x|^2 (marginal)
  double forgetting = 1.0;          ///< how much an earlier step counts in the next that learns, in (0, 1]
  std::size_t max_features = 1024;  ///< D of the regression, above which hidden states are projected; at least 1
  std::size_t projection = 64;      ///< to so many dimensions, at least 1
  std::size_t max_tasks = 32;       ///< for GroupContextKind::task, at least 1
};

/// Lists these options; see OptionList.
template <OptionsOf<AnchoredOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "anchor_form",
     .help = "Of --conductor anchored: regression on all rewards together, or on each alone: {}",
     .values = anchored_form_names},
    s.form);
  f({.name = "anchor_context", .help = "What its weights depend on: {}", .values = group_context_names}, s.context);
  f({.name = "anchor_lambda",
     .help = "Its ridge penalty; 0: 8 times the squared size of the context, 0.4 times with marginal"},
    s.lambda);
  f({.name = "anchor_forgetting", .help = "How much earlier steps count after each that it learns from, in (0, 1]"},
    s.forgetting);
  f({.name = "anchor_max_features", .help = "Features of its regression above which hidden states are projected"},
    s.max_features);
  f({.name = "anchor_projection", .help = "Dimensions that they are projected to"}, s.projection);
  f({.name = "max_tasks", .recorded = Recorded::unless_default}, s.max_tasks);
}

/// Refuses options outside their domains.
/// @throws BadArgument naming an option outside its domain.
inline void check(const AnchoredOptions& o) {
  require(o.lambda >= 0.0 && std::isfinite(o.lambda), "AnchoredConductor: lambda must be finite and at least 0");
  require(o.forgetting > 0.0 && o.forgetting <= 1.0, "AnchoredConductor: forgetting must lie in (0, 1]");
  require(o.max_features > 0, "AnchoredConductor: max_features must be at least 1");
  require(o.projection > 0, "AnchoredConductor: projection must be at least 1");
  require(o.max_tasks > 0, "AnchoredConductor: max_tasks must be at least 1");
}

}  // namespace maestro
