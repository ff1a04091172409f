#pragma once

/// @file
/// Named settings of the objective, as TRL 1.16 has or advises them.

#include <array>
#include <string_view>

#include "maestro/core/names.hpp"
#include "maestro/objective/objective.hpp"

namespace maestro {

/// TRL's defaults: the clipped surrogate, dapo, no KL; a KL that is asked for is multiplied by the ratio
/// (use_bias_correction_kl).
inline ObjectiveOptions trl_objective() { return {.kl_correction = KlCorrection::ratio}; }

/// Dr.GRPO: TRL's, each loss divided by B * max_completion_length, which the caller sets.
/// Source: arXiv 2503.20783.
inline ObjectiveOptions dr_grpo_objective() {
  ObjectiveOptions o = trl_objective();
  o.reduction = Reduction::dr_grpo;
  return o;
}

/// CISPO: TRL's, with the capped ratio as a constant weight, cap 5.
/// Source: MiniMax-M1 (arXiv 2506.13585); the cap is TRL's advice.
inline ObjectiveOptions cispo_objective() {
  ObjectiveOptions o = trl_objective();
  o.surrogate = Surrogate::cispo;
  o.ratio_cap = 5.0;
  return o;
}

/// SAPO: TRL's, with soft gates of temperature 1 and 1.05, mean over responses of the token mean.
/// Source: arXiv 2511.20347.
inline ObjectiveOptions sapo_objective() {
  ObjectiveOptions o = trl_objective();
  o.surrogate = Surrogate::sapo;
  o.reduction = Reduction::grpo;
  return o;
}

/// GSPO: TRL's, with one ratio per response, clipped at 1 - 3e-4 and 1 + 4e-4, mean over responses.
/// Source: arXiv 2507.18071.
inline ObjectiveOptions gspo_objective() {
  ObjectiveOptions o = trl_objective();
  o.reduction = Reduction::grpo;
  o.ratio_level = RatioLevel::sequence;
  o.epsilon_low = 3e-4;
  o.epsilon_high = 4e-4;
  return o;
}

/// The names that objective_preset knows.
inline constexpr std::array<std::string_view, 5> objective_preset_names{"trl", "dr_grpo", "cispo", "sapo", "gspo"};

/// Finds the settings called `name`.
/// @throws BadArgument listing the known names.
inline ObjectiveOptions objective_preset(std::string_view name) {
  constexpr std::array presets{trl_objective, dr_grpo_objective, cispo_objective, sapo_objective, gspo_objective};
  return presets[index_of_name("objective preset", name, objective_preset_names)]();
}

}  // namespace maestro
