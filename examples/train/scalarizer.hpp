#pragma once

/// @file
/// The options of `train` that say how one response's rewards become one number.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "maestro/core/option.hpp"
#include "maestro/scalarization/scalarizers.hpp"

namespace maestro::examples {

/// A Scalarizer as the command line gives it: rewards by name, ideals in the order of --rewards.
struct ScalarizerOptions {
  ScalarizerKind kind = ScalarizerKind::sum;
  std::vector<double> ideal{};  ///< one for all, or one each; none: 1
  double rho = Scalarizer{}.rho;
  double mu = Scalarizer{}.mu;
  double tau = Scalarizer{}.tau;
  std::string gate{};  ///< a reward
  double threshold = Scalarizer{}.threshold;
};

/// The list of its options: see OptionList.
template <OptionsOf<ScalarizerOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "scalarizer", .help = "One response's weighted rewards to one number: {}", .values = scalarizer_names},
    s.kind);
  f({.name = "scalarizer_ideal",
     .help = "Of tchebycheff and its kin: the best value of a reward, one for all or one for each of --rewards; 1 "
             "unless given"},
    s.ideal);
  f({.name = "scalarizer_rho", .help = "Of augmented_tchebycheff: weight of the sum of shortfalls"}, s.rho);
  f({.name = "scalarizer_mu", .help = "Of smooth_tchebycheff: how smooth, above 0"}, s.mu);
  f({.name = "scalarizer_tau", .help = "Of softmin: its temperature, above 0"}, s.tau);
  f({.name = "scalarizer_gate", .help = "Of gated: the reward that opens the others"}, s.gate);
  f({.name = "scalarizer_threshold", .help = "Of gated: the value from which it does"}, s.threshold);
}

}  // namespace maestro::examples
