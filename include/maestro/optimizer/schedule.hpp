#pragma once

/// @file
/// Learning-rate schedules with Hugging Face's semantics. Neutral.

#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "maestro/core/error.hpp"
#include "maestro/core/option.hpp"

namespace maestro {

/// ScheduleKind says what the learning rate is multiplied by after the warm-up.
enum class ScheduleKind {
  constant,  ///< 1
  linear,    ///< from 1 to 0
  cosine,    ///< half a cosine from 1 to 0
};

/// The names of the schedules, in the enum's order.
inline constexpr std::array<std::string_view, 3> schedule_names{"constant", "linear", "cosine"};

/// ScheduleOptions holds the options of a learning-rate schedule.
struct ScheduleOptions {
  ScheduleKind kind = ScheduleKind::linear;  ///< TRL's default
  std::size_t warmup_steps = 0;              ///< the factor grows from 0 to 1 in equal steps
  std::size_t total_steps = 0;               ///< warmup included; not needed by constant
};

/// Lists the schedule's options; see OptionList.
template <OptionsOf<ScheduleOptions> S, class F>
constexpr void visit_options(S& s, const F& f) {
  const Recorded end = s.kind == ScheduleKind::constant ? Recorded::never : Recorded::always;
  f({.name = "lr_scheduler_type",
     .help = "The learning rate after the warm-up: {}",
     .values = schedule_names,
     .key = "schedule"},
    s.kind);
  f({.name = "warmup_steps", .help = "Steps of linear warm-up"}, s.warmup_steps);
  f({.name = "steps", .recorded = end}, s.total_steps);
}

/// Refuses options that contradict each other.
/// @throws BadArgument if a decaying schedule has no total_steps, or more warmup_steps than these.
inline void check(const ScheduleOptions& options) {
  if (options.kind == ScheduleKind::constant) return;
  require(options.total_steps > 0, "schedule: total_steps must be above 0 for linear and cosine");
  require(options.warmup_steps <= options.total_steps, "schedule: warmup_steps must not pass total_steps");
}

/// Gives the factor of the learning rate at optimizer step `step` (from 0), in [0, 1]; it is 0 at and after the end.
/// warmup: step / warmup_steps; linear: (total - step)/(total - warmup); cosine: (1 + cos(pi progress))/2.
/// Source: transformers get_{constant,linear,cosine}_schedule_with_warmup.
inline double learning_rate_factor(const ScheduleOptions& options, std::size_t step) {
  check(options);
  if (step < options.warmup_steps) return static_cast<double>(step) / static_cast<double>(options.warmup_steps);
  if (options.kind == ScheduleKind::constant) return 1.0;
  if (step >= options.total_steps) return 0.0;
  const auto span = static_cast<double>(options.total_steps - options.warmup_steps);
  const double progress = static_cast<double>(step - options.warmup_steps) / span;
  if (options.kind == ScheduleKind::linear) return 1.0 - progress;
  return 0.5 * (1.0 + std::cos(3.14159265358979323846 * progress));
}

}  // namespace maestro
