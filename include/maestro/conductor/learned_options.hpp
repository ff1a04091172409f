#pragma once

/// @file
/// Options of the learned Conductor, their domains, and the paper's preset.

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "maestro/conductor/emphasis.hpp"
#include "maestro/conductor/estimators.hpp"
#include "maestro/conductor/networks/network.hpp"
#include "maestro/conductor/probability.hpp"
#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"
#include "maestro/optimizer/adamw.hpp"

namespace maestro {

/// TemperatureMode says whether the temperature tau of the action distribution is trained.
enum class TemperatureMode : std::uint8_t {
  learned,  ///< log tau is a parameter
  fixed,
};

/// HiddenScaling says what happens to h before the head reads it.
enum class HiddenScaling : std::uint8_t {
  none,
  unit_rms,  ///< h / sqrt(mean h^2); a zero vector stays zero
};

/// MetaBaseline says what is subtracted from the sampled meta-rewards.
enum class MetaBaseline : std::uint8_t {
  none,
  centered,  ///< their mean over the buffer
};

/// ActionSharing says whose action a response takes.
enum class ActionSharing : std::uint8_t {
  per_response,  ///< its own
  per_group,     ///< that of the group's first response: shows how the signal vanishes, not for training
};

/// AfterUpdate says what happens to the buffer after an update.
enum class AfterUpdate : std::uint8_t {
  clear,
  keep,  ///< entries stay, weighted for staleness, until max_age or capacity drops them
};

/// The names of the floors, in the enum's order.
inline constexpr std::array<std::string_view, 2> probability_floor_names{"mix", "clamp_renormalize"};
inline constexpr std::array<std::string_view, 2> hidden_scaling_names{"none", "unit_rms"};
inline constexpr std::array<std::string_view, 2> meta_baseline_names{"none", "centered"};

/// LearnedConductorOptions holds the options of a learned Conductor. [P] marks what the paper states, [ours] what it
/// does not. The defaults are made for DefaultScalarization (scalarization/default.hpp): all responses share a part of
/// their weights, and the gradient is exact over a response's own action. paper_preset() gives the paper's choices.
struct LearnedConductorOptions {
  Emphasis emphasis = Emphasis::blended_uniform;    ///< [ours] the paper does not give the map
  double strength = 0.5;                            ///< c of the blended maps, in (0, 1]
  ProbabilityFloor floor = ProbabilityFloor::mix;   ///< [ours] paper: clamp_renormalize
  double epsilon = 1e-4;                            ///< [P] the floor, in [0, 1/K)
  Estimator estimator = Estimator::counterfactual;  ///< [ours] paper: sampled
  double entropy_bonus = 1e-3;                      ///< [P] lambda, at least 0
  std::uint32_t period = 3;                         ///< [P] M, observed steps between updates, at least 1
  double learning_rate = 5e-5;                      ///< [P] at least 0
  AdamWOptions adamw{};                             ///< [ours] HF defaults; decay never touches biases and log tau
  double gradient_clip = 1.0;                       ///< [ours] largest global norm, above 0; infinity for none
  double temperature = 1.0;                         ///< [P] tau, or its start; above 0
  TemperatureMode temperature_mode = TemperatureMode::learned;  ///< [P]
  HiddenScaling hidden_scaling = HiddenScaling::none;           ///< [P] raw h
  MetaBaseline baseline = MetaBaseline::none;                   ///< [P] none
  ActionSharing sharing = ActionSharing::per_response;          ///< [P]
  AfterUpdate after_update = AfterUpdate::clear;                ///< [ours]
  double importance_cap = 2.0;  ///< [ours] cap of the weight of stale entries, at least 1
  std::uint32_t max_age = 12;   ///< [ours] in steps; older entries are dropped
  std::size_t capacity = 8192;  ///< [ours] entries kept, at least 1
  std::size_t hidden_size = 0;  ///< d; 0: taken from the first batch
  NetworkInit init{};           ///< [ours] a zero head: every action equally likely
};

/// Lists the Conductor's options; see OptionList. The names have the command line's prefix.
template <OptionsOf<LearnedConductorOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  constexpr Recorded rarely = Recorded::unless_default;
  f({.name = "conductor_learning_rate", .help = "AdamW's learning rate of the Conductor"}, s.learning_rate);
  f({.name = "conductor_period", .help = "Policy steps per Conductor update (M)"}, s.period);
  f({.name = "conductor_emphasis",
     .help = "Map from action to weights: {}",
     .values = emphasis_names,
     .list = "conductor_emphasis"},
    s.emphasis);
  f({.name = "conductor_strength",
     .help = "Strength c of the blended emphasis maps, in (0, 1]",
     .list = "conductor_emphasis"},
    s.strength);
  f({.name = "conductor_estimator", .help = "Estimator of the gradient: {}", .values = estimator_names}, s.estimator);
  f({.name = "conductor_baseline",
     .help = "Of sampled meta-rewards: {}",
     .values = meta_baseline_names,
     .enum_as = EnumAs::number},
    s.baseline);
  f({.name = "conductor_floor",
     .help = "Probability floor: {}",
     .values = probability_floor_names,
     .enum_as = EnumAs::number},
    s.floor);
  f({.name = "conductor_hidden_scaling",
     .help = "Of the hidden states: {}",
     .values = hidden_scaling_names,
     .enum_as = EnumAs::number},
    s.hidden_scaling);
  f({.name = "conductor_entropy_bonus", .help = "Weight of the entropy bonus (lambda)"}, s.entropy_bonus);
  f({.name = "conductor_epsilon", .recorded = rarely}, s.epsilon);
  f({.name = "conductor_adamw", .list = "conductor_adamw", .recorded = rarely}, s.adamw);
  f({.name = "conductor_gradient_clip", .recorded = rarely}, s.gradient_clip);
  f({.name = "conductor_temperature", .recorded = rarely}, s.temperature);
  f({.name = "conductor_temperature_mode", .recorded = rarely}, s.temperature_mode);
  f({.name = "conductor_sharing", .recorded = rarely}, s.sharing);
  f({.name = "conductor_after_update", .recorded = rarely}, s.after_update);
  f({.name = "conductor_importance_cap", .recorded = rarely}, s.importance_cap);
  f({.name = "conductor_max_age", .recorded = rarely}, s.max_age);
  f({.name = "conductor_capacity", .recorded = rarely}, s.capacity);
  f({.name = "conductor_hidden_size", .recorded = rarely}, s.hidden_size);
  f({.name = "conductor_init", .list = "conductor_init", .recorded = rarely}, s.init);
}

/// Gives the paper's reading: one-hot, raw hidden states and rewards, max rule, sampled, M = 3, lambda 1e-3, lr 5e-5,
/// tau learned from 1, AdamW; a zero head, since the paper gives no initialization. The paper's advantage is
/// GroupRelative{}. Together they train on the draws of the weights too: responses of equal rewards get different
/// advantages if they drew different weights. The metric `conductor/draw_noise_share` measures this share of the
/// advantages.
inline LearnedConductorOptions paper_preset() {
  return {.emphasis = Emphasis::one_hot,
          .floor = ProbabilityFloor::clamp_renormalize,
          .epsilon = 1e-4,
          .estimator = Estimator::sampled,
          .entropy_bonus = 1e-3,
          .period = 3,
          .learning_rate = 5e-5};
}

/// Gives the options that an update applies to an entry.
inline EntryRule entry_rule(const LearnedConductorOptions& o) {
  return {.estimator = o.estimator,
          .floor = o.floor,
          .epsilon = o.epsilon,
          .importance_cap = o.importance_cap,
          .entropy_bonus = o.entropy_bonus};
}

/// Refuses options outside their domains.
/// @throws BadArgument naming the option, its value and its domain, or a baseline without effect.
inline void check(const LearnedConductorOptions& o, std::size_t actions) {
  const auto in_domain = [](bool holds, const char* name, double value, const std::string& domain) {
    if (!holds || !std::isfinite(value)) {
      std::string shown = std::to_string(value);
      if (shown.find('.') != std::string::npos) shown.erase(shown.find_last_not_of('0') + 1);
      if (shown.ends_with('.')) shown.pop_back();
      throw BadArgument(std::string("conductor: ") + name + " is " + shown + ", expected " + domain);
    }
  };
  in_domain(o.strength > 0.0 && o.strength <= 1.0, "strength", o.strength, "(0, 1]");
  in_domain(o.epsilon >= 0.0 && o.epsilon * static_cast<double>(actions) < 1.0, "epsilon", o.epsilon,
            "[0, 1/" + std::to_string(actions) + ")");
  in_domain(o.entropy_bonus >= 0.0, "entropy_bonus", o.entropy_bonus, "at least 0");
  in_domain(o.period >= 1, "period", static_cast<double>(o.period), "at least 1");
  in_domain(o.learning_rate >= 0.0, "learning_rate", o.learning_rate, "at least 0");
  if (!(o.gradient_clip > 0.0)) in_domain(false, "gradient_clip", o.gradient_clip, "above 0");
  in_domain(o.temperature > 0.0, "temperature", o.temperature, "above 0");
  in_domain(o.importance_cap >= 1.0, "importance_cap", o.importance_cap, "at least 1");
  in_domain(o.capacity >= 1, "capacity", static_cast<double>(o.capacity), "at least 1");
  in_domain(o.init.std_dev > 0.0, "init.std_dev", o.init.std_dev, "above 0");
  if (o.baseline == MetaBaseline::centered && o.estimator != Estimator::sampled) {
    throw BadArgument(
        "conductor: a baseline changes only the sampled estimator; leave it at none with the counterfactual one, whose "
        "gradient is the same under any constant");
  }
}

}  // namespace maestro
