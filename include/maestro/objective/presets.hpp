#pragma once

/// @file
/// Named choices of the objective's options, as TRL 1.16 has or recommends them.

#include <array>
#include <string_view>

#include "maestro/core/names.hpp"
#include "maestro/objective/objective.hpp"

namespace maestro {

/// Gives TRL's defaults: the clipped surrogate, the dapo reduction and no KL. If beta is set, the KL is multiplied by
/// the ratio (use_bias_correction_kl).
inline ObjectiveOptions trl_objective() { return {.kl_correction = KlCorrection::ratio}; }

/// Gives Dr. GRPO: TRL's defaults with the sum of losses divided by B * max_completion_length. The caller sets
/// max_completion_length.
/// Source: arXiv 2503.20783.
inline ObjectiveOptions dr_grpo_objective() {
  ObjectiveOptions o = trl_objective();
  o.reduction = Reduction::dr_grpo;
  return o;
}

/// Gives CISPO: TRL's defaults with the ratio, capped at 5, as a constant weight.
/// Source: MiniMax-M1 (arXiv 2506.13585); TRL recommends this cap.
inline ObjectiveOptions cispo_objective() {
  ObjectiveOptions o = trl_objective();
  o.surrogate = Surrogate::cispo;
  o.ratio_cap = 5.0;
  return o;
}

/// Gives SAPO: TRL's defaults with soft gates of temperatures 1 and 1.05, and the mean over responses of the token
/// mean.
/// Source: arXiv 2511.20347.
inline ObjectiveOptions sapo_objective() {
  ObjectiveOptions o = trl_objective();
  o.surrogate = Surrogate::sapo;
  o.reduction = Reduction::grpo;
  return o;
}

/// Gives GSPO: TRL's defaults with one ratio per response, clipped at 1 - 3e-4 and 1 + 4e-4, and the mean over
/// responses of the token mean.
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

/// Finds the preset called `name`.
/// @throws BadArgument listing the known names.
inline ObjectiveOptions objective_preset(std::string_view name) {
  constexpr std::array presets{trl_objective, dr_grpo_objective, cispo_objective, sapo_objective, gspo_objective};
  return presets[index_of_name("objective preset", name, objective_preset_names)]();
}

}  // namespace maestro
