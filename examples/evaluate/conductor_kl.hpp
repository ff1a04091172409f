#pragma once

/// @file
/// What the metrics of a run say of its Conductor.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "maestro/conductor/probability.hpp"
#include "maestro/core/statistics.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro::examples {

/// Whether a run's weights followed actions drawn by a Conductor, or were set by a rule (equal, fixed, ...).
enum class WeightsFrom { rule, actions };

struct ConductorKl {
  double kl = 0.0;  ///< KL(mean q || uniform) in nats, mean over the run's last tenth
  WeightsFrom weights = WeightsFrom::rule;
};

/// Reads metrics.jsonl of a run; nullopt where nothing was logged.
/// @throws BadFile for a line that is no JSON.
inline std::optional<ConductorKl> conductor_kl(const std::string& path) {
  if (path.empty() || !path_exists(path)) return std::nullopt;
  std::vector<double> values;
  ConductorKl result;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const Json record = parse_json(line, path);
    for (const auto& [name, value] : record.items()) {
      if (!value.is_number()) continue;
      if (name == "conductor/kl_to_uniform") values.push_back(value.get<double>());
      const bool propensity = name.starts_with("conductor/probability/") && value.get<double>() > 0.0;
      if (propensity) result.weights = WeightsFrom::actions;
    }
  }
  if (values.empty()) return std::nullopt;
  const std::size_t last = std::max<std::size_t>(values.size() / 10, 1);
  result.kl = moments_of(values.data() + (values.size() - last), last).mean;
  return result;
}

/// The table's cell: "-" for nothing logged, and "not learned" behind the figure of a Conductor that draws actions and
/// prefers none of them (under learned_kl): its result says nothing about learned weights.
inline std::string conductor_kl_cell(const std::optional<ConductorKl>& found) {
  if (!found) return "-";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", found->kl);
  const bool idle = found->weights == WeightsFrom::actions && found->kl < learned_kl;
  return std::string(text) + (idle ? " (not learned)" : "");
}

}  // namespace maestro::examples
