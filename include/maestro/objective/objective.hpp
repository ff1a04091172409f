#pragma once

/// @file
/// The options of the policy objective and their domains. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"

namespace maestro {

/// Reduction says how per-token losses become one number. B and T count the whole batch: every response, also an empty
/// one, counts in B.
enum class Reduction {
  grpo,     ///< mean over responses of the token mean
  bnpo,     ///< token mean of each micro-batch, weighted by its share of the responses: depends on the micro-batches
  dapo,     ///< sum over tokens / tokens of the batch
  dr_grpo,  ///< sum over tokens / (B * max_completion_length)
};

/// Surrogate says what a token's loss is of its ratio rho and its advantage A.
enum class Surrogate {
  clip,   ///< -min(min(rho, ratio_cap) A, clip(rho, 1 - epsilon_low, 1 + epsilon_high) A) (PPO, GRPO)
  cispo,  ///< -sg[min(rho, ratio_cap)] A log pi, sg = held constant; token level, needs ratio_cap
  sapo,   ///< -(4/tau) sigmoid(tau (rho - 1)) A, tau = sapo_temperature_pos if A > 0, else sapo_temperature_neg
};

/// RatioLevel says what the probability ratio compares.
enum class RatioLevel {
  token,     ///< rho_t = exp(log pi_t - log pi_old,t)
  sequence,  ///< one rho per response: exp(mean over its tokens) (GSPO)
};

/// KlEstimator names an estimator k(d) of KL(pi || ref) from one sample, with d = log pi_ref - log pi.
enum class KlEstimator {
  k1,  ///< -d
  k2,  ///< d^2 / 2
  k3,  ///< exp(d) - 1 - d
};

/// KlPlacement says where the KL term goes.
enum class KlPlacement {
  loss,    ///< beta k(d) is added to every token's loss; k2 gives the gradient of KL(pi||ref), k3 that of KL(ref||pi)
  reward,  ///< beta sum_t k(d_t) is taken off the response's scalar reward (kl_penalty); the loss only reports it
};

/// KlCorrection says what the KL term of the loss is multiplied by.
enum class KlCorrection {
  none,   ///< nothing
  ratio,  ///< rho of its ratio level, uncapped and differentiated (TRL's use_bias_correction_kl, on by default there):
          ///< at token level the gradient is then that of KL(pi||ref) for k1 and k3 alike
};

/// The names of the reductions, in the enum's order.
inline constexpr std::array<std::string_view, 4> reduction_names{"grpo", "bnpo", "dapo", "dr_grpo"};
/// The names of the surrogates, in the enum's order.
inline constexpr std::array<std::string_view, 3> surrogate_names{"clip", "cispo", "sapo"};
/// The names of the ratio levels, in the enum's order.
inline constexpr std::array<std::string_view, 2> ratio_level_names{"token", "sequence"};
/// The names of the KL estimators, in the enum's order.
inline constexpr std::array<std::string_view, 3> kl_estimator_names{"k1", "k2", "k3"};
/// The names of the KL placements, in the enum's order.
inline constexpr std::array<std::string_view, 2> kl_placement_names{"loss", "reward"};
/// The names of the KL corrections, in the enum's order.
inline constexpr std::array<std::string_view, 2> kl_correction_names{"none", "ratio"};

/// ObjectiveOptions holds the options of the policy loss. The defaults are TRL's, except that of kl_correction.
/// objective/presets.hpp has other choices by name.
struct ObjectiveOptions {
  Reduction reduction = Reduction::dapo;
  Surrogate surrogate = Surrogate::clip;
  RatioLevel ratio_level = RatioLevel::token;
  double epsilon_low = 0.2;            ///< the ratio is clipped at 1 - epsilon_low; in [0, 1]
  double epsilon_high = 0.2;           ///< and at 1 + epsilon_high; at least 0
  std::optional<double> ratio_cap{};   ///< caps the unclipped ratio (TRL's delta), or cispo's weight; above 0
  double sapo_temperature_pos = 1.0;   ///< of sapo where A > 0; above 0
  double sapo_temperature_neg = 1.05;  ///< elsewhere; above 0
  double beta = 0.0;                   ///< weight of the KL term, at least 0; 0 needs no reference
  KlEstimator kl_estimator = KlEstimator::k3;
  KlPlacement kl_placement = KlPlacement::loss;
  KlCorrection kl_correction = KlCorrection::none;  ///< of the KL in the loss
  double entropy_bonus = 0.0;             ///< weight of the batch's mean token entropy, taken off the loss; at least 0
  std::size_t max_completion_length = 0;  ///< tokens; needed by dr_grpo
};

/// Lists the objective's options; see OptionList.
template <OptionsOf<ObjectiveOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  f({.name = "loss_type", .help = "Reduction of the tokens' losses: {}", .values = reduction_names}, s.reduction);
  f({.name = "surrogate",
     .help = "A token's loss of its ratio: {} (capped by --delta)",
     .values = surrogate_names,
     .recorded = Recorded::unless_default},
    s.surrogate);
  f({.name = "importance_sampling_level", .help = "One ratio for each: {}", .values = ratio_level_names},
    s.ratio_level);
  f({.name = "epsilon", .help = "Lower clip range of the ratio", .list = "epsilon"}, s.epsilon_low);
  f({.name = "epsilon_high", .help = "Upper clip range of the ratio", .list = "epsilon"}, s.epsilon_high);
  f({.name = "delta", .help = "Two-sided clip: cap of the ratio, > 1 + epsilon-high; cispo's cap; 0: none"},
    s.ratio_cap);
  f({.name = "sapo_temperature_pos",
     .help = "Temperature of sapo where the advantage is above 0",
     .list = "sapo",
     .recorded = Recorded::unless_default},
    s.sapo_temperature_pos);
  f({.name = "sapo_temperature_neg",
     .help = "Temperature of sapo elsewhere",
     .list = "sapo",
     .recorded = Recorded::unless_default},
    s.sapo_temperature_neg);
  f({.name = "beta", .help = "Weight of the KL to the starting model, with adapters to its base; 0: none"}, s.beta);
  f({.name = "kl_estimator",
     .help = "Estimator of the KL: k1 (in the reward, or with --kl-correction ratio), k2, k3",
     .values = kl_estimator_names,
     .list = "kl"},
    s.kl_estimator);
  f({.name = "kl_placement", .help = "Where the KL goes: {}", .values = kl_placement_names, .list = "kl"},
    s.kl_placement);
  f({.name = "kl_correction",
     .help = "What multiplies the KL of the loss: {} (to the policy that generated)",
     .values = kl_correction_names,
     .list = "kl"},
    s.kl_correction);
  f({.name = "entropy_bonus", .recorded = Recorded::unless_default}, s.entropy_bonus);
  // Usually that of the sampling, which this struct does not know: add_options records it.
  f({.name = "dr_grpo_length", .recorded = Recorded::never}, s.max_completion_length);
}

/// Refuses options outside their domains.
/// @throws BadArgument naming the option, or the reason why two options contradict each other.
inline void check(const ObjectiveOptions& options) {
  const auto at_least_0 = [](double value) { return std::isfinite(value) && value >= 0.0; };
  require(at_least_0(options.epsilon_low) && options.epsilon_low <= 1.0,
          "objective: epsilon_low must be in [0, 1]: the ratio is clipped at 1 - epsilon_low");
  require(at_least_0(options.epsilon_high), "objective: epsilon_high must be finite and at least 0");
  require(!options.ratio_cap || (std::isfinite(*options.ratio_cap) && *options.ratio_cap > 0.0),
          "objective: ratio_cap must be finite and above 0; leave it out for no cap");
  const auto above_0 = [](double value) { return std::isfinite(value) && value > 0.0; };
  require(above_0(options.sapo_temperature_pos) && above_0(options.sapo_temperature_neg),
          "objective: the temperatures of sapo must be finite and above 0");
  require(options.surrogate != Surrogate::cispo || options.ratio_cap,
          "objective: cispo weights by the ratio up to ratio_cap; set it, to 5 for instance");
  require(options.surrogate != Surrogate::cispo || options.ratio_level == RatioLevel::token,
          "objective: cispo weights each token by its own ratio; use ratio_level token");
  require(options.surrogate != Surrogate::sapo || !options.ratio_cap,
          "objective: sapo has no use for ratio_cap, for its gate closes by itself; leave it out");
  require(at_least_0(options.beta), "objective: beta must be finite and at least 0");
  require(at_least_0(options.entropy_bonus), "objective: entropy_bonus must be finite and at least 0");
  require(options.reduction != Reduction::dr_grpo || options.max_completion_length > 0,
          "objective: dr_grpo divides by max_completion_length; set it");
  require(
      options.beta == 0.0 || options.kl_estimator != KlEstimator::k1 || options.kl_placement != KlPlacement::loss ||
          options.kl_correction == KlCorrection::ratio,
      "objective: k1 as a loss term has zero expected gradient; use k2 or k3, or kl_correction ratio, or place the KL "
      "in the reward");
}

}  // namespace maestro
