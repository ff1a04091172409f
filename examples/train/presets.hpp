#pragma once

/// @file
/// Named sets of options of `train`, after the frameworks and papers whose training they are. One row each.

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "maestro/core/names.hpp"
#include "maestro/objective/presets.hpp"
#include "train/options.hpp"

namespace maestro::examples {

/// What a preset sets; what is empty stays as it is.
struct Preset {
  std::string_view name;
  std::string_view help;
  std::string_view scalarization{};  ///< --scalarization
  std::string_view normalize{};      ///< --normalize
  std::string_view conductor{};      ///< --conductor
  std::string_view objective{};      ///< of objective_preset_names: all settings of the objective
};

inline constexpr std::array presets{
    Preset{.name = "trl",
           .help = "TRL 1.16, GRPOTrainer: raw rewards of weight 1, group advantage, a KL times the ratio",
           .scalarization = "group",
           .normalize = "none",
           .conductor = "unit",
           .objective = "trl"},
    Preset{.name = "gdpo",
           .help = "GDPO as in TRL (normalize_then_sum)",
           .scalarization = "gdpo",
           .normalize = "none",
           .conductor = "unit",
           .objective = "trl"},
    Preset{.name = "dr_grpo",
           .help = "Dr.GRPO: centered rewards, losses divided by the longest length",
           .scalarization = "dr_grpo",
           .normalize = "none",
           .conductor = "unit",
           .objective = "dr_grpo"},
    Preset{.name = "rloo",
           .help = "RLOO's advantage: the mean of the other responses taken off",
           .scalarization = "rloo",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "trl_async",
           .help = "TRL's asynchronous trainer: deviation with ddof 0, epsilon 1e-8",
           .scalarization = "trl_async",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "verl",
           .help = "verl's group advantage: epsilon 1e-6, a lone response keeps its reward",
           .scalarization = "verl",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "nemo_rl",
           .help = "NeMo-RL's leave-one-out mean and deviation",
           .scalarization = "nemo_rl",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "openrlhf",
           .help = "OpenRLHF's group_norm: epsilon 1e-9",
           .scalarization = "openrlhf",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "flash_reinforce",
           .help = "OpenRLHF's REINFORCE against the mean of the batch",
           .scalarization = "flash_reinforce",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "ms_swift",
           .help = "ms-swift's group advantage: a response without rewards counts as 0",
           .scalarization = "ms_swift",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "opo",
           .help = "OPO: the baseline is weighted by the lengths of the responses",
           .scalarization = "opo",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "dvao",
           .help = "DVAO: divided by the weighted deviations of the rewards",
           .scalarization = "dvao",
           .normalize = "none",
           .conductor = "unit"},
    Preset{.name = "own_weight",
           .help = "maestro's default advantage: z-scores against the own weights' baseline",
           .scalarization = "own_weight",
           .normalize = "z_score"},
    Preset{.name = "maestro_paper",
           .help = "The MAESTRO paper's reading: its Conductor, raw rewards, group advantage",
           .scalarization = "group",
           .normalize = "none",
           .conductor = "maestro_paper"},
    Preset{.name = "cispo", .help = "The objective alone: CISPO, capped ratios as weights", .objective = "cispo"},
    Preset{.name = "sapo", .help = "The objective alone: SAPO, soft gates instead of clips", .objective = "sapo"},
    Preset{.name = "gspo", .help = "The objective alone: GSPO, one ratio per response", .objective = "gspo"},
};

/// The names of the presets, in the order of the table.
inline constexpr auto preset_names = [] {
  std::array<std::string_view, presets.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = presets[i].name;
  return names;
}();

/// Sets the options of the presets of these names, in turn: what a later one sets, it sets anew.
/// @throws BadArgument listing the known names, and the one that may be meant.
inline void apply_presets(std::span<const std::string> names, TrainOptions& o) {
  for (const std::string& name : names) {
    const Preset& preset = presets[index_of_name("--preset", name, preset_names)];
    if (!preset.scalarization.empty()) o.scalarization = preset.scalarization;
    if (!preset.normalize.empty()) o.normalize = preset.normalize;
    if (!preset.conductor.empty()) o.conductor = preset.conductor;
    if (!preset.objective.empty()) o.trainer.objective = objective_preset(preset.objective);
  }
}

/// A line for each preset, for --help.
inline std::string describe_presets() {
  std::string text = " Presets:\n";
  for (const Preset& preset : presets) {
    std::string name(preset.name);
    name.resize(16, ' ');
    text += "  " + name + std::string(preset.help) + '\n';
  }
  return text;
}

}  // namespace maestro::examples
