#pragma once

/// @file
/// What a run's folder says about the run, read for the report.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "maestro/core/error.hpp"
#include "maestro/io/file.hpp"
#include "maestro/io/json.hpp"

namespace maestro::examples {

/// One figure of a run: its value at each step that has one, ascending.
struct Curve {
  std::vector<double> steps{};
  std::vector<double> values{};

  bool empty() const { return steps.empty(); }
  void add(double step, double value) {
    steps.push_back(step);
    values.push_back(value);
  }
  /// Mean of the values in the last tenth of the curve, at least one; NaN if there is none.
  double late() const { return mean(values.size() - std::max<std::size_t>(values.size() / 10, 1), values.size()); }
  /// Mean of the values in its first tenth.
  double early() const { return mean(0, std::max<std::size_t>(values.size() / 10, 1)); }

 private:
  double mean(std::size_t first, std::size_t last) const {
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0.0;
    for (std::size_t i = first; i < last; ++i) sum += values[i];
    return sum / static_cast<double>(last - first);
  }
};

/// Everything that the report shows.
struct RunData {
  std::string folder;
  std::map<std::string, Curve> metrics;    ///< of metrics.jsonl
  std::map<std::string, Curve> evaluated;  ///< of eval.jsonl; empty if there is none
  std::vector<std::string> rewards;        ///< by name
  std::vector<std::string> tasks;
  std::vector<Json> samples;  ///< records of samples.jsonl that are shown
  Json settings;              ///< run.json; null if there is none
  double steps = 0.0;

  const Curve& curve(const std::string& name) const {
    static const Curve none;
    const auto found = metrics.find(name);
    return found == metrics.end() ? none : found->second;
  }
};

namespace detail {

/// Calls f(record) for every line of a file of records; a last line that is being written is left out.
/// @throws BadFile naming another line that is no record.
template <class F>
void for_each_record(const std::string& path, const F& f) {
  if (!path_exists(path)) return;
  const std::string text = read_file(path, std::numeric_limits<std::size_t>::max());
  std::string_view rest = text;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return;
    const Json record = parse_json(rest.substr(0, end), path + ":" + std::to_string(number));
    if (!record.is_object()) throw BadFile(path + ":" + std::to_string(number) + ": must be an object");
    f(record);
    rest.remove_prefix(end + 1);
  }
}

inline double step_of(const Json& record) {
  const auto step = record.find("step");
  return step != record.end() && step->is_number() ? step->get<double>() : 0.0;
}

inline std::map<std::string, Curve> read_curves(const std::string& path, std::vector<std::string>& order) {
  std::map<std::string, Curve> curves;
  for_each_record(path, [&](const Json& record) {
    for (const auto& [name, value] : record.items()) {
      if (name == "step") continue;
      const auto [entry, is_new] = curves.try_emplace(name);
      if (is_new) order.push_back(name);
      if (value.is_number()) entry->second.add(step_of(record), value.template get<double>());
    }
  });
  return curves;
}

/// What stands between two parts of a name; empty if it does not have them.
inline std::string between(const std::string& name, std::string_view start, std::string_view end) {
  if (name.size() <= start.size() + end.size() || !name.starts_with(start) || !name.ends_with(end)) return {};
  return name.substr(start.size(), name.size() - start.size() - end.size());
}

/// The records of the first step and of the last few steps that have any.
inline std::vector<Json> read_samples(const std::string& path) {
  constexpr std::size_t late_steps = 3;
  std::set<double> steps;
  for_each_record(path, [&](const Json& record) { steps.insert(step_of(record)); });
  while (steps.size() > 1 + late_steps) steps.erase(std::next(steps.begin()));
  std::vector<Json> samples;
  for_each_record(path, [&](const Json& record) {
    if (steps.contains(step_of(record))) samples.push_back(record);
  });
  return samples;
}

}  // namespace detail

/// Reads a run's folder, of a run that may be going on.
/// @throws BadArgument for a folder without metrics.jsonl; BadFile naming a line that is no record.
inline RunData read_run(const std::string& folder) {
  RunData run;
  run.folder = folder;
  const std::string metrics = folder + "/metrics.jsonl";
  if (!path_exists(metrics)) throw BadArgument(folder + ": has no metrics.jsonl; give the folder of a run (--output)");
  std::vector<std::string> order;
  run.metrics = detail::read_curves(metrics, order);
  for (const std::string& name : order) {
    if (const std::string reward = detail::between(name, "rewards/", "/mean"); !reward.empty()) {
      run.rewards.push_back(reward);
    }
  }
  // A task's name may have slashes, and so may no reward's: what follows the last one is the reward.
  std::set<std::string> tasks;
  for (const std::string& name : order) {
    const std::string rest = detail::between(name, "conductor/task/", "");
    const std::size_t slash = rest.rfind('/');
    if (slash != std::string::npos && tasks.insert(rest.substr(0, slash)).second) {
      run.tasks.push_back(rest.substr(0, slash));
    }
  }
  for (const auto& [name, curve] : run.metrics) {
    if (!curve.empty()) run.steps = std::max(run.steps, curve.steps.back());
  }
  std::vector<std::string> eval_order;
  run.evaluated = detail::read_curves(folder + "/eval.jsonl", eval_order);
  run.samples = detail::read_samples(folder + "/samples.jsonl");
  const std::string settings = folder + "/run.json";
  if (path_exists(settings)) run.settings = parse_json(read_file(settings), settings);
  return run;
}

}  // namespace maestro::examples
